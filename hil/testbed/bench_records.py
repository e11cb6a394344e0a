"""What a run with real devices adds to its run directory: where they differ from their twins."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from hil.testbed.attendant import Order
from hil.testbed.bench_loop import BenchLoop, Stand
from hil.testbed.bench_power import FILE
from hil.testbed.difference import columns, compare, thinned
from hil.testbed.feed import Feed
from twin.clock import SECOND_MS, format_time_of_day
from twin.results.store import RunDirectory, plain

__all__ = ["bench_facts", "bench_lines", "exceptions", "keep_bench", "keep_part"]

PART = "bench.json"

# What counts as an exception of a device to an order, on either side.
TWIN_NO = ("refused", "lost")
BENCH_NO = ("refused", "no_register", "line_down", "no_answer", "garbage")
# Orders that never went out say nothing of the device.
UNSENT = ("", "forbidden", "superseded", "lost")


def exceptions(orders: Sequence[Order]) -> dict[str, int]:
    """Return to how many orders both, only the twin, only the bench, and neither made exception.

    ``unsent`` counts those that did not go out: forbidden, superseded, or contact was lost.
    """
    found: Counter[str] = Counter({"both": 0, "twin_only": 0, "bench_only": 0, "neither": 0})
    for order in orders:
        if order.bench in UNSENT:
            found["unsent"] += 1
            continue
        twin, bench = order.twin in TWIN_NO, order.bench in BENCH_NO
        name = "both" if twin and bench else "twin_only" if twin else "bench_only"
        found[name if twin or bench else "neither"] += 1
    return dict(found)


def bench_facts(loop: BenchLoop) -> dict[str, object]:
    """Return the section ``bench`` of ``summary.json``, as far as the loop knows it."""
    found: dict[str, object] = {
        "dry_run": loop.dry,
        "rate": loop.rate,
        "not_proven_safe": loop.unsafe,
        "devices": [_device(loop, stand) for stand in loop.stands],
    }
    if loop.feeds and not loop.dry:
        found["sources"] = [_source(feed, stand) for feed, stand in loop.feeds]
    return found


def _source(feed: Feed, stand: Stand) -> dict[str, object]:
    fed = feed.fed
    return {
        "name": feed.name,
        "bus_of": stand.name,
        "periods": len(fed.now_ms),
        "limited": sum(fed.limited),
        "ramping": sum(fed.ramping),
        "failures": feed.failures,
        "lost": feed.lost,
        "frequency": "nominal: the twin has no frequency of its own",
    }


def _device(loop: BenchLoop, stand: Stand) -> dict[str, object]:
    seen = stand.attendant.last
    device = stand.attendant.device
    period_s = loop.period_ms / SECOND_MS
    power = stand.tracks.get("power_kw")
    lost = None
    if stand.lost is not None:
        lost = {"at": format_time_of_day(stand.lost.now_ms), "why": stand.lost.why}
    return {
        "name": stand.name,
        "replaces": f"{stand.kind}-{stand.row:05d}",
        "map": device.map.name,
        "line": device.line.name,
        "scale": stand.scale,
        "power_from": _path(stand),
        "power_in_load_flow": not loop.dry,
        "lost": lost,
        "safe_state": _safe_state(loop, stand),
        "orders": len(stand.orders),
        "orders_cut": dict(Counter(o.cut for o in stand.orders if o.cut)),
        "answers": dict(Counter(o.bench for o in stand.orders)),
        "exceptions": exceptions(stand.orders),
        "reads_failed": dict(seen.failures),
        "registers_refused": dict(stand.refused),
        "twin_silent_periods": stand.silent_periods,
        "difference": [compare(t, period_s).to_dict() for t in stand.tracks.values()],
        "power": None if power is None else thinned(power, period_s),
    }


def _safe_state(loop: BenchLoop, stand: Stand) -> dict[str, object] | None:
    """Return what was read back at the end; None where the device was only read."""
    proof = None if loop.guard is None else loop.guard.proofs.get(stand.name)
    if proof is None:
        return None
    return {"proven": proof.safe, "read_back": dict(proof.values), "why": proof.why}


def bench_lines(loop: BenchLoop) -> list[str]:
    """Return lines for the command line, one a device and one a finding."""
    lines = []
    period_s = loop.period_ms / SECOND_MS
    for stand in loop.stands:
        power = stand.tracks.get("power_kw")
        found = None if power is None else compare(power, period_s)
        apart = "power never compared"
        if found is not None and found.mean is not None:
            delay = "" if found.delay_s is None else f", {found.delay_s:g} s later"
            apart = f"twin - bench {found.mean:.2f} kW, 95 % within {found.p95_abs:.2f} kW{delay}"
        lines.append(
            f"bench: {stand.name} as {stand.kind}-{stand.row:05d}, scale {stand.scale:g}, power by "
            f"{stand.path}; {len(stand.orders)} orders; {apart}"
        )
        if stand.lost is not None:
            at = format_time_of_day(stand.lost.now_ms)
            lines.append(f"LOST {stand.name} at {at}: {stand.lost.why}; from then on its twin")
    if loop.rate != 1.0:
        lines.append(
            f"bench: {loop.rate:g} simulated seconds in one of a real device's: its energy, "
            "temperature and delays are not those of the city's clock"
        )
    if loop.unsafe:
        lines.append(f"NOT PROVEN SAFE: {loop.unsafe}; look at the devices themselves")
    return lines


def _path(stand: Stand) -> dict[str, object]:
    """Say by which way the load flow has a device's power, and how well it is known."""
    attendant = stand.attendant
    power = attendant.last.power
    error_kw = None if power is None else power.accuracy
    if attendant.meter is not None:
        about = attendant.meter.about()
        calibrated = None if about.calibrated is None else about.calibrated.isoformat()
        return {
            "path": "meter", "name": about.name, "driver": about.driver,
            "class_pct": about.class_pct, "sampling_s": about.sampling_s,
            "calibrated": calibrated, "uncertainty_kw": error_kw,
        }  # fmt: skip
    register = attendant.device.meanings.readings.get("power_kw", "")
    return {
        "path": "register", "name": register, "sampling_s": attendant.interval_s,
        "resolution_kw": None if error_kw is None else 2.0 * error_kw,
    }  # fmt: skip


