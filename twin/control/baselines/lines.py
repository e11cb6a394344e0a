"""What owners of batch lines would do: the platform's own model of them.

A line works in steps that are never broken off, each adds a batch to a stock on which its
downstream lives. The owner rests above a stock and works again below another one, both by
tariff period, inside his hours. The rule is assumed; the levels, hours, steps and batches are
seen in readings of lines that nobody commands. A line that rests is believed to need as long to
come back as is registered, and a little more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS, minute_of_day
from twin.control.supervision.fleet import Watch
from twin.control.supervision.watch import NEVER_MS
from twin.record.columns import Columns
from twin.record.table import Table

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

__all__ = ["LineOwners", "LineState"]

PERIODS = 4
IDLE, RUNNING, FINISHING, PAUSED, RESTARTING = 0, 1, 2, 3, 4
SETTLED_MIN = 35  # after a tariff change before a level is put down to the new period (assumed)
FOLLOW_MIN = 15.0  # owners follow a tariff change so late, before one was seen to (assumed)
MORE = 1.15  # batch over what is used meanwhile, before one was seen (assumed)
NIGHT_MIN = 180  # a rest longer than this is outside the owner's hours, no full stock (assumed)
LATER_H = 0.1  # that a restart takes longer than registered, with what the owner keeps (assumed)
LONGEST_H = 0.3  # between two looks; more tells nothing of what lies between (assumed)
FORGET = 0.1  # of what is believed of a line's demand at each look (assumed)
STEP_H = 1.0 / 60.0


@dataclass(slots=True)
class LineState:
    """Where lines are while a forecast runs: float64[n] or bool[n] each.

    `left_h` is what remains of a step or a restart, `run_min` how long it has run.
    """

    stock_h: Floats
    left_h: Floats
    run_min: Floats
    runs: Flags
    restarts: Flags
    idle: Flags


class LineOwners:
    """Levels, hours and steps of each line, and forecasts from them.

    Rows of `memory`: demand in the first and the last half of a step, while restarting and at
    rest (``first_kw``, ``last_kw``, ``restart_kw``, ``rest_kw``); ``step_h`` and ``batch_h`` (NaN
    unseen); by tariff period ``start_``: stock at which work began, ``ran_`` highest stock at
    which it went on, ``stop_`` stock at which it ended [h of the downstream's use]; ``state`` and
    ``stock_h`` as last read; ``run_min`` and ``rested_min`` how long it has run and not worked,
    ``ended`` since which minute of the day, ``opens`` and ``closes`` the owner's hours (NaN: day
    and night), ``late`` minutes after a tariff change at which the owner was seen to follow it.
    """

    def __init__(self, columns: Columns, tariff_period: NDArray[np.int64]) -> None:
        self.period = np.clip(tariff_period, 0, PERIODS - 1)
        same = [np.roll(self.period, k) == self.period for k in range(1, SETTLED_MIN + 1)]
        # By minute of the day: minutes since the tariff changed, SETTLED_MIN at the most.
        self.since_min = np.where(np.all(same, axis=0), SETTLED_MIN, np.argmin(same, axis=0))
        self.step_h, self.stock_h = columns.f8("step_min") / 60.0, columns.f8("stock_h")
        self.restart_h = columns.f8("restart_min") / 60.0
        self.least_min = columns.f8("min_run_min")
        levels = [f"{name}_{p}" for name in ("start", "ran", "stop") for p in range(PERIODS)]
        n = columns.n
        self.memory = Table(
            ("first_kw", "last_kw", "restart_kw", "rest_kw",
             "step_h", "batch_h", "state", "stock_h", "rested_min", "ended", "opens", "closes",
             "run_min", "late", *levels),
            n,
            {"seen_ms": np.full(1, NEVER_MS, np.int64)},
        )  # fmt: skip
        self.memory.block[:] = np.nan
        rated_kw = columns.f8("rated_kw")
        for name in ("first_kw", "last_kw", "restart_kw"):
            self.memory[name] = rated_kw
        self.memory["rest_kw"] = columns.f8("base_share") * rated_kw
        self.memory["rested_min"] = self.memory["run_min"] = 0.0
        self.memory["late"] = FOLLOW_MIN

    # -- learning ----------------------------------------------------------------------------

    def observe(self, now_ms: int, watch: Watch, untouched: Flags) -> None:
        """Learn from a reading; it shows the minute before `now_ms`."""
        memory = self.memory
        state, stock, left = (watch.get(p) for p in ("state", "stock_h", "step_remaining_s"))
        good = untouched & np.isfinite(state) & np.isfinite(stock) & np.isfinite(left)
        passed_h = (now_ms - int(memory.extra["seen_ms"][0])) / (60.0 * MINUTE_MS)
        was, before = memory["state"].copy(), memory["stock_h"].copy()
        follows = good & np.isfinite(was) & (passed_h < LONGEST_H)
        self._learn_demand(good, state, left / 3600.0, -watch.get("power_kw"))
        self._learn_steps(good, follows, left / 3600.0, stock - before + passed_h)
        minute = minute_of_day(now_ms - MINUTE_MS)
        begins = follows & (was == IDLE) & ((state == RUNNING) | (state == RESTARTING))
        ends = follows & (was == RUNNING) & (state == FINISHING)
        since, period = int(self.since_min[minute]), int(self.period[minute])
        if since < SETTLED_MIN:
            self._learn_delay(minute, since - 30.0 * passed_h, begins, ends, stock)
        else:
            ran, between = memory[f"ran_{period}"], 0.5 * (stock + before)  # of two looks
            np.copyto(ran, np.fmax(ran, stock), where=good & (state == RUNNING))
            np.copyto(memory[f"stop_{period}"], stock, where=ends)
            np.copyto(memory[f"start_{period}"], between, where=begins)
        self._learn_hours(
            minute, good, was, state, passed_h * 60.0 if passed_h < LONGEST_H else 0.0
        )
        memory["state"] = np.where(good, state, np.nan)
        memory["stock_h"] = np.where(good, stock, np.nan)
        memory["seen_ms"] = now_ms

    def _learn_demand(self, good: Flags, state: Floats, left_h: Floats, demand_kw: Floats) -> None:
        memory, early = self.memory, left_h > 0.5 * self.steps_h()
        runs = (state == RUNNING) | (state == FINISHING)
        for name, shown in (
            ("first_kw", runs & early),
            ("last_kw", runs & ~early),
            ("restart_kw", state == RESTARTING),
            ("rest_kw", state == IDLE),
        ):
            news = memory[name] + FORGET * (demand_kw - memory[name])
            np.copyto(memory[name], news, where=good & shown & np.isfinite(demand_kw))

    def _learn_steps(self, good: Flags, follows: Flags, left_h: Floats, rise_h: Floats) -> None:
        """Note the longest rest of a step, and what a finished one adds to the stock."""
        memory = self.memory
        longest = np.fmax(memory["step_h"], left_h)
        np.copyto(memory["step_h"], longest, where=good & (left_h > 0.0))
        known = np.where(np.isnan(memory["step_h"]), self.step_h, memory["step_h"])
        whole = follows & (rise_h > 0.5 * known) & (rise_h < 2.0 * known)
        batch = memory["batch_h"]
        mixed = np.where(np.isnan(batch), rise_h, batch + 0.3 * (rise_h - batch))
        np.copyto(batch, mixed, where=whole)

    def _learn_hours(
        self, minute: int, good: Flags, was: Floats, state: Floats, passed_min: float
    ) -> None:
        """Note when a long rest began, and when work began after one."""
        memory = self.memory
        works = good & ((state == RUNNING) | (state == RESTARTING))
        rested = memory["rested_min"]
        np.copyto(memory["ended"], float(minute), where=good & ~works & (was == RUNNING))
        long = rested > NIGHT_MIN
        np.copyto(memory["closes"], memory["ended"], where=good & ~works & long)
        np.copyto(memory["opens"], float(minute), where=works & long)
        memory["rested_min"] = np.where(works, 0.0, np.where(good, rested + passed_min, rested))
        runs = good & ((state == RUNNING) | (state == FINISHING))
        memory["run_min"] = np.where(runs, memory["run_min"] + passed_min, 0.0)

    def _learn_delay(
        self, minute: int, late_min: float, begins: Flags, ends: Flags, stock: Floats
    ) -> None:
        """Note how late a tariff change was followed by those who would not have turned before."""
        if not (begins | ends).any():
            return
        now, then = (
            int(self.period[minute]),
            int(self.period[minute - int(self.since_min[minute]) - 1]),
        )
        stop, start = self.levels()
        turned = (ends & (stock >= stop[now]) & (stock < stop[then])) | (
            begins & (stock <= start[now]) & (stock > start[then])
        )
        late = self.memory["late"]
        late[turned] += 0.5 * (max(late_min, 0.0) - late[turned])

    # -- what is believed ----------------------------------------------------------------------

    def steps_h(self) -> Floats:
        """Return each line's step [h], as seen, else as registered."""
        seen = self.memory["step_h"]
        return np.where(np.isfinite(seen), seen, self.step_h)

    def batches_h(self) -> Floats:
        """Return what each line's step adds to its stock [h]."""
        seen = self.memory["batch_h"]
        return np.where(np.isfinite(seen), seen, MORE * self.steps_h())

    def reserve_h(self) -> Floats:
        """Return the stock below which an owner does not let his line rest [h]."""
        return np.asarray(self.restart_h + self.steps_h() + LATER_H)

    def levels(self) -> tuple[Floats, Floats]:
        """Return float64[4, n]: the stock at which owners stop and start by tariff period [h].

        What is common to owners is the share of a stock, what is a line's own how large its
        stock is against the registered one; both are seen. Where nobody was seen to stop or
        start in a period nobody does.
        """
        memory = self.memory
        ran, stop, start = (
            np.stack([memory[f"{name}_{p}"] for p in range(PERIODS)])
            for name in ("ran", "stop", "start")
        )
        # Stocks rise by the step: the level lies between the last one and that before. Who ran at
        # a higher stock stopped because his hours were over.
        rise = self.batches_h() - self.steps_h()
        stop = np.where(ran > stop, np.nan, stop - 0.5 * np.maximum(rise, 0.0))
        shares = np.concatenate([stop, start]) / self.stock_h
        known = np.isfinite(shares)
        common = np.array([np.median(s[k]) if k.any() else np.nan
                           for s, k in zip(shares, known, strict=True)])[:, None]  # fmt: skip
        whole = known & (common > 0.0)
        scale = np.divide(shares, common, out=np.zeros_like(shares), where=whole).sum(axis=0)
        seen = scale / np.maximum(whole.sum(axis=0), 1)
        own = common * self.stock_h * np.where(whole.any(axis=0), seen, 1.0)
        stop = np.where(np.isfinite(own[:PERIODS]), own[:PERIODS], np.inf)
        start = np.where(np.isfinite(own[PERIODS:]), own[PERIODS:], -np.inf)
        return stop, np.minimum(start, stop)

    def on_shift(self, at_ms: int) -> Flags:
        """Return within whose hours the minute lies, stock permitting."""
        minute, opens, closes = minute_of_day(at_ms), self.memory["opens"], self.memory["closes"]
        inside = (minute - opens) % 1440.0 < (closes - opens) % 1440.0
        return np.asarray(inside | np.isnan(opens) | np.isnan(closes))

    # -- forecast ----------------------------------------------------------------------------

    def begin(self, now_ms: int, watch: Watch) -> LineState:
        """Return where lines are, as read and gone on since; what is overdue comes next."""
        state = watch.or_zero("state")
        since_h = (now_ms - watch.memory["time_ms"]) / (60.0 * MINUTE_MS)
        since_h = np.where(since_h < LONGEST_H, np.maximum(since_h, 0.0), 0.0)
        runs = (state == RUNNING) | (state == FINISHING)
        left = np.where(runs, watch.or_zero("step_remaining_s") / 3600.0, self.restart_h)
        used = np.where(self.on_shift(now_ms), since_h, 0.0)
        return LineState(
            np.maximum(watch.or_zero("stock_h") - used, 0.0),
            left - since_h,
            self.memory["run_min"] + 60.0 * since_h * runs,
            runs,
            np.asarray(state == RESTARTING),
            np.asarray((state == FINISHING) | (state == IDLE)),
        )

    def demand_kw(self, now_ms: int, minutes: int, watch: Watch, pause: Flags) -> Floats:
        """Return float64[minutes, n]: what lines draw in each minute from now [kW].

        Parameters
        ----------
        pause : bool[n]  who is asked to pause from now on, as far as his owner lets him
        """
        line = self.begin(now_ms, watch)
        steps, batch, reserve = self.steps_h(), self.batches_h(), self.reserve_h()
        memory, found = self.memory, np.empty((minutes, watch.n))
        stop, start = self.levels()
        late, every = memory["late"].astype(np.int64), np.arange(watch.n)
        for i in range(minutes):
            at_ms = now_ms + i * MINUTE_MS
            period = self.period[(minute_of_day(at_ms) - late) % 1440]
            shift = self.on_shift(at_ms)
            line.idle |= line.stock_h >= stop[period, every]
            line.idle &= line.stock_h > start[period, every]
            line.idle &= line.stock_h > reserve
            rest = line.idle | ~shift | (pause & (line.stock_h > reserve))
            self._step(line, rest, shift, steps, batch)
            in_step = np.where(line.left_h > 0.5 * steps, memory["first_kw"], memory["last_kw"])
            still = np.where(line.restarts, memory["restart_kw"], memory["rest_kw"])
            found[i] = np.where(line.runs, in_step, still)
        return found

    def _step(
        self, line: LineState, rest: Flags, shift: Flags, steps: Floats, batch: Floats
    ) -> None:
        """Go on by a minute."""
        still = ~line.runs
        begins = still & ~rest & ~line.restarts
        line.left_h = np.where(begins, self.restart_h, line.left_h)
        line.restarts = (line.restarts | begins) & still & ~rest
        active = line.runs | line.restarts
        line.left_h = line.left_h - np.where(active, STEP_H, 0.0)
        line.stock_h = np.maximum(line.stock_h - np.where(shift, STEP_H, 0.0), 0.0)
        over = active & (line.left_h <= 0.0)
        made, ready = over & line.runs, over & line.restarts
        line.stock_h = line.stock_h + np.where(made, batch, 0.0)
        line.run_min = np.where(line.runs, line.run_min + 60.0 * STEP_H, 0.0)
        line.runs = (line.runs & ~(made & rest & (line.run_min >= self.least_min))) | ready
        line.restarts &= ~ready
        line.left_h = np.where(over & line.runs, line.left_h + steps, line.left_h)
