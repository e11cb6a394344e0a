"""Server CPU time per request: ours, libmodbus in C, stock pymodbus, and what the kernel takes.

The figure is user and system time of the server process over the requests that it answered, each
for 100 holding registers; it does not depend on how fast the load generator is. Requests per
second stand beside it. The server is pinned to one core and the load generator to another; every
run starts the server anew, and the servers take turns, so that a change of the machine's mood
meets all of them. Medians are printed with the smallest and the largest run; a ratio is taken
within a run. Every server holds the same ramp and the load generator checks every register of
every answer. ``floor`` is no server: it receives and sends as often and does nothing else.

A wrong or missing answer, or a ratio of the compiled body above its limit, ends in status 1;
missing tools in 2.

Run: ``python benchmarks/wire/server_cost.py [--seconds 3] [--runs 7] [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.wire.processes import ADDRESS, BenchError, Sample, free_port, measure, server
from benchmarks.wire.programs import HERE, Programs, build, missing_tools

CONNECTIONS = (50, 900)
RUNS = 7
FLOOR, LIBMODBUS, OURS, PORTABLE, PYMODBUS = "floor", "libmodbus", "ours", "portable", "pymodbus"
# Most that the compiled body may need, as a share of what another server needs.
LIMITS = {LIBMODBUS: 1.0, PYMODBUS: 0.1}

Runs = dict[tuple[str, int], list[Sample]]  # by server and connections


def commands(programs: Programs, port: int) -> dict[str, list[str]]:
    """Return the servers in the order in which they take turns."""
    ours = [sys.executable, str(HERE / "our_server.py")]
    stock = [sys.executable, str(HERE / "stock_pymodbus.py")]
    place = ["--address", ADDRESS, "--port", str(port)]
    return {
        FLOOR: [str(programs.floor), ADDRESS, str(port)],
        LIBMODBUS: [str(programs.libmodbus_server), ADDRESS, str(port)],
        OURS: [*ours, *place, "--body", "compiled"],
        PORTABLE: [*ours, *place, "--body", "portable"],
        PYMODBUS: [*stock, *place],
    }


def run_all(programs: Programs, options: argparse.Namespace, say: Console) -> Runs:
    """Let the servers take turns and return their samples."""
    server_core, load_core = sorted(os.sched_getaffinity(0))[:2]
    runs: Runs = {}
    for number in range(options.runs):
        for connections in options.connections:
            for name in (FLOOR, LIBMODBUS, OURS, PORTABLE, PYMODBUS):
                port = free_port()
                with server(commands(programs, port)[name], server_core) as pid:
                    sample = measure(
                        programs.load, pid, port, connections, options.seconds, load_core, "--ramp"
                    )
                runs.setdefault((name, connections), []).append(sample)
                say.print(
                    f"run {number + 1}/{options.runs} {name:9s} {connections:3d} connections "
                    f"{sample.cpu_us:7.2f} us {sample.per_second:9.0f}/s {sample.errors} errors"
                )
    return runs


def spread(values: Iterable[float], digits: int) -> str:
    """Return median and range as text."""
    found = sorted(values)
    middle = statistics.median(found)
    return f"{middle:,.{digits}f} ({found[0]:,.{digits}f}..{found[-1]:,.{digits}f})"


def ratios(runs: Runs) -> dict[tuple[str, int], list[float]]:
    """Return CPU time per request of ours over each other server's, run by run."""
    return {
        (name, connections): [
            mine.cpu_us / other.cpu_us
            for mine, other in zip(runs[OURS, connections], samples, strict=True)
        ]
        for (name, connections), samples in runs.items()
        if name != OURS
    }


def verdict(name: str, values: list[float]) -> str:
    """Return what the limit on a ratio says; empty where there is none."""
    if name not in LIMITS:
        return ""
    kept = statistics.median(values) <= LIMITS[name]
    return f"at most {LIMITS[name]:g}: {'kept' if kept else 'MISSED'}"


def tables(runs: Runs, options: argparse.Namespace) -> list[Table]:
    """Return the figures and the ratios for the terminal."""
    figures = Table(
        title=f"{options.runs} alternating runs of {options.seconds} s, 100 registers: "
        "median (min..max)"
    )
    for heading in ("connections", "server", "CPU us/request", "requests/s", "p50 us", "p99 us"):
        figures.add_column(heading, justify="left" if heading == "server" else "right")
    figures.add_column("errors", justify="right")
    for (name, connections), samples in sorted(runs.items(), key=lambda item: item[0][1]):
        figures.add_row(
            str(connections),
            name,
            spread((s.cpu_us for s in samples), 2),
            spread((s.per_second for s in samples), 0),
            f"{statistics.median(s.p50_us for s in samples):,.0f}",
            f"{statistics.median(s.p99_us for s in samples):,.0f}",
            str(sum(s.errors for s in samples)),
        )
    shares = Table(title="CPU time per request, ratio within a run: median (min..max)")
    shares.add_column("ratio")
    shares.add_column("value", justify="right")
    shares.add_column("limit on the median")
    for (name, connections), values in sorted(ratios(runs).items(), key=lambda item: item[0][1]):
        shares.add_row(f"{OURS}/{name} at {connections}", spread(values, 3), verdict(name, values))
    return [figures, shares]


def record(runs: Runs, options: argparse.Namespace) -> dict[str, object]:
    """Return everything as JSON holds it."""
    return {
        "machine": platform.machine(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "seconds": options.seconds,
        "registers": 100,
        "servers": [
            {
                "server": name,
                "connections": connections,
                "cpu_us": statistics.median(s.cpu_us for s in samples),
                "per_second": statistics.median(s.per_second for s in samples),
                "runs": [{**asdict(s), "cpu_us": s.cpu_us} for s in samples],
            }
            for (name, connections), samples in runs.items()
        ],
        "ratios": {
            f"{OURS}/{name} at {connections}": {
                "median": statistics.median(values),
                "limit": LIMITS.get(name),
                "runs": values,
            }
            for (name, connections), values in ratios(runs).items()
        },
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=3, choices=range(1, 61), metavar="1..60")
    parser.add_argument("--runs", type=int, default=RUNS, choices=range(1, 51), metavar="1..50")
    parser.add_argument("--connections", type=int, nargs="+", default=list(CONNECTIONS))
    parser.add_argument("--json", type=Path, help="write every run to this file")
    parser.add_argument("--build", type=Path, default=Path("out/bench"), help="for the programs")
    return parser.parse_args()


def main() -> int:
    options = parse()
    say = Console(stderr=True, highlight=False)
    wanted = missing_tools()
    if len(os.sched_getaffinity(0)) < 2:
        wanted.append("a second core: server and load generator each have their own")
    if wanted:
        say.print("\n".join(f"missing: {line}" for line in wanted))
        return 2
    programs = build(options.build)
    try:
        runs = run_all(programs, options, say)
    except BenchError as error:
        say.print(str(error), markup=False)
        return 1
    for table in tables(runs, options):
        Console(width=120).print(table)
    if options.json is not None:
        options.json.write_text(json.dumps(record(runs, options), indent=1) + "\n")
    wrong = any(s.errors > 0 for samples in runs.values() for s in samples)
    missed = any("MISSED" in verdict(name, values) for (name, _), values in ratios(runs).items())
    return 1 if wrong or missed else 0


if __name__ == "__main__":
    sys.exit(main())