def keep_bench(loop: BenchLoop, store: RunDirectory) -> None:
    """Write what was compared, ordered and taken into the load flow, and the source's way."""
    tracks = [t for stand in loop.stands for t in stand.tracks.values()]
    store.write_table("bench.parquet", pa.table(dict(columns(tracks))))
    store.write_table("bench_orders.parquet", pa.table(_orders(loop.stands)))
    store.write_table(FILE, loop.taken.table())
    if loop.feeds:
        parts = [
            pa.table({"source": [feed.name] * len(feed.fed.now_ms), **feed.fed.columns()})
            for feed, _ in loop.feeds
        ]
        store.write_table("source.parquet", pa.concat_tables(parts, promote_options="permissive"))


def keep_part(loop: BenchLoop, folder: Path) -> None:
    """Write ``bench.json``, what is known of the devices after a run that broke off."""
    text = json.dumps(plain(bench_facts(loop)), ensure_ascii=False, indent=1)
    (folder / PART).write_text(text + "\n", encoding="utf-8")


def _orders(stands: Sequence[Stand]) -> Mapping[str, list[object]]:
    found: dict[str, list[object]] = {"device": []}
    found |= {name: [] for name in Order.__slots__}
    for stand in stands:
        for order in sorted(stand.orders, key=lambda o: o.now_ms):
            found["device"].append(stand.name)
            for name in Order.__slots__:
                found[name].append(getattr(order, name))
    return found
