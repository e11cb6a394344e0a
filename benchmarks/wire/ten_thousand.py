"""Ten thousand devices, an own address each, served on wall time and read whole once a second.

`hil serve` runs the city of 2027 at rate 1 with 10 000 of its devices on the network; a head-end
in a process of its own reads every device's full telemetry each second for a minute. Then the
same with 1 % and 10 % of the devices dead (they accept a connection and never answer), and what
the healthy ones notice. A poll is missed when its answer is not complete within its second.

    .venv/bin/python benchmarks/wire/ten_thousand.py [--seconds 60] [--devices 10000]

Everything stays on the loopback network and ends by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
HIL = Path(sys.executable).with_name("hil")
SCENARIO, BEGIN = "quiet-day", "10:00"
KINDS = "storage,aircon,charging,swap,solar,industry,hydrogen,shorepower,icestore,terminal"
DEAD = (0.0, 0.01, 0.10)
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


def one(folder: Path, dead: float, seconds: float, devices: int) -> dict[str, float]:
    """Serve and poll once; return the figures."""
    inventory, stats = folder / "devices.csv", folder / "poll.json"
    limit = -(-devices // 2)  # of a kind; the poller takes the first `devices` of all
    command = [
        str(HIL), "serve", SCENARIO, "--rate", "1", "--address", "ip", "--kinds", KINDS,
        "--limit", str(limit), "--inventory", str(inventory), "--json", "--reliable",
        "--set", f'start="{BEGIN}"', "--set", f"manners={manners(dead)}",
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        if not server.stdout.readline().startswith("{"):
            sys.exit(server.communicate()[1])
        poller = subprocess.Popen(
            [sys.executable, str(HERE / "polling.py"), str(inventory), str(stats),
             "--seconds", str(seconds), "--devices", str(devices)],
        )  # fmt: skip
        before, begun = cpu_s(server.pid), time.monotonic()
        memory = 0.0
        used = 0.0
        while poller.poll() is None:
            time.sleep(1.0)
            with suppress(ProcessLookupError, FileNotFoundError):  # it may end meanwhile
                memory = max(memory, pss_mib(server.pid) + pss_mib(poller.pid))
                used = cpu_s(poller.pid)
        wall = time.monotonic() - begun
        served = cpu_s(server.pid) - before
        server.send_signal(2)
        errors = server.communicate(timeout=60)[1]
    finally:
        server.kill()
        server.wait()
    found = json.loads(stats.read_text("utf-8"))
    line = next(t for t in errors.replace("\n", " ").split("served ") if "lateness p99" in t)
    words = line.replace(",", "").split()
    found["lateness_p99_ms"] = float(words[words.index("p99") + 1])
    found["lateness_max_ms"] = float(words[words.index("max") + 1])
    return {
        **found,
        "memory_mib": memory,
        "server_cpu": 100.0 * served / wall,
        "poller_cpu": 100.0 * used / wall,
    }


def manners(dead: float) -> str:
    """Return the scenario's manners: a share of every kind that never answers."""
    if dead == 0.0:
        return "[]"
    rows = [f'{{kind="{k}",share={dead},no_answer_share=1.0}}' for k in KINDS.split(",")]
    return "[" + ",".join(rows) + "]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    console = Console()
    table = Table(title=f"{chosen.devices:,} devices read whole once a second")
    rows = (
        ("polls", "polls of healthy devices", "{:,.0f}"),
        ("missed", "missed", "{:,.0f}"),
        ("p50_ms", "request to answer, p50 ms", "{:.2f}"),
        ("p99_ms", "p99 ms", "{:.2f}"),
        ("max_ms", "max ms", "{:.1f}"),
        ("registers", "registers a device", "{:.0f}"),
        ("lateness_p99_ms", "tick lateness, p99 ms", "{:.2f}"),
        ("lateness_max_ms", "max ms", "{:.1f}"),
        ("memory_mib", "memory of both, MiB", "{:,.0f}"),
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
        worst = found[0][name]
        mark = "kept" if worst <= most else "MISSED"
        console.print(f"{name}: {worst:.4g}, at most {most:g}: {mark}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(dict(zip(map(str, DEAD), found, strict=True)), indent=1))


if __name__ == "__main__":
    main()
