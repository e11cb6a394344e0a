"""A device on the bench: reading, writing, and its journal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hil.bench.blocks import blocks
from hil.bench.device import BenchDevice
from hil.bench.envelope import Envelope
from hil.bench.errors import NoAnswer
from hil.bench.journal import Journal, read_journal
from hil.registers.files import shipped_maps
from hil.registers.schema import RegisterMap, TableName
from tests.bench.rack import (
    device,
    entries,
    served,
    storage_map,
)
from tests.bench.sloppy import SloppyLine, TestClock
from twin.errors import InputProblems
from twin.record.exchange import Quality


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.jsonl") as one:
        yield one


@contextmanager
def storage(journal: Journal, power_kw: float = 0.0, **more: Any) -> Iterator[BenchDevice]:
    manners = more.pop("manners", None)
    with served(power_kw=power_kw, manners=manners) as (_, endpoint):
        one = device(endpoint, journal, **more)
        try:
            yield one
        finally:
            one.line.close()


# -- reading ---------------------------------------------------------------------------------------


def test_what_lies_side_by_side_is_read_at_once_and_no_gap_is() -> None:
    for one in shipped_maps().values():
        readable = [p for p in one.points if "r" in p.access]
        taken = {
            (p.table, a) for p in readable for a in range(p.address, p.address + p.width)
        }  # fmt: skip
        found = blocks(readable, one.longest_read)
        read = [(b.table, a) for b in found for a in range(b.address, b.address + b.count)]
        assert sorted(read) == sorted(taken), one.name
        assert sum(len(b.points) for b in found) == len(readable)
        assert all(b.count <= 125 for b in found if b.table in ("input", "holding"))


def test_values_come_in_their_own_unit_and_in_the_twins(journal: Journal) -> None:
    with storage(journal, power_kw=123.4) as one:
        samples = one.read(["soc", "power_kw", "capacity_kwh"])
        assert list(samples) == ["soc", "power_kw", "capacity_kwh"]
        assert samples["soc"].value == 50.0
        assert samples["power_kw"].words == (0, 1234)
        assert samples["power_kw"].quality is Quality.GOOD
        assert one.read_twin(["soc", "power_kw", "no such"])["soc"].value == 0.5
        assert len(one.read()) == len(one.map.points)
        assert one.identity()["vendor"] == "suitwin"
        with pytest.raises(KeyError):
            one.read(["sock"])


def test_a_refused_block_is_missing_and_the_others_are_there(journal: Journal) -> None:
    line = SloppyLine(storage_map())
    line.refuse["input", 256] = 2
    one = BenchDevice("bess", "storage", storage_map(), line, Envelope(-1, 1), journal, TestClock())
    samples = one.read(["power_kw", "rated_kw"])
    assert samples["power_kw"].value == 0.0
    assert (samples["rated_kw"].quality, samples["rated_kw"].code) == (Quality.MISSING, 2)
    assert samples["rated_kw"].words == ()


# -- writing ---------------------------------------------------------------------------------------


def test_a_refusal_is_an_outcome_with_its_code(journal: Journal) -> None:
    with storage(journal) as one:
        written = one.write("set_revert_s", 0.0)
        assert (written.accepted, written.code, written.sent) == (False, 3, 0.0)
        written = one.write("set_heartbeat", 70_000.0)
        assert (written.accepted, written.sent, written.cut) == (True, 65534.0, "register")
        assert [r["outcome"] for r in entries(journal.path, "answer")] == ["refused", "accepted"]


@pytest.mark.parametrize("name", ["storage-own", "storage-sunspec-1xx", "storage-sunspec-7xx"])
def test_a_command_takes_every_register_it_needs(journal: Journal, name: str) -> None:
    one_map = storage_map(name)
    with served(one_map) as (_, endpoint):
        one = device(endpoint, journal, one=one_map)
        assert all(w.accepted for w in one.command("power_kw", -120.0))
        command = one.meanings.commands["power_kw"]
        shown = one.read([command.value, *([command.enable] if command.enable else [])])
        value = shown[command.value].value
        assert isinstance(value, float)
        assert one.meanings.power_kw(command.value, value) == pytest.approx(-120.0)
        if command.enable is not None:
            assert shown[command.enable].value == command.on
            assert one.command("release", 0.0) == []
            assert [w.point for w in one.command("release", 1.0)] == [command.enable]
            assert one.read([command.enable])[command.enable].value == command.off
        one.line.close()


def test_a_window_goes_with_one_request(journal: Journal) -> None:
    line, one_map = (
        SloppyLine(storage_map("storage-sunspec-1xx")),
        storage_map("storage-sunspec-1xx"),
    )
    one = BenchDevice(
        "bess", "storage", one_map, line, Envelope(-500, 500), journal, TestClock(), rated_kw=500.0
    )
    one.command("power_kw", 50.0)
    assert line.sent == [("holding", 40266, (1000, 65536 - 1000)), ("holding", 40259, (3,))]


def test_what_comes_later_waits_for_what_comes_first(journal: Journal) -> None:
    one_map = storage_map("storage-sunspec-7xx")
    line = SloppyLine(one_map)
    value = one_map.point("m704.WSet")
    line.refuse["holding", value.address] = 4
    one = BenchDevice("bess", "storage", one_map, line, Envelope(-500, 500), journal, TestClock())
    written = one.command("power_kw", 50.0)
    assert [(w.point, w.accepted, w.code) for w in written] == [
        ("m704.WSetMod", True, 0), ("m704.WSet", False, 4),
    ]  # fmt: skip
    assert [address for _, address, _ in line.sent] == [one_map.point("m704.WSetMod").address]


def test_both_sizes_of_an_order_are_on_record(journal: Journal) -> None:
    with storage(journal) as one:
        one.command("power_kw", 30.0, at_twin=300.0)
        one.write("set_power_kw", 40.0, at_twin=400.0)
    first, second = entries(journal.path, "write")
    assert (first["ordered"], first["at_twin"], first["value"]) == (30.0, 300.0, 30.0)
    assert (second["at_twin"], second["value"]) == (400.0, 40.0)


def test_a_set_point_that_the_map_does_not_have_is_said(journal: Journal) -> None:
    with storage(journal) as one, pytest.raises(KeyError):
        one.command("limit_kw", 1.0)


def test_percent_of_rating_needs_the_rating(journal: Journal) -> None:
    one = shipped_maps()["storage-sunspec-1xx"]
    with pytest.raises(ValueError, match="give rated_kw"):
        BenchDevice("b", "storage", one, SloppyLine(one), Envelope(-1, 1), journal, TestClock())


def test_the_safe_state_is_told_and_read_back(journal: Journal) -> None:
    with storage(journal, power_kw=77.0) as one:
        one.command("power_kw", 100.0)
        assert [w.accepted for w in one.to_safe_state("Ctrl-C")] == [True]
        assert one.read_back()["power_kw"].value == 77.0
    (safe,) = entries(journal.path, "safe_state")
    (back,) = entries(journal.path, "read_back")
    assert (safe["reason"], safe["values"]) == ("Ctrl-C", {"set_power_kw": 0.0})
    assert back["values"] == {"set_power_kw": 0.0, "power_kw": 77.0}
    assert back["safe"] == {"set_power_kw": 0.0}


def test_a_refusal_does_not_keep_the_rest_of_a_safe_state_back(journal: Journal) -> None:
    line, one_map = SloppyLine(storage_map()), storage_map()
    line.refuse["coil", 0] = 4
    made = BenchDevice(
        "bess", "storage", one_map, line, Envelope(-9, 9), journal, TestClock(),
        safe_state={"set_release": 1.0, "set_power_kw": 0.0},
    )  # fmt: skip
    assert [(w.point, w.accepted) for w in made.to_safe_state("test")] == [
        ("set_release", False), ("set_power_kw", True),
    ]  # fmt: skip
    silent = {("coil", 0)}

    class Deaf(SloppyLine):
        def write(self, table: TableName, address: int, words: Sequence[int]) -> None:
            if (table, address) in silent:
                raise NoAnswer(self.name, "no answer")
            super().write(table, address, words)

    deaf = Deaf(one_map)
    made = BenchDevice(
        "bess", "storage", one_map, deaf, Envelope(-9, 9), journal, TestClock(),
        safe_state={"set_release": 1.0, "set_power_kw": 0.0},
    )  # fmt: skip
    with pytest.raises(NoAnswer):
        made.to_safe_state("test")
    assert deaf.sent == [("holding", 0, (0, 0))]


@pytest.mark.parametrize("one", shipped_maps().values(), ids=lambda m: m.name)
def test_every_map_that_is_written_has_a_safe_state(one: RegisterMap, journal: Journal) -> None:
    line = SloppyLine(one)
    made = BenchDevice(
        "d", one.kind, one, line, Envelope(-500, 500), journal, TestClock(), rated_kw=500.0
    )
    if {"power_kw", "release"} & set(made.meanings.commands) or made.meanings.enables:
        assert made.safe_state
        assert all(w.accepted for w in made.to_safe_state("test"))
    else:
        assert made.safe_state == {}


# -- the journal -----------------------------------------------------------------------------------


def test_a_write_is_on_record_before_it_is_sent(journal: Journal) -> None:
    seen: list[str] = []

    class Watching(SloppyLine):
        def write(self, *args: Any) -> None:
            seen.append(journal.path.read_text(encoding="utf-8").splitlines()[-1])
            super().write(*args)

    one_map = storage_map()
    made = BenchDevice(
        "bess", "storage", one_map, Watching(one_map), Envelope(-9, 9), journal, TestClock()
    )
    made.write("set_power_kw", 5.0)
    assert json.loads(seen[0])["entry"] == "write"
    assert json.loads(seen[0])["words"] == [0, 50]


def test_what_was_cut_off_is_left_out_and_what_is_broken_is_said(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "j.jsonl"
    with Journal(path) as one:
        one.record("note", "a", text="one")
    with path.open("a") as file:
        file.write('{"n": 2, "entr')
    assert [r["text"] for r in read_journal(path)] == ["one"]
    with path.open("a") as file:
        file.write("\n{}\n")
    with pytest.raises(InputProblems, match="line 2"):
        list(read_journal(path))
    with pytest.raises(InputProblems, match="No such file"):
        list(read_journal(tmp_path / "none"))
    with pytest.raises(InputProblems, match="a file to write"):
        Journal(tmp_path)


def test_processes_share_a_journal_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    code = (
        "import sys; from pathlib import Path; from hil.bench.journal import Journal\n"
        "j = Journal(Path(sys.argv[1]), sys.argv[2])\n"
        "for i in range(200): j.record('note', 'd', text='x' * 300)\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(path), by]) for by in ("runner", "guard")
    ]
    assert [p.wait(30.0) for p in both] == [0, 0]
    rows = list(read_journal(path))
    for by in ("runner", "guard"):
        assert [r["n"] for r in rows if r["by"] == by] == list(range(1, 201))
