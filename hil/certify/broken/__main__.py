"""``python -m hil.certify.broken``: the table of suites, broken devices and good ones."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from hil.certify.broken import BROKEN, GOOD
from hil.certify.broken.table import Row, row_of, written
from hil.certify.suites import SUITES
from twin.city.spelling import did_you_mean

DEVICES = {**BROKEN, **GOOD}


def main(argv: Sequence[str] | None = None) -> int:
    """Make the table; return 0 where every device is right with every seed, else 1."""
    parser = argparse.ArgumentParser(prog="python -m hil.certify.broken", description=__doc__)
    parser.add_argument("--seeds", default="1", help="one, or a range such as 1-10")
    parser.add_argument("--device", action="append", help="only this one; may be repeated")
    parser.add_argument("--suite", action="append", choices=sorted(SUITES), help="only this one")
    parser.add_argument(
        "--short", action="store_true",
        help="on broken devices the register map and the suite that must find the fault only",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=8, help="devices at a time")
    given = parser.parse_args(argv)
    names = tuple(DEVICES)
    for name in given.device or ():
        if name not in names:
            parser.error(f"--device {name}: no such device{did_you_mean(name, names)}")
    try:
        first, _, last = given.seeds.partition("-")
        seeds = range(int(first), int(last or first) + 1)
    except ValueError:
        seeds = range(0)
    if len(seeds) == 0:
        parser.error(f"--seeds {given.seeds}: a whole number, or a range such as 1-10")
    if given.jobs < 1:
        parser.error(f"--jobs {given.jobs}: 1 or more")
    begun_s = time.monotonic()
    suites = None if given.suite is None else tuple(given.suite)
    done: dict[tuple[str, int], Row] = {}
    for seed in seeds:
        tasks = [(name, seed, suites, given.short) for name in given.device or names]
        # Most of a run is waiting for answers that do not come: more jobs than cores pay. A
        # seed's processes end with it and give their memory back.
        with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
            if not done:
                pool.submit(row_of, tasks[0]).result()  # alone: it compiles for the others
            for one in as_completed([pool.submit(row_of, task) for task in tasks]):
                row = one.result()
                done[row.device, row.seed] = row
                said = ", ".join(row.failed) or "nothing failed"
                sys.stderr.write(f"{row.device} seed {row.seed}, {row.wall_s:.1f} s: {said}\n")
    rows = [done[name, seed] for name in given.device or names for seed in seeds]
    sys.stdout.write(written(rows))
    sys.stdout.write(f"{time.monotonic() - begun_s:.0f} s\n")
    return 0 if all(row.right for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
