"""Alarms that the platform raises from what it believes, with start, end and quality.

The conditions are those of ``twin/record/alarms.toml``. An alarm is doubtful where what it
rests on is: a value older than a poll period and a half, one that was mended, or one that
stands because the last reading could not be believed. Silence itself is never in doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS, SECOND_MS
from twin.control.memory import whole
from twin.control.supervision.watch import NEVER_MS, Watch
from twin.record.alarms import Condition, conditions
from twin.record.exchange import Alarm, AlarmQuality
from twin.record.table import Table

__all__ = ["STANDS_MS", "Alarms", "alarm_table"]

OLD_PERIODS = 1.5  # a value older than this makes an alarm doubtful (assumed)
STANDS_MS = -1  # end of an alarm that still stands, in the reported table
SILENCE = "silent_periods"


class Alarms:
    """The alarms of one kind.

    Parameters
    ----------
    watch : what is believed of it

    Attributes
    ----------
    memory : extra arrays ``held_ms`` and ``since_ms`` int64[rules, n], ``watched`` int64[rules]
        (devices beyond a limit or under an alarm) and ``looked_ms`` of the last look
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.rules = tuple(c for c in conditions() if c.applies(watch.kind.name))
        rules = len(self.rules)
        self.memory = Table(
            (),
            0,
            {
                "held_ms": np.zeros((rules, watch.n), np.int64),
                "since_ms": np.full((rules, watch.n), NEVER_MS, np.int64),
                "watched": np.zeros(rules, np.int64),
                "looked_ms": np.full(1, NEVER_MS, np.int64),
            },
        )

    def look(self, now_ms: int) -> list[Alarm]:
        """Return alarms that began or ended, from what is believed at `now_ms`.

        Only rows beyond a limit, or already under watch, are looked at closely.
        """
        found: list[Alarm] = []
        watch, counts = self.watch, whole(self.memory, "watched")
        looked = int(self.memory["looked_ms"][0])
        passed = MINUTE_MS if looked == NEVER_MS else now_ms - looked
        self.memory["looked_ms"] = now_ms
        late = np.flatnonzero(whole(watch.memory, "time_ms") < now_ms - 2 * watch.period_ms)
        for i, rule in enumerate(self.rules):
            if rule.quantity == SILENCE:
                beyond = late
                if len(late) == 0 and counts[i] == 0:
                    continue
                value = watch.silent_periods(now_ms)
            else:
                seen = self._quantity(rule)
                if seen is None:
                    continue
                value, outside = seen, seen > rule.above
                if rule.below > -np.inf:
                    outside |= seen < rule.below
                beyond = np.flatnonzero(outside)
            if len(beyond) > 0 or counts[i] > 0:
                found += self._judge(i, value, beyond, passed, now_ms)
        return found

    def _judge(
        self, i: int, value: NDArray[np.float64], beyond: NDArray[np.int64], passed: int,
        now_ms: int,
    ) -> list[Alarm]:  # fmt: skip
        """Return what begins or ends under rule `i` at rows beyond its limit or watched."""
        rule = self.rules[i]
        since, held = whole(self.memory, "since_ms")[i], whole(self.memory, "held_ms")[i]
        watched = (held > 0) | (since != NEVER_MS)
        watched[beyond] = True
        rows = np.flatnonzero(watched)
        standing = since[rows] != NEVER_MS
        holds = rule.holds(value[rows], standing)
        # A first sight says nothing of the time since the last look but its last minute.
        before = held[rows]
        lasts = before + np.where(before > 0, passed, min(passed, MINUTE_MS))
        held[rows] = np.where(holds, lasts, 0)
        begins = rows[holds & ~standing & (lasts > rule.delay_s * SECOND_MS)]
        ends = rows[standing & ~holds]
        found = []
        for changed, over in ((ends, True), (begins, False)):
            doubt = self._doubtful(rule, changed, now_ms)
            for row, doubtful in zip(changed.tolist(), doubt.tolist(), strict=True):
                start, end = (int(since[row]), now_ms) if over else (now_ms, None)
                quality = AlarmQuality.DOUBTFUL if doubtful else AlarmQuality.CONFIRMED
                found.append(Alarm(self.watch.kind.name, row, rule.name, start, end, quality))
        since[begins], since[ends] = now_ms, NEVER_MS
        self.memory["watched"][i] = np.count_nonzero((held[rows] > 0) | (since[rows] != NEVER_MS))
        return found

    def _doubtful(self, rule: Condition, rows: NDArray[np.int64], now_ms: int) -> NDArray[np.bool_]:
        """Return where what `rule` looks at is old, mended or not the last that was said."""
        watch = self.watch
        if rule.quantity == SILENCE:
            return np.zeros(len(rows), np.bool_)
        old_ms = now_ms - int(OLD_PERIODS * watch.period_ms)
        doubt = whole(watch.memory, "time_ms")[rows] < old_ms
        doubt |= watch.flags("refused")[rows]
        if rule.quantity in ("setpoint_error", "export_excess"):  # those rest on the power
            doubt |= watch.flags("mended")[rows]
        return np.asarray(doubt)

    def _quantity(self, rule: Condition) -> NDArray[np.float64] | None:
        """Return what `rule` looks at; NaN where it is not known."""
        name, watch = rule.quantity, self.watch
        if name == "soc_step":
            return watch.memory["soc_step"] if "soc" in watch.index else None
        if name == "setpoint_error":
            if not {"setpoint_kw", "remote", "status"} <= watch.index.keys():
                return None
            power, wanted = watch.get("power_kw"), watch.get("setpoint_kw")
            error = np.abs(power - wanted) / watch.rated_kw
            # A meter that shows standstill while the status word says running is dead: it
            # tells nothing of whether the command is followed.
            status = watch.get("status")
            dead = (np.abs(power) < watch.band_kw) & ((status == 1) | (status == 2))
            return np.where((watch.get("remote") > 0) & ~dead, error, 0.0)
        if name == "export_excess":
            if "demand_kw" not in watch.index or "contracted_kw" not in watch.sites:
                return None
            excess = -watch.get("demand_kw") - watch.sites["export_limit_kw"]
            return np.asarray(excess / np.maximum(watch.sites["contracted_kw"], 1e-9))
        return watch.get(name) if name in watch.index else None


def alarm_table(alarms: Iterable[Alarm]) -> Mapping[str, NDArray[np.generic]] | None:
    """Return alarms that began or ended as columns, None where there is none.

    ``end_ms`` is `STANDS_MS` in the row that says that an alarm began; the row that says that
    it ended has the same kind, row, condition and start. ``quality`` is an `AlarmQuality`.
    """
    rows = list(alarms)
    if not rows:
        return None
    return {
        "kind": np.array([a.kind for a in rows]),
        "row": np.array([a.row for a in rows], np.int32),
        "condition": np.array([a.condition for a in rows]),
        "start_ms": np.array([a.start_ms for a in rows], np.int64),
        "end_ms": np.array([STANDS_MS if a.end_ms is None else a.end_ms for a in rows], np.int64),
        "quality": np.array([int(a.quality) for a in rows], np.uint8),
    }
