"""Bad input to ``hil``: everything wrong at once, the fix beside it, status 2, nothing written."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil.testbed.preflight import Finding, Need, check, need_of
from tests.testbed.conftest import Call
from tests.testbed.world import new_port
from twin.errors import InputProblems

HEAD = "name,kind,district,address,port,unit,map\n"
GOOD = "storage-00000,storage,,127.16.0.2,1502,1,storage-own\n"
SHORT = ("--set", 'end="13:01"', "--set", "orders=[]")


@contextmanager
def taken() -> Iterator[int]:
    """Hold a port on every address of this machine."""
    with socket.socket() as holder:
        port = new_port()
        holder.bind(("0.0.0.0", port))
        holder.listen()
        yield port


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def nothing_written(folder: Path) -> bool:
    return list(folder.iterdir()) == []


def test_every_wrong_option_is_told_at_once(hil: Call, tmp_path: Path) -> None:
    said = hil(
        "serve", "tinny", "--rate", "0", "--address", "mac", "--limit", "0", "--lanes", "99",
        "--counterfactual", "guess", "--lang", "fr", "--duration", "-1", "--judge",
        "--set", "seed=1", "--out", "run", "--inventory", str(tmp_path),
    )  # fmt: skip
    assert said.status == 2
    starts = [
        "--counterfactual: mode: 'guess'; allowed: hold or rerun",
        "--duration: seconds: -1; allowed: above 0",
        "--duration: with --judge: -1; allowed: the scenario's end",
        "--lang: language: 'fr'; allowed: en or zh",
        f"--inventory: {tmp_path}: is a folder; allowed: a file to write",
        "--rate: rate: 0; allowed: 0.01 to 1000",
        "--address: mode: 'mac'; allowed: ip, port, unit",
        "--limit: devices: 0; allowed: 1 or more",
        "--lanes: threads: 99; allowed: 1 to 16",
        "tinny: scenario: not found; allowed:",
    ]
    assert [p[: len(s)] for p, s in zip(said.problems, starts, strict=True)] == starts
    assert "did you mean" in said.problems[-1]
    assert "10 problems; nothing was run." in said.err
    assert "Traceback" not in said.err
    assert nothing_written(tmp_path)


@pytest.mark.parametrize("command", ["run", "serve"])
def test_options_and_scenario_are_looked_over_together(
    hil: Call, tmp_path: Path, command: str
) -> None:
    said = hil(
        command, "tiny", "--lang", "fr", "--kinds", "storage,wind", "--set", "wire.port=0",
        "--set", "wire.adress=1",
    )  # fmt: skip
    assert said.status == 2
    assert [p.split(";")[0] for p in said.problems] == [
        "--lang: language: 'fr'",
        "command line: wire.port: 0",
        "command line: wire.adress: unknown key (= 1)",
    ]
    said = hil(command, "tiny", "--lang", "fr", "--kinds", "storage,wind")
    assert [p.split(";")[0] for p in said.problems] == [
        "--lang: language: 'fr'", "--kinds: wind: not in this scenario",
    ]  # fmt: skip
    assert nothing_written(tmp_path)


@pytest.mark.parametrize(
    ("address", "why"),
    [("127.0.0.0", "loopback"), ("10.0.0.1", "another network"), ("127.255.9.9", "too near")],
)
def test_an_address_out_of_range_is_told(hil: Call, address: str, why: str) -> None:
    said = hil("serve", "tiny", "--set", f'wire.network="{address}"')
    assert said.status == 2, why
    (told,) = said.problems
    assert told.startswith("command line: wire.network: ")
    assert "127.0.0.1 to" in told


def test_unknown_kinds_and_maps_are_told_together(hil: Call) -> None:
    said = hil(
        "serve", "tiny", "--kinds", "wind, storage", "--kinds", "waves",
        "--set", "wire.maps.storage={ nope = 1.0 }",
    )  # fmt: skip
    assert said.status == 2
    assert [p.split(";")[0].partition(": ")[2] for p in said.problems] == [
        "wind: not in this scenario",
        "waves: not in this scenario",
        "wire.maps.storage: nope",
    ]


def test_no_kind_at_all_is_told(hil: Call) -> None:
    said = hil("serve", "tiny", "--kinds", " , ")
    assert said.problems == ["--kinds: names: ' , '; allowed: one kind at least"]


@pytest.mark.parametrize("command", ["run", "serve"])
def test_a_port_in_use_is_told_with_the_way_to_see_who_has_it(
    hil: Call, tmp_path: Path, command: str
) -> None:
    with taken() as port:
        said = hil(command, "tiny", *SHORT, "--set", f"wire.port={port}", "--out", "run")
    assert said.status == 2
    (told,) = said.problems
    assert f"{port}: in use" in told
    assert "ss -ltnp" in told
    assert nothing_written(tmp_path)


def test_every_port_in_use_is_told(hil: Call) -> None:
    with taken() as one, taken() as two:
        assert two > one
        said = hil(
            "serve", "tiny", *SHORT, "--address", "port", "--set", f"wire.port={one}",
            "--kinds", "storage,solar,aircon",
        )  # fmt: skip
    told = [p for p in said.problems if "in use" in p]
    assert [f"127.0.0.1:{p}: in use" in t for p, t in zip((one, two), told, strict=True)] == [
        True, True,
    ]  # fmt: skip


def test_ports_that_run_out_are_told(hil: Call) -> None:
    said = hil("serve", "tiny", "--address", "port", "--set", "wire.port=65500")
    assert said.status == 2
    (told,) = said.problems
    assert "wire.port: 65500" in told
    assert "address = 'ip'" in told


@pytest.mark.parametrize(
    ("option", "target", "problem"),
    [
        ("--inventory", "file/devices.csv", "is a file; allowed: a file to write"),
        ("--out", "file", "file: is a file; allowed: a folder to write"),
        ("--out", "file/below", "is a file; allowed: a folder to write"),
    ],
)
def test_what_cannot_be_written_is_told_before(
    hil: Call, tmp_path: Path, option: str, target: str, problem: str
) -> None:
    (tmp_path / "file").write_text("mine")
    said = hil("serve", "tiny", *SHORT, option, target)
    assert said.status == 2
    (told,) = said.problems
    assert told.startswith(f"{option}: ")
    assert told.endswith(problem)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_judged_run_takes_no_folder_of_others(hil: Call, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    said = hil("serve", "tiny", "--judge", "--out", "mine")
    assert said.status == 2
    assert "holds files that are no run" in said.problems[0]
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("mode", ["ip", "port", "unit"])
def test_too_few_open_files_and_a_port_in_use_are_told_at_once(tmp_path: Path, mode: str) -> None:
    with taken() as port:
        script = (
            "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 4096)); "
            f"sys.argv = ['hil', 'serve', 'tiny', '--address', '{mode}', "
            f"'--set', 'wire.port={port}']; from hil.cli import main; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 2, done.stderr
    files, *ports = [x for x in done.stderr.splitlines() if x.startswith("error ")]
    assert "this machine: open files: 100 (hard 4096); allowed: " in files
    assert "(ulimit -n " in files
    # Where each device has a port, others of the machine may be in use as well.
    assert any(f":{port}: " in told for told in ports)
    assert "Traceback" not in done.stderr
    assert nothing_written(tmp_path)


# -- preflight -------------------------------------------------------------------------------


def finding(found: list[Finding], what: str) -> Finding:
    return next(f for f in found if f.what == what)


def test_preflight_says_what_a_machine_has_and_needs(hil: Call) -> None:
    said = hil("preflight", 50, "--port", new_port())
    assert said.status == 0
    for what in ("open files", "listener bound to lo", "ports", "loopback addresses", "memory"):
        assert what in said.out


def test_preflight_prints_the_exact_fix_for_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    port = new_port()
    for (soft, hard), fix in (
        ((1_024, 20_000), "ulimit -n 10257"),
        ((1_024, 4_096), "limits.conf"),
    ):
        limits = (soft, hard)
        monkeypatch.setattr("resource.getrlimit", lambda _, limits=limits: limits)
        found = finding(check(need_of("ip", 10_000, "127.0.0.1", port, 100)), "open files")
        assert not found.good
        assert fix in found.fix
        assert "10257" in found.fix
    unit = finding(check(need_of("unit", 10_000, "127.0.0.1", port, 100)), "open files")
    assert unit.good
    assert unit.needed == "357"


def test_preflight_finds_a_port_in_use(hil: Call) -> None:
    with taken() as port:
        said = hil("preflight", 3, "--address", "port", "--port", port - 1)
    assert said.status == 1
    assert f"127.0.0.1:{port}" in said.out
    assert "wire.port" in said.out


def test_preflight_finds_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.testbed.preflight._available_mib", lambda: 500.0)
    need = Need(100_000, 1, 10, 10, ())
    found = finding(check(need), "memory")
    assert not found.good
    assert "--limit" in found.fix


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("9", "--address", "mac"), "--address: mode: 'mac'; allowed: ip, port, unit"),
        (("100000", "--address", "port"),
         "--port: ports: 100000 from 1502 on; allowed: 64034 at most from this port on, "
         "or --address ip"),
        (("20000000",), "devices: addresses: 20000000; allowed: 16646144 at most, "
         "or --address unit"),
    ],
)  # fmt: skip
def test_preflight_refuses_what_no_machine_has(
    hil: Call, words: tuple[str, ...], problem: str
) -> None:
    said = hil("preflight", *words)
    assert said.status == 2
    assert said.problems == [problem]


def test_the_last_port_is_one() -> None:
    assert need_of("port", 36, "127.0.0.1", 65_500, 1).ports[-1] == ("127.0.0.1", 65_535)
    with pytest.raises(InputProblems):
        need_of("port", 37, "127.0.0.1", 65_500, 1)


# -- poll, replay ----------------------------------------------------------------------------


def test_polling_a_file_that_is_not_there(hil: Call) -> None:
    said = hil("poll", "nowhere.csv")
    assert said.status == 2
    assert said.problems == [
        "nowhere.csv: file: does not exist; allowed: a CSV of `hil serve --inventory`"
    ]


def test_every_bad_row_is_told(hil: Call, tmp_path: Path) -> None:
    rows = [
        "a,storage,,127.16.0.2,70000,1,storage-own",
        "b,wind,,127.16.0.3,1502,-1,storage-own",
        "c,storage,,nowhere,1502,300,storage-own",
        "d,storage",
        GOOD.strip(),
    ]
    (tmp_path / "devices.csv").write_text(HEAD + "\n".join(rows) + "\n")
    said = hil("poll", "devices.csv")
    assert said.status == 2
    assert [p.split(";")[0] for p in said.problems] == [
        "devices.csv: row 2: port '70000'",
        "devices.csv: row 3: kind 'wind'",
        "devices.csv: row 3: unit '-1'",
        "devices.csv: row 4: address 'nowhere'",
        "devices.csv: row 4: unit '300'",
        "devices.csv: row 5: address ''",
        "devices.csv: row 5: port ''",
        "devices.csv: row 5: unit ''",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "lacks name, kind, district, address, port, unit, map"),
        (b"name,kind\n1,2\n", "lacks district, address, port, unit, map"),
        ((HEAD + "城" + GOOD).encode("gbk"), "UTF-8"),
        (HEAD.encode() + b"dispatcher,dispatcher,,127.16.0.1,1502,1,dispatcher\n", "no device"),
        (HEAD.encode() + GOOD.replace("storage-own", "nope").encode(), "nope"),
        (HEAD.encode() + GOOD.replace("storage-own", "solar-own").encode(), "solar-own"),
        (HEAD.encode() + 2 * GOOD.encode(), "not that of device 0"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_inventory(hil: Call, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "devices.csv").write_bytes(content)
    said = hil("poll", "devices.csv")
    assert said.status == 2, said.err
    assert any(words in p for p in said.problems), said.problems
    assert "Traceback" not in said.err


def test_polling_asks_for_a_kind_or_a_device_that_is_there(hil: Call, tmp_path: Path) -> None:
    (tmp_path / "devices.csv").write_text(HEAD + GOOD)
    for words in (("--kind", "solar"), ("--name", "storage-00001")):
        said = hil("poll", "devices.csv", *words)
        assert said.status == 2
        assert "no device" in said.problems[0]


def test_pauses_and_rounds_are_checked_together(hil: Call) -> None:
    said = hil("poll", "nowhere.csv", "--seconds", "inf", "--rounds", "-1")
    assert said.status == 2
    assert [p.split(":")[0] for p in said.problems] == ["--seconds", "--rounds"]


def test_replaying_a_folder_that_is_no_run(hil: Call, tmp_path: Path) -> None:
    said = hil("replay", str(tmp_path))
    assert said.status == 2
    assert [p.split(": ")[1:3] for p in said.problems] == [
        [name, "missing; allowed"]
        for name in ("scenario.toml", "orders.parquet", "timeseries/city.parquet")
    ]
    assert nothing_written(tmp_path)
