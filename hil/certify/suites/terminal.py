"""The suite of load-management terminals (负荷管理终端): rounds, warning, lock-out, restoring.

An order whose effect is not shown in time is given once more, as a platform would; only the count
of 1 000 commands takes each by itself. On hardware the outputs belong on a test board: every round
is switched some hundred times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hil.certify.limits import measurements
from hil.certify.procedure import Context, Procedure, Step, Suite
from hil.certify.subject import Subject
from hil.certify.suites.hand import POWER_COLUMNS, Hand
from hil.certify.suites.timing import Moment, since

__all__ = ["SUITE"]

MOST_ROUNDS = 4
FOLLOW_S = 5.0  # an effect that is shown later came too late: engineering default
TRIES = 2
REPEATS = 3
COMMANDS = 1000
OPEN, CLOSED = 0.0, 1.0
PERCENTILE = 99
SETTLE_S = 10.0
NO_ROUND = "the map has no round that can be ordered and read"


class _Terminal:
    """The rounds of a terminal."""

    def __init__(self, context: Context) -> None:
        self.context, self.hand = context, Hand(context)
        plate = context.subject.nameplate
        self.rounds = [
            i
            for i in range(1, MOST_ROUNDS + 1)
            if self.hand.takes(f"circuit_{i}")
            and self.hand.shows(f"closed_{i}")
            and plate.get(f"circuit_share_{i}", 1.0) > 0.0
        ]

    def closed(self, number: int) -> bool:
        """Return whether a round is shown closed."""
        return self.hand.register(f"closed_{number}").value >= 0.5

    def open_ones(self) -> set[int]:
        """Return the rounds that are shown open."""
        return {i for i in self.rounds if not self.closed(i)}

    def order(self, number: int, value: float, tries: int = TRIES) -> Moment | None:
        """Order a round; return how long its effect took, None where none was shown."""
        return self._until(f"circuit_{number}", value, tries,
                           lambda: self.closed(number) == (value >= 0.5))  # fmt: skip

    def warn(self, value: float) -> Moment | None:
        """Order the warning, or take it back; return how long it took."""
        return self._until("warning", value, TRIES, lambda: (
            self.hand.register("warning").value >= 0.5) == (value >= 0.5))  # fmt: skip

    def _until(
        self, setpoint: str, value: float, tries: int, done: Callable[[], bool]
    ) -> Moment | None:
        hand = self.hand
        for _ in range(tries):
            order = hand.order(setpoint, value)
            if not order.accepted:
                continue
            asked_s = order.at.low
            while not hand.past(order.at.low + FOLLOW_S):
                hand.clock.sleep(hand.every_s)
                begun_s = hand.clock.now_s()
                if done():
                    return since(Moment(asked_s, hand.clock.now_s()), order.at)
                asked_s = begun_s
        return None

    def close_all(self) -> None:
        """Close every round and take the warning back, judging nothing."""
        for number in self.rounds:
            self.order(number, CLOSED)
        if self.hand.takes("warning") and self.hand.shows("warning"):
            self.warn(0.0)


Act = Callable[[Context], None]


def _unlocked(act: Callable[[Context, _Terminal], None], *ids: str) -> Act:
    """Return a step that is left out where the customer is locked out, and ends all closed."""

    def whole(context: Context) -> None:
        terminal = _Terminal(context)
        if context.subject.nameplate.get("protected", 0.0) > 0.0:
            for id in ids:
                context.leave(id, "the customer is protected (保电): rounds are locked out")
            return
        if not terminal.rounds:
            for id in ids:
                context.leave(id, NO_ROUND)
            return
        try:
            terminal.close_all()
            act(context, terminal)
        finally:
            terminal.close_all()

    return whole


def _rounds(context: Context, terminal: _Terminal) -> None:
    hand, good = terminal.hand, 0
    series = context.series("power", *POWER_COLUMNS)
    for number in terminal.rounds:
        drops: list[tuple[float, float]] = []
        alone: list[bool] = []
        for _ in range(REPEATS):
            before_open = terminal.open_ones()
            if number in before_open:
                break  # it does not close again: a matter of restoring
            behind_kw = _behind(hand, number)
            before = hand.watch(series, 0.0)[0]
            terminal.order(number, OPEN)
            after = hand.watch(series, 0.0)[0]
            opened = terminal.open_ones() - before_open
            alone.append(opened == {number})
            if behind_kw > 0.0:
                # Power is into the grid: less load is more of it.
                error = 100.0 * (before.half_width + after.half_width) / behind_kw
                drops.append((100.0 * (after.value - before.value) / behind_kw, error))
            terminal.order(number, CLOSED)
            hand.wait(SETTLE_S)
        good += bool(alone) and all(alone)
        if not (alone and all(alone)):
            context.note(f"round {number} does not open alone")
        if drops:
            drop, error = sorted(drops)[len(drops) // 2]
            context.take("shed_load", drop, error, hand.path(error), f"round {number}")
    share = 100.0 * good / len(terminal.rounds)
    context.take("rounds", share, 0.0, hand.own("closed_1"), f"{good} of {len(terminal.rounds)}")


def _behind(hand: Hand, number: int) -> float:
    """Return the load behind a round: as the terminal shows it, else its registered share [kW]."""
    name = f"demand_circuit_{number}_kw"
    if hand.shows(name):
        return hand.register(name).value
    share = hand.subject.nameplate.get(f"circuit_share_{number}", 0.0)
    return -hand.power().value * share


def _warning(context: Context, terminal: _Terminal) -> None:
    hand = terminal.hand
    if not (hand.takes("warning") and hand.shows("warning")):
        for id in ("warning", "warning_alone"):
            context.leave(id, "the map has no warning")
        return
    before = terminal.open_ones()
    shown = terminal.warn(1.0) is not None
    opened = terminal.open_ones() - before
    back = terminal.warn(0.0) is not None
    said = "shown and taken back" if shown and back else "not taken back" if shown else "not shown"
    context.take("warning", said, 0.0, hand.own("warning"))
    context.take("warning_alone", float(len(opened)), 0.0, hand.own("closed_1"))


def _restore(context: Context, terminal: _Terminal) -> None:
    hand = terminal.hand
    series = context.series("power", *POWER_COLUMNS)
    before = hand.watch(series, SETTLE_S)[-1]
    for number in terminal.rounds:
        terminal.order(number, OPEN)
    hand.watch(series, SETTLE_S)
    for number in terminal.rounds:
        terminal.order(number, CLOSED)
    after = hand.watch(series, SETTLE_S)[-1]
    left = terminal.open_ones()
    share = 100.0 * (len(terminal.rounds) - len(left)) / len(terminal.rounds)
    note = "open yet: " + ", ".join(map(str, sorted(left))) if left else ""
    context.take("restored", share, 0.0, hand.own("closed_1"), note)
    if before.value < 0.0:
        error = 100.0 * (before.half_width + after.half_width) / -before.value
        context.take("restored_load", 100.0 * after.value / before.value, error, hand.path(error))
    else:
        context.doubt("restored_load", "the customer drew nothing before")


def _security(context: Context, terminal: _Terminal) -> None:
    hand = terminal.hand
    share = context.subject.nameplate.get("security_share", 0.0)
    series = context.series("power", *POWER_COLUMNS)
    before = hand.watch(series, SETTLE_S)[-1]
    if not share > 0.0 or not before.value < 0.0:
        context.leave("security_load", "no security load is registered, or nothing is drawn")
        return
    for number in terminal.rounds:
        terminal.order(number, OPEN)
    after = hand.watch(series, SETTLE_S)[-1]
    kept_kw = -before.value * share
    error = 100.0 * (after.half_width + share * before.half_width) / kept_kw
    context.take("security_load", 100.0 * -after.value / kept_kw, error, hand.path(error))


def _commands(context: Context, terminal: _Terminal) -> None:
    """Give 1 000 commands, each once, to the rounds that open and close at all."""
    hand = terminal.hand
    working = [
        i
        for i in terminal.rounds
        if terminal.order(i, OPEN) is not None and terminal.order(i, CLOSED) is not None
    ]
    if not working:
        context.doubt("success", "no round opens and closes when ordered")
        context.doubt("latency", "no round opens and closes when ordered")
        return
    series = context.series("commands", "time_s", "round", "ordered", "took_s")
    spans: list[Moment] = []
    wanted = dict.fromkeys(working, CLOSED)
    for count in range(COMMANDS):
        number = working[count % len(working)]
        wanted[number] = CLOSED - wanted[number]
        span = terminal.order(number, wanted[number], tries=1)
        series.add(hand.clock.now_s(), number, wanted[number], None if span is None else span.high)
        if span is not None:
            spans.append(span)
    path = hand.own("closed_1")
    context.take("success", 100.0 * len(spans) / COMMANDS, 0.0, path,
                 f"{len(spans)} of {COMMANDS}")  # fmt: skip
    if spans:
        spans.sort(key=lambda s: s.middle)
        late = spans[math.ceil(PERCENTILE / 100.0 * len(spans)) - 1]
        context.take("latency", late.middle, late.half_width, path)


def _lockout(context: Context) -> None:
    terminal = _Terminal(context)
    if not context.subject.nameplate.get("protected", 0.0) > 0.0:
        context.leave("lockout", "the customer is not protected (protected of the nameplate)")
        return
    if not terminal.rounds:
        context.leave("lockout", NO_ROUND)
        return
    obeyed = 0
    for number in terminal.rounds:
        obeyed += terminal.order(number, OPEN, tries=1) is not None
        if not terminal.closed(number):
            terminal.order(number, CLOSED)
    context.take("lockout", float(obeyed), 0.0, terminal.hand.own("closed_1"),
                 f"of {len(terminal.rounds)} rounds")  # fmt: skip


def _procedures(subject: Subject) -> Sequence[Procedure]:
    declared = measurements("terminal")

    def one(
        id: str, title: str, title_zh: str, act: Callable[[Context, _Terminal], None], *ids: str
    ) -> Procedure:
        step = Step(id, _unlocked(act, *ids), ids)
        return Procedure(id, title, title_zh, [declared[n] for n in ids], (step,))

    return (
        one("rounds", "Tripping round by round", "逐轮跳闸", _rounds, "rounds", "shed_load"),
        one("warning", "Warning", "跳闸预告", _warning, "warning", "warning_alone"),
        one("restore", "Restoring", "恢复供电", _restore, "restored", "restored_load"),
        one("security", "Security load", "保安负荷", _security, "security_load"),
        Procedure(
            "lockout", "Lock-out of protected customers", "保电闭锁",
            (declared["lockout"],), (Step("trip", _lockout, ("lockout",)),),
        ),
        one("commands", "1 000 commands", "1000次遥控", _commands, "success", "latency"),
    )  # fmt: skip


SUITE = Suite(
    "terminal", "Load-management terminal", "负荷管理终端", _procedures, ("terminal",)
)  # fmt: skip
