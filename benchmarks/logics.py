"""The reference logic against three simpler ones on the same seeds, in CNY and in verdicts.

    python benchmarks/logics.py --scenario summer-peak-2027 --seeds 1-20 --jobs 2

Prices stand in ``twin/record/costs.toml``. Every logic meets the same day of the same seed; the
table shows means and paired differences with 95 % intervals. One file a seed and logic is left
in ``out/logics/<scenario>/``, so that a run that broke off goes on; files of other code are made
anew. The capability call is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.comparison.runs import LOGICS, built_for, code_key, seed_rows
from benchmarks.comparison.table import markdown, summary


def seeds_of(text: str) -> list[int]:
    """Return the seeds of a list such as ``1-3,7``."""
    out: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        out += range(int(first), int(last or first) + 1)
    return out


def file_of(folder: Path, seed: int, logic: str) -> Path:
    return folder / f"{seed:03d}-{logic.replace(' ', '-')}.json"


def held(folder: Path, seed: int, logic: str, key: str) -> dict[str, Any] | None:
    """Return an earlier result of the same code, or None."""
    path = file_of(folder, seed, logic)
    if not path.exists():
        return None
    row: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return row if row.get("key") == key else None


def run_seed(
    scenario: str, seed: int, assignments: Sequence[str], names: Sequence[str], folder: Path,
    key: str, core: int | None,
) -> str:  # fmt: skip
    """Run one seed in a process of its own and leave its files; return what to say."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    begun = time.perf_counter()
    for row in seed_rows(scenario, seed, assignments, names):
        path = file_of(folder, seed, row["logic"])
        part = path.with_suffix(".part")
        part.write_text(json.dumps({**row, "key": key}, ensure_ascii=False), "utf-8")
        part.replace(path)
    return f"seed {seed}: {len(names)} logics, {time.perf_counter() - begun:.0f} s"


def run_all(args: argparse.Namespace, seeds: Sequence[int], folder: Path, key: str) -> None:
    names = list(LOGICS)
    open_seeds = {seed: [n for n in names if held(folder, seed, n, key) is None] for seed in seeds}
    work = [(seed, left) for seed, left in open_seeds.items() if left]
    if not work:
        return
    built_for(args.scenario, work[0][0], args.set)  # fills the caches that all seeds share
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    jobs = min(args.jobs, len(work))
    with ProcessPoolExecutor(jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        tasks = [
            pool.submit(
                run_seed, args.scenario, seed, args.set, left, folder, key,
                cores[i % jobs] if 1 < jobs <= len(cores) else None,
            )
            for i, (seed, left) in enumerate(work)
        ]  # fmt: skip
        for task in as_completed(tasks):
            print(task.result(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--scenario", default="tiny")
    parser.add_argument("--seeds", default="1-2", help="such as 1-20 or 1,3,7")
    parser.add_argument("--jobs", type=int, default=2, help="seeds that run at the same time")
    parser.add_argument("--set", action="append", default=[], help="as twin run has it")
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    seeds, key = seeds_of(args.seeds), code_key()
    folder = args.out or Path("out") / "logics" / args.scenario
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    run_all(args, seeds, folder, key)
    found = [held(folder, seed, name, key) for seed in seeds for name in LOGICS]
    rows = [row for row in found if row is not None]
    assert len(rows) == len(found), "a seed left no result"
    table = summary(rows, list(LOGICS))
    text = markdown(table, list(LOGICS), f"Logics compared on {args.scenario}")
    (folder / "summary.json").write_text(json.dumps(table, indent=1, ensure_ascii=False), "utf-8")
    (folder / "table.md").write_text(text, "utf-8")
    print(text)
    print(f"{len(seeds)} seeds x {len(LOGICS)} logics in {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
