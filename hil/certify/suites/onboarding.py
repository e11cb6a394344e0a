"""The onboarding suite (有序接入): registered, point table, joint test, certificate, live.

One procedure whose steps stand on each other: a step that did not pass ends the way, and those
behind it are not taken. The states are those of `twin.record.onboarding`.
"""

from __future__ import annotations

from collections.abc import Sequence

from hil.bench.errors import Forbidden
from hil.certify.limits import measurements
from hil.certify.measurement import Outcome, Path, verdict
from hil.certify.procedure import Context, Procedure, Step, Suite
from hil.certify.subject import Subject
from hil.certify.suites import asking, register_map
from hil.certify.suites.probing import patiently
from hil.certify.suites.readings import ratings_beside
from twin.record.onboarding import STATES_ZH, STEPS

__all__ = ["SUITE"]

PASSED = "passed"  # steps that were, in order, for the steps behind
ORDERS = 20
LONGEST_S, POLL_S, PAUSE_S = 20.0, 1.0, 5.0
AS_REGISTERED, GRANTED, REFUSED = "as registered", "granted", "refused"
DEVICE = Path("wire", "answers of the device")
# What is ordered in a joint test, by set-point: values in turn, of the rating; and the point of
# the twin that echoes it. A warning switches nothing.
TURNS = {
    "power_kw": ((0.2, -0.2), True, "setpoint_kw"), "limit_kw": ((0.5, 1.0), True, "limit_kw"),
    "warning": ((1.0, 0.0), False, "warning"),
}  # fmt: skip
REFRESHES = 30
MOVES = 0.02  # of the rating: a metered power that moves by more must be seen to move


def procedures(subject: Subject) -> Sequence[Procedure]:
    """Return the one procedure."""
    del subject
    m = measurements("onboarding")
    joint = ("joint_orders", "joint_response", "joint_refresh")
    ids = ("registered", "point_table", *joint, "certificate", "live")
    steps = [
        Step("registered", _registered, ("registered",)),
        Step("point-table", _point_table, ("point_table",)),
        Step("joint-test", _joint, joint),
        Step("certificate", _certificate, ("certificate",)),
        Step("live", _live, ("live",)),
    ]
    return [Procedure("onboarding", "Bringing it in", "有序接入", [m[i] for i in ids], steps)]


SUITE = Suite("onboarding", "Onboarding", "有序接入", procedures)


def _stands(c: Context, step: str, *ids: str) -> bool:
    """Return whether all steps before this one were passed; say so where not."""
    before = list(STEPS)[: list(STEPS).index(step)]
    lacking = [s for s in before if s not in _passed(c)]
    for id in ids if lacking else ():
        c.leave(id, f"not taken: {lacking[0]} ({STATES_ZH[STEPS[lacking[0]]]}) was not passed")
    return not lacking


def _passed(c: Context) -> list[str]:
    found = c.carried.get(PASSED)
    return [str(step) for step in found] if isinstance(found, list) else []


def _pass(c: Context, step: str) -> None:
    c.carried[PASSED] = [*_passed(c), step]
    c.note(f"{step}: {STATES_ZH[STEPS[step]]} at {c.subject.clock.now_s():.0f} s of device time")


def _registered(c: Context) -> None:
    """Compare identity and rating with what is registered."""
    wanted = c.subject.map.identity
    said = patiently(c.subject, lambda: dict(c.subject.device.identity()))
    pairs = {"vendor": wanted.vendor, "product": wanted.product}
    other = [f"{n} {said[n]!r}, not {v!r}" for n, v in pairs.items() if said and said.get(n) != v]
    other += ratings_beside(c.subject)
    c.take("registered", "; ".join(other) or AS_REGISTERED, 0.0, DEVICE)
    if not other:
        _pass(c, "registered")


def _point_table(c: Context) -> None:
    """Run the register map suite, and count what it does not pass."""
    if not _stands(c, "point_table_checked", "point_table"):
        return
    beside = []
    for procedure in register_map.SUITE.procedures(c.subject):
        inner = c.inner(procedure.measurements)
        for step in procedure.steps:
            step.act(inner)
        for id, every in inner.taken.items():
            outcome = verdict(every)
            if outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
                beside.append(f"{id} {outcome.value}")
        c.subject.device.to_safe_state("between parts of the point table check")
    c.take("point_table", float(len(beside)), 0.0, DEVICE, ", ".join(beside))
    if not beside:
        _pass(c, "point_table_checked")


