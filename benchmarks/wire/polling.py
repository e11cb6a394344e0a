"""The head-end of `ten_thousand.py`: reads every device whole, once a second, and counts."""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hil.headend import DeviceEntry, Habits, HeadEnd
from hil.headend.figures import Figures
from hil.registers.files import load_map
from hil.registers.kinds import catalogue
from twin.record.columns import Columns
from twin.record.exchange import KindInventory

WARM_ROUNDS = 3  # to compile and connect; not counted


def evenly(rows: list[dict[str, str]], count: int) -> Iterable[dict[str, str]]:
    """Return `count` of the rows, spread over all of them."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))
    return (rows[int(i)] for i in chosen)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("inventory", type=Path)
    parser.add_argument("stats", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--devices", type=int, default=10_000)
    chosen = parser.parse_args()
    with chosen.inventory.open(encoding="utf-8-sig", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["kind"] != "dispatcher"]
    count: dict[str, int] = {}
    entries = []
    for row in evenly(rows, chosen.devices):
        number = count.get(row["kind"], 0)
        count[row["kind"]] = number + 1
        entries.append(
            DeviceEntry(row["kind"], number, row["address"], int(row["port"]), int(row["unit"]),
                        row["map"])
        )  # fmt: skip
    known = catalogue()
    kinds = {
        k: KindInventory(
            k, tuple(known[k].points.values()), tuple(known[k].setpoints.values()),
            Columns({"rated_kw": np.ones(n)}),
        )
        for k, n in count.items()
    }  # fmt: skip
    latencies, missed, polls = [], 0, 0
    with HeadEnd(entries, kinds, habits=Habits(timeout_s=0.5, retries=0)) as headend:
        headend.connect(30.0)
        for number in range(WARM_ROUNDS):
            headend.poll(tuple(kinds), number, 5.0)
        dead = headend.report()["reads"] == 0
        headend.counters = Figures(len(entries))
        begun = time.monotonic()
        for number in range(int(chosen.seconds)):
            due = begun + number
            time.sleep(max(due - time.monotonic(), 0.0))
            before = headend.report()
            headend.poll(tuple(kinds), number, max(due + 1.0 - time.monotonic(), 0.01))
            after = headend.report()
            good = after["reads"] > before["reads"]
            polls += int((~dead).sum())
            missed += int((~good & ~dead).sum())
            latencies.append(headend.figures())
    wide = [sum(p.width for p in load_map(e.map).points if p.cls in ("yc", "yx")) for e in entries]
    figures = latencies[-1]
    found = {
        "devices": len(entries),
        "dead": int(dead.sum()),
        "polls": polls,
        "missed": missed,
        "registers": float(np.mean(wide)),
        "p50_ms": figures["latency_ms"]["p50"],
        "p99_ms": figures["latency_ms"]["p99"],
        "max_ms": figures["latency_ms"]["max"],
    }
    chosen.stats.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
