"""Verdicts on supervision: what was reported against what was true, over the whole run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from twin.clock import MINUTE_MS
from twin.record.exchange import Alarm, AlarmQuality
from twin.record.history import History
from twin.record.monitor import AGE_BIN, POWER_BIN, SOC_BIN, MonitorTally, percentile
from twin.verify.verdict import NO_ALARMS, NO_REPORT, Scope, Sheet, rules

__all__ = ["IDS", "judge_monitoring", "match_alarms"]

IDS = (
    "monitor.power_error",
    "monitor.soc_error",
    "monitor.energy_error",
    "monitor.freshness",
    "monitor.coverage",
    "monitor.states",
    "monitor.alarms",
    "monitor.false_alarms",
)

# An alarm is found in time, and its start right, within this (assumed: two poll periods of the
# slowest devices).
TOLERANCE_MS = 10 * MINUTE_MS

# (start, end) [ms] by device and condition.
Intervals: TypeAlias = dict[tuple[str, int, str], list[tuple[int, int]]]


def judge_monitoring(final: History, *, outside: bool = False) -> Sheet:
    """Return every ``monitor.*`` verdict on the run with all orders.

    A platform `outside` may report its figures of the fleet, and reports no alarms.
    """
    sheet = Sheet(None)
    run = Scope(None, float(final.filled))
    tally = final.monitor
    if outside and (tally is None or int(tally.age.sum()) == 0):
        for id_ in IDS:
            sheet.not_applicable(id_, NO_ALARMS if "alarms" in id_ else NO_REPORT)
        return sheet
    if tally is None or int(tally.registered.sum()) == 0:
        for id_ in IDS[:6]:
            sheet.add(id_, None, "no tally of reports was kept", scope=run)
    else:
        error = percentile(tally.power.sum(axis=0), POWER_BIN, 0.95)
        beyond = "the 95th percentile is missing or beyond the scale"
        value = None if error is None else 100.0 * error
        why = _why(error, beyond) or _beyond_limit(tally)
        sheet.add("monitor.power_error", value, why, scope=run)
        soc = percentile(tally.soc, SOC_BIN, 0.95)
        if int(tally.soc.sum()) == 0:
            for id_ in IDS[1:3]:
                sheet.add(id_, 0.0, "no storage is registered", scope=run)
        else:
            sheet.add("monitor.soc_error", soc, _why(soc, beyond), scope=run)
            true_kwh = tally.energy_true_kwh
            share = 100.0 * tally.energy_error_kwh / true_kwh if true_kwh > 0.0 else None
            reason = None if share is not None else "no storage moved any energy"
            sheet.add("monitor.energy_error", share, reason, scope=run)
        age = percentile(tally.age.sum(axis=0), AGE_BIN, 0.99)
        beyond = "nothing was reported, or the 99th percentile is beyond the scale"
        sheet.add("monitor.freshness", age, _why(age, beyond), scope=run)
        covered = 100.0 * float(tally.covered.sum()) / float(tally.registered.sum())
        sheet.add("monitor.coverage", covered, scope=run)
        _states(sheet, tally, run)
    if outside:
        for id_ in IDS[6:]:
            sheet.not_applicable(id_, NO_ALARMS)
    else:
        _alarms(sheet, final)
    return sheet


def _beyond_limit(tally: MonitorTally) -> str | None:
    """Return which kinds the device-minutes beyond the limit of the power error are of."""
    limit = rules()["monitor.power_error"].limit
    if limit is None:
        return None
    beyond = tally.power[:, round(limit / 100.0 / POWER_BIN) :].sum(axis=1)
    if beyond.sum() == 0:
        return None
    share = 100.0 * beyond / beyond.sum()
    kinds = [f"{tally.kinds[k]} {share[k]:.0f} %" for k in np.argsort(-share, kind="stable")[:3]]
    part = 100.0 * beyond.sum() / tally.power.sum()
    return f"{part:.1f} % of device-minutes are beyond {limit:g} %, of them {', '.join(kinds)}"


def _states(sheet: Sheet, tally: MonitorTally, run: Scope) -> None:
    """Give the share of looks at which a device's state was believed as it was."""
    seen = int(tally.states_seen.sum())
    if seen == 0:
        sheet.add("monitor.states", None, "no true state was looked at", scope=run)
        return
    right = tally.states_right / np.maximum(tally.states_seen, 1)
    worst = min((k for k in range(len(right)) if tally.states_seen[k] > 0), key=lambda k: right[k])
    reason = f"least of {tally.kinds[worst]}: {100.0 * right[worst]:.1f} %"
    value = 100.0 * float(tally.states_right.sum()) / seen
    sheet.add("monitor.states", value, reason, scope=run)


def _why(value: float | None, reason: str) -> str | None:
    return None if value is not None and value != float("inf") else reason


# -- alarms ----------------------------------------------------------------------------------


def _merged(
    rows: Iterable[Alarm], end_ms: int
) -> dict[tuple[str, int, str], list[tuple[int, int]]]:
    """Return the intervals of each alarm; one still standing ends with the run."""
    ends: dict[tuple[str, int, str, int], int | None] = {}
    for row in rows:
        key = (row.kind, row.row, row.condition, row.start_ms)
        if row.end_ms is not None or key not in ends:
            ends[key] = row.end_ms
    found: Intervals = defaultdict(list)
    for (kind, device, condition, start_ms), stop_ms in ends.items():
        found[(kind, device, condition)].append((start_ms, end_ms if stop_ms is None else stop_ms))
    return found


def match_alarms(
    believed: Iterable[Alarm], true: Iterable[Alarm], end_ms: int
) -> tuple[int, int, int, int]:
    """Return (true alarms, of them found, believed alarms, of them false).

    A true alarm is found when one of the same device and condition stands at any moment from
    its start to `TOLERANCE_MS` later; a believed one is false when no true one of the same
    device and condition stands within `TOLERANCE_MS` of its start.
    """
    seen, real = _merged(believed, end_ms), _merged(true, end_ms)
    found = sum(
        any(s <= start + TOLERANCE_MS and e >= start for s, e in seen.get(key, ()))
        for key, spans in real.items()
        for start, _ in spans
    )
    false = sum(
        not any(s - TOLERANCE_MS <= start <= e + TOLERANCE_MS for s, e in real.get(key, ()))
        for key, spans in seen.items()
        for start, _ in spans
    )
    return sum(map(len, real.values())), found, sum(map(len, seen.values())), false


def _alarms(sheet: Sheet, final: History) -> None:
    end_ms = final.start_ms + final.filled * MINUTE_MS
    true, found, raised, false = match_alarms(final.alarms, final.true_alarms, end_ms)
    run = Scope(None, float(final.filled))
    if true == 0:
        sheet.add("monitor.alarms", 100.0, "no true alarm stood in this run", scope=run)
    else:
        reason = f"{found} of {true}"
        sheet.add("monitor.alarms", 100.0 * found / true, reason, scope=run)
    if raised == 0:
        sheet.add("monitor.false_alarms", 0.0, "no alarm was raised", scope=run)
    else:
        doubtful = sum(
            a.end_ms is None and a.quality is AlarmQuality.DOUBTFUL for a in final.alarms
        )
        reason = f"{false} of {raised}; {doubtful} were raised as doubtful"
        sheet.add("monitor.false_alarms", 100.0 * false / raised, reason, scope=run)