def _joint(c: Context) -> None:
    """Order, wait for the echo, and watch the power that is shown beside the meter's."""
    ids = ("joint_orders", "joint_response", "joint_refresh")
    if not _stands(c, "joint_tested", *ids):
        return
    known = c.subject.device.meanings.commands
    setpoint = next((name for name in TURNS if name in known), None)
    if setpoint is None:
        for id in ids:
            c.leave(id, "nothing of this kind is ordered in a joint test")
        _pass(c, "joint_tested")
        return
    lost, longest_s, allowed = _orders(c, setpoint)
    if not allowed:
        for id in ids:
            c.doubt(id, "the bench's own limits do not let the orders pass")
        return
    c.take("joint_orders", float(lost), 0.0, DEVICE)
    path = Path("register", TURNS[setpoint][2], None, POLL_S)
    c.take("joint_response", longest_s, POLL_S, path)
    stale_s = _refresh(c, setpoint)
    if stale_s is not None:
        c.take("joint_refresh", stale_s, POLL_S, Path("register", "power_kw", None, POLL_S))
    else:
        c.leave("joint_refresh", "power does not move by what is ordered here")
    limits = {m.id: m for m in measurements("onboarding").values()}
    good = [limits["joint_orders"].judge(float(lost), 0.0),
            limits["joint_response"].judge(longest_s, POLL_S)]  # fmt: skip
    if stale_s is not None and c.wants("joint_refresh"):
        good.append(limits["joint_refresh"].judge(stale_s, POLL_S))
    if all(outcome is Outcome.PASS for outcome in good):
        _pass(c, "joint_tested")


def _orders(c: Context, setpoint: str) -> tuple[int, float, bool]:
    """Return how many orders were lost, the longest time to an echo [s], and if they may be."""
    subject, clock = c.subject, c.subject.clock
    series = c.series("orders", "time_s", "order", "accepted", "took_s")
    lost, longest_s = 0, 0.0
    for number in range(ORDERS):
        value = _turn(subject, setpoint, number)
        begun_s = clock.now_s()
        try:
            done = asking.command(subject, setpoint, value)
        except Forbidden as kept:
            c.note(str(kept))
            return lost, longest_s, False
        accepted = all(w.accepted for w in done)
        took_s = _echo_s(subject, setpoint, value) if accepted else None
        series.add(begun_s, value, str(accepted), took_s)
        if took_s is None:
            lost += 1
        else:
            longest_s = max(longest_s, took_s)
        clock.sleep(PAUSE_S)
    return lost, longest_s, True


def _turn(subject: Subject, setpoint: str, number: int) -> float:
    values, of_rating, _ = TURNS[setpoint]
    return values[number % 2] * (subject.rated_kw if of_rating else 1.0)


def _echo_s(subject: Subject, setpoint: str, value: float) -> float | None:
    """Return how long it took until the echo showed an order [s], None: it never did."""
    clock, echo = subject.clock, TURNS[setpoint][2]
    slack = 0.01 * (subject.rated_kw if TURNS[setpoint][1] else 1.0)
    begun_s = clock.now_s()
    while clock.now_s() - begun_s < LONGEST_S:
        clock.sleep(POLL_S)
        shown = _shown(subject, echo)
        if shown is None:
            return 0.0  # the table has no echo: that it was accepted is all there is
        if abs(shown - value) <= slack:
            return clock.now_s() - begun_s
    return None


def _shown(subject: Subject, twin: str) -> float | None:
    found = patiently(subject, lambda: subject.device.read_twin([twin])).get(twin)
    return found.value if found is not None and isinstance(found.value, float) else None


def _refresh(c: Context, setpoint: str) -> float | None:
    """Return the longest time for which a moving power was shown unmoved [s]."""
    subject, meter, clock = c.subject, c.subject.meter, c.subject.clock
    if meter is None or setpoint != "power_kw":
        return None
    series = c.series("refresh", "time_s", "metered_kw", "shown_kw")
    least_kw = MOVES * subject.rated_kw
    stale_s, since_s = 0.0, clock.now_s()
    metered_kw, shown_kw = meter.power_kw().value, _shown(subject, "power_kw")
    for number in range(REFRESHES):
        if number % 5 == 0:
            asking.command(subject, setpoint, _turn(subject, setpoint, number // 5))
        clock.sleep(POLL_S)
        true_kw, seen_kw = meter.power_kw().value, _shown(subject, "power_kw")
        if seen_kw is None or shown_kw is None:
            return None
        series.add(clock.now_s(), true_kw, seen_kw)
        if abs(seen_kw - shown_kw) > 0.5 * least_kw:
            metered_kw, shown_kw, since_s = true_kw, seen_kw, clock.now_s()
        elif abs(true_kw - metered_kw) > least_kw:
            stale_s = max(stale_s, clock.now_s() - since_s)
    return stale_s


def _certificate(c: Context) -> None:
    """Grant the certificate where every step before was passed."""
    stands = _stands(c, "certified")
    c.take("certificate", GRANTED if stands else REFUSED, 0.0, Path("wire", "steps before"))
    if stands:
        _pass(c, "certified")


def _live(c: Context) -> None:
    """Reach the device once more and leave it at its safe state: it is connected."""
    state = STATES_ZH[STEPS[_passed(c)[-1]]] if _passed(c) else "未登记"
    if _stands(c, "live", "live"):
        told = patiently(c.subject, lambda: c.subject.device.to_safe_state("connected"))
        if all(w.accepted for w in told):
            _pass(c, "live")
            state = STATES_ZH[STEPS["live"]]
        c.take("live", state, 0.0, DEVICE)
    series = c.series("onboarding", "step", "state", "state_zh")
    for step in _passed(c):
        series.add(step, STEPS[step].name.lower(), STATES_ZH[STEPS[step]])
