"""What the platform says it can hold, called and compared, by kind, direction and horizon.

At many hours of a day the run is forked and every device asked to hold what it can for 30, 60 or
120 minutes, up and down; `twin/verify/flexibility.py` has the definitions. No load flow is made:
network limits are no part of a device's capability.

    python benchmarks/flexibility.py --seeds 1 2 3
    python benchmarks/flexibility.py --part --seeds 11 --every 4
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.capability.sustained import HORIZONS_MIN, LEAD_MS
from twin.control.platform import Platform
from twin.engine.simulation import Simulation
from twin.record.orders import Order, OrderForm, OrderKind
from twin.scenario.branches import recorder_of
from twin.scenario.build import Built, build, calibrated
from twin.scenario.files import check_draft, find_scenario, read_draft
from twin.scenario.timetable import notice_entry
from twin.scenario.warm_start import warmed
from twin.verify.flexibility import Held, held_by_kind, summary

# Three of the eleven districts, for a quick look: some 3 100 devices in groups of a few each.
DISTRICTS = 'city.districts=["番禺", "黄埔", "天河"]'
Found = dict[tuple[str, str, int], list[Held]]


def prepared(name: str, part: bool, seed: int) -> Built:
    """Return the scenario's city without orders."""
    path = find_scenario(name)
    where = (DISTRICTS,) if part else ()
    changes = (*where, 'start="00:00"', 'end="24:00"', "orders=[]", f"seed={seed}")
    return warmed(calibrated(build(check_draft(read_draft(path, changes)), path)), Platform)


def question(now_ms: int, horizon_min: int, form: OrderForm) -> Order:
    """Return the call that is given at `now_ms`."""
    full_ms = now_ms + LEAD_MS
    return Order(
        f"{form.value}-{horizon_min}", 0, OrderKind.SUSTAINED, form, None, 0,
        now_ms, now_ms, full_ms, full_ms + horizon_min * MINUTE_MS,
    )  # fmt: skip


def called(built: Built, run: Simulation, order: Order) -> Simulation:
    """Return the fork of `run` that was asked, at the end of the call."""
    logic = Platform()
    logic.start(built.world.inventory, built.calendar())
    fork = run.fork(logic, (notice_entry(order),))
    fork.run(order.end_ms)
    return fork


def begun(built: Built) -> Simulation:
    """Return the undisturbed run at midnight under a platform that has watched the day before."""
    run = built.start(Platform())
    run.grid = None
    recorder_of(run).stop_supervision()
    return run


def day(built: Built, hours: list[int], found: Found) -> None:
    """Ask at each of `hours` and add what was held to `found`."""
    run = begun(built)
    base = recorder_of(run).history
    open_calls: list[tuple[Order, Simulation]] = []
    for now_ms in [h * HOUR_MS for h in hours] + [built.world.end_ms]:
        run.run(now_ms)
        over = [(order, fork) for order, fork in open_calls if order.end_ms <= now_ms]
        open_calls = [(order, fork) for order, fork in open_calls if order.end_ms > now_ms]
        for order, fork in over:
            history = recorder_of(fork).history
            for kind, held in held_by_kind(history, base, order, built.world.inventory).items():
                horizon = (order.end_ms - order.full_by_ms) // MINUTE_MS
                found[kind, order.form.value, horizon].append(held)
        for horizon in HORIZONS_MIN:
            for form in (OrderForm.REDUCTION, OrderForm.INCREASE):
                order = question(now_ms, horizon, form)
                if order.end_ms <= built.world.end_ms:
                    open_calls.append((order, called(built, run, order)))


def table(found: Found) -> list[dict[str, object]]:
    """Return one row a kind, direction and horizon."""
    rows = []
    for (kind, form, horizon), calls in sorted(found.items()):
        direction = "down" if form == OrderForm.INCREASE.value else "up"
        rows.append({"kind": kind, "way": direction, "min": horizon, **summary(calls)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", default="summer-peak-2027")
    parser.add_argument("--part", action="store_true", help="three districts only")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--every", type=int, default=2, help="hours between two calls")
    parser.add_argument("--out", type=Path, help="write the table as JSON")
    chosen = parser.parse_args()
    found: Found = defaultdict(list)
    for seed in chosen.seeds:
        hours = list(range(8, 23, chosen.every))
        day(prepared(chosen.scenario, chosen.part, seed), hours, found)
    rows = table(found)
    print(
        f"{'kind':<11}{'way':<5}{'min':>4}{'calls':>6}{'connected':>10}{'said':>9}{'held':>9}"
        f"{'signed %':>9}{'median %':>9}{'kind %':>9}{'device %':>9}{'groups':>7}{'none':>6}"
    )
    keys = (
        "signed_error_pct", "median_error_pct", "kind_median_error_pct", "device_median_error_pct",
    )  # fmt: skip
    for row in rows:
        errors = "".join(f"{'-' if row[k] is None else f'{row[k]:.1f}':>9}" for k in keys)
        print(
            f"{row['kind']:<11}{row['way']:<5}{row['min']:>4}{row['calls']:>6}"
            f"{row['connected_mw']:>10.1f}{row['said_mw']:>9.2f}{row['held_mw']:>9.2f}{errors}"
            f"{row['groups']:>7}{row['groups_with_nothing']:>6}"
        )
    if chosen.out is not None:
        chosen.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
