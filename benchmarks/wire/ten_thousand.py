"""Ten thousand devices, an own address each, served on wall time and read whole once a second.

`hil serve` runs the city of 2027 at rate 1 with 10 000 of its devices on the network; a head-end
in a process of its own reads every device's full telemetry each second for a minute. Then the
same with 1 % and 10 % of the devices dead (they accept a connection and never answer), and what
the healthy ones notice. A poll is missed when its answer is not complete within half a second of
its request, and within its second; a device that never answered while everybody is healthy misses
all of its polls. Memory is the proportional share of both processes and, since each connection
costs the kernel too, the rise of the kernel's slabs meanwhile, whoever caused it.

    .venv/bin/python benchmarks/wire/ten_thousand.py [--seconds 60] [--devices 10000]

Everything stays on the loopback network and ends by itself; a limit that is missed with all
devices alive ends in status 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
HIL = Path(sys.executable).with_name("hil")
SCENARIO, BEGIN = "quiet-day", "10:00"
KINDS = "storage,aircon,charging,swap,solar,industry,hydrogen,shorepower,icestore,terminal"
DEAD = (0.0, 0.01, 0.10)
START_S, STOP_S = 300.0, 60.0  # a day before is simulated, and loops are compiled, first
LIMITS = {"missed": 0, "p99_ms": 20.0, "lateness_p99_ms": 50.0, "memory_mib": 1024.0}


def pss_mib(pid: int) -> float:
    """Return the memory of a process, shared pages by share [MiB]."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(rows["Pss"].split()[0]) / 1024.0


def cpu_s(pid: int) -> float:
    """Return user and system time of a process [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def slab_mib() -> float:
    """Return what the kernel holds in small pieces, sockets among them [MiB]."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    rows = dict(line.split(":", 1) for line in text.splitlines())
    return int(rows["Slab"].split()[0]) / 1024.0


@contextlib.contextmanager
def running(command: Sequence[str], said: Path, told: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command inside; its output goes to one file and its messages to another."""
    with said.open("wb") as output, told.open("wb") as messages:
        process = subprocess.Popen(command, stdout=output, stderr=messages)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_places(process: subprocess.Popen[bytes], said: Path) -> bool:
    """Return whether the server has said what listens, once it has or cannot any more."""
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        if said.read_text("utf-8").startswith("{"):
            return True
        time.sleep(0.1)
    return False


def failed(what: str, told: Path) -> NoReturn:
    """End with what a process told last."""
    sys.exit(f"{what}:\n{told.read_text('utf-8')[-2000:]}")


def lateness(said: str) -> dict[str, float]:
    """Return how late ticks were, from what the server says in the end."""
    line = next(t for t in said.replace("\n", " ").split("served ") if "lateness p99" in t)
    words = line.replace(",", "").split()
    return {
        "lateness_p99_ms": float(words[words.index("p99") + 1]),
        "lateness_max_ms": float(words[words.index("max") + 1]),
    }


def one(folder: Path, dead: float, seconds: float, devices: int) -> dict[str, float]:
    """Serve and poll once; return the figures."""
    inventory, stats = folder / "devices.csv", folder / "poll.json"
    said, told, heard = folder / "places.json", folder / "served.txt", folder / "polled.txt"
    limit = -(-devices // 2)  # of a kind; the poller takes its devices from all of them
    serve = [
        str(HIL), "serve", SCENARIO, "--rate", "1", "--address", "ip", "--kinds", KINDS,
        "--limit", str(limit), "--inventory", str(inventory), "--json", "--reliable",
        "--set", f'start="{BEGIN}"', "--set", f"manners={manners(dead)}",
    ]  # fmt: skip
    poll = [
        sys.executable, str(HERE / "polling.py"), str(inventory), str(stats),
        "--seconds", str(seconds), "--devices", str(devices),
    ]  # fmt: skip
    slab = slab_mib()
    with running(serve, said, told) as server:
        if not wait_for_places(server, said):
            failed("the server does not serve", told)
        before, begun = cpu_s(server.pid), time.monotonic()
        memory = used = kernel = 0.0
        with running(poll, folder / "nothing.txt", heard) as poller:
            while poller.poll() is None:
                if time.monotonic() - begun > seconds + START_S:
                    failed("the head-end does not end", heard)
                with contextlib.suppress(OSError, ValueError, KeyError):  # it may have ended
                    memory = max(memory, pss_mib(server.pid) + pss_mib(poller.pid))
                    used = cpu_s(poller.pid)
                kernel = max(kernel, slab_mib() - slab)
                time.sleep(1.0)
        wall = time.monotonic() - begun
        served = cpu_s(server.pid) - before
        server.terminate()
        server.wait(STOP_S)
    if poller.returncode != 0:
        failed("the head-end failed", heard)
    found: dict[str, float] = json.loads(stats.read_text("utf-8"))
    if dead == 0.0:
        found["missed"] += found["dead"] * seconds
    return {
        **found,
        **lateness(told.read_text("utf-8")),
        "processes_mib": memory,
        "kernel_mib": kernel,
        "memory_mib": memory + kernel,
        "server_cpu": 100.0 * served / wall,
        "poller_cpu": 100.0 * used / wall,
    }


def manners(dead: float) -> str:
    """Return the scenario's manners: a share of every kind that never answers."""
    if dead == 0.0:
        return "[]"
    rows = [f'{{kind="{k}",share={dead},no_answer_share=1.0}}' for k in KINDS.split(",")]
    return "[" + ",".join(rows) + "]"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    console = Console()
    table = Table(title=f"{chosen.devices:,} devices read whole once a second")
    rows = (
        ("dead", "devices that never answer", "{:,.0f}"),
        ("polls", "polls of healthy devices", "{:,.0f}"),
        ("missed", "missed", "{:,.0f}"),
        ("p50_ms", "request to answer, p50 ms", "{:.2f}"),
        ("p99_ms", "p99 ms", "{:.2f}"),
        ("max_ms", "max ms", "{:.1f}"),
        ("registers", "registers a device", "{:.0f}"),
        ("lateness_p99_ms", "tick lateness, p99 ms", "{:.2f}"),
        ("lateness_max_ms", "max ms", "{:.1f}"),
        ("processes_mib", "memory of both, MiB", "{:,.0f}"),
        ("kernel_mib", "and of the kernel, MiB", "{:,.0f}"),
        ("server_cpu", "server, % of a core", "{:.0f}"),
        ("poller_cpu", "head-end, % of a core", "{:.0f}"),
    )
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for dead in DEAD:
            console.print(f"{100 * dead:g} % dead ...")
            found.append(one(Path(folder), dead, chosen.seconds, chosen.devices))
    table.add_column("")
    for dead in DEAD:
        table.add_column(f"{100 * dead:g} % dead", justify="right")
    for key, title, shape in rows:
        table.add_row(title, *(shape.format(f[key]) for f in found))
    console.print(table)
    for name, most in LIMITS.items():
        mark = "kept" if found[0][name] <= most else "MISSED"
        console.print(f"{name}: {found[0][name]:.4g}, at most {most:g}: {mark}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(dict(zip(map(str, DEAD), found, strict=True)), indent=1))
    return 1 if any(found[0][name] > most for name, most in LIMITS.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
