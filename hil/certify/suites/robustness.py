"""The robustness suite: twenty inputs that broke real servers, a step each.

What it finds is told by a good request after each attack. A device that loses good requests, or
answers them too late, cannot be judged so: a control experiment says that first. What was found
counts when it comes again.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

from hil.bench.errors import BenchError, LineDown
from hil.certify.cases import Case, Target, cases
from hil.certify.limits import measurements
from hil.certify.measurement import Path
from hil.certify.procedure import Context, Procedure, Step, Suite
from hil.certify.robustness import Finding, run
from hil.certify.subject import PAUSE_S, Subject
from hil.certify.suites.probing import READ, GoodRead, calm_talk, good_read
from hil.certify.wire import Talk
from hil.registers.schema import WirePoint

__all__ = ["SUITE"]

WIRE = Path("wire", "own connections")
CONTROLS = 40  # fresh connections with two good requests each
AGAIN = 3  # times that a finding must come
SLOWEST_S = 0.5  # for a good answer; a suite of some hundred attacks takes hours beyond it
LEAST_PATIENCE_S = 1.0
SHOWN = 3
UNFAIR = "unfair"


def procedures(subject: Subject) -> Sequence[Procedure]:
    """Return the procedures for a subject: a stream's or a serial line's."""
    m = measurements("robustness")
    serial = subject.spec is not None and subject.spec.transport == "rtu"
    mine = [c for c in cases(_target(subject)) if c.side == ("serial" if serial else "server")]
    ids = [f"case_{c.number:02d}" for c in mine]
    steps = [Step("control", _control)]
    for case, id in zip(mine, ids, strict=True):
        act = partial(_line_case if serial else _stream_case, case=case, id=id)
        steps.append(Step(id.replace("_", "-"), act, (id,)))
    title, title_zh = "Twenty inputs that broke others", "曾致其他装置失效的二十类输入"
    return [Procedure("inputs", title, title_zh, [m[id] for id in ids], steps)]


SUITE = Suite("robustness", "Robustness", "健壮性", procedures)


def _target(subject: Subject) -> Target:
    """Return where attacks go: a register that orders nothing is written to, or none that is."""
    spec, read = subject.spec, good_read(subject.map)
    points = [p for p in subject.map.points if p.table == "holding" and "w" in p.access]
    setting = next((p for p in points if _harmless(subject, p)), None)
    ends = [p.address + p.width - 1 for p in subject.map.points if p.table == "holding"]
    return Target(
        "127.0.0.1" if spec is None else spec.host,
        502 if spec is None else spec.port,
        subject.map.unit if spec is None else spec.unit,
        read=(READ[read.table], read.address, read.count),
        setting=0 if setting is None else setting.address,
        last=max(ends, default=0),
    )


def _harmless(subject: Subject, point: WirePoint) -> bool:
    meanings = subject.device.meanings
    return (
        point.width == 1 and point.access == "rw" and meanings.sign(point.name) == 0.0
        and point.name not in meanings.enables and point.name not in subject.device.safe_state
    )  # fmt: skip


def _why_not(subject: Subject) -> str:
    """Return why nothing may be attacked here, ``""``: it may."""
    if subject.spec is None:
        return "the guard holds the device's only connection"
    if subject.spec.transport == "tls":
        return "the inputs are written for plain connections"
    if subject.evidence != "hardware":
        return ""
    if not any(_harmless(subject, p) for p in subject.map.points):
        return "no register can be written without ordering anything"
    return "" if subject.may_write else "the bench runs dry: nothing is written"


# -- control -------------------------------------------------------------------------------------


def _control(c: Context) -> None:
    """Ask good requests as attacks are sent: two on each of many fresh connections."""
    why = _why_not(c.subject)
    c.carried[UNFAIR] = ""
    if why or c.subject.spec is None:
        return
    read, spec, lost = good_read(c.subject.map), c.subject.spec, 0
    took: list[float] = []
    serial = spec.transport == "rtu"
    calm_talk(c.subject).close()
    for _ in range(CONTROLS):
        begun_s = time.monotonic()
        try:
            with Talk(spec, c.subject.frames, c.subject.note_raw) as talk:
                lost += sum(not read.answered_by(talk.ask(read.pdu)) for _ in range(2))
        except LineDown:
            lost += 2
        took.append(0.5 * (time.monotonic() - begun_s))
        if lost > 1 or (serial and len(took) > 5):
            break
    if not serial and lost == 0 and not _together(c.subject, read):
        lost = 1
    slow_s = statistics.median(took)
    if lost > 0:
        c.carried[UNFAIR] = "the device loses good requests: what an attack does cannot be told"
    elif slow_s > SLOWEST_S:
        c.carried[UNFAIR] = f"a good answer takes {slow_s:.2g} s: too slow for some hundred attacks"
    c.note(str(c.carried[UNFAIR]) or f"fair: nothing lost, {1000.0 * slow_s:.2g} ms an answer")


def _together(subject: Subject, read: GoodRead) -> bool:
    """Return whether two good requests in one segment are answered."""
    with calm_talk(subject) as talk:
        talk.send(talk.frame(read.pdu) + talk.frame(read.pdu))
        return all(talk.answer() for _ in range(2))


# -- attacks -------------------------------------------------------------------------------------


def _begin(c: Context, id: str) -> bool:
    """Return whether a case can be tried; say why not."""
    why = _why_not(c.subject)
    if why:
        c.leave(id, why)
    elif c.carried.get(UNFAIR):
        c.doubt(id, str(c.carried[UNFAIR]))
    else:
        return True
    return False


def _stream_case(c: Context, case: Case, id: str) -> None:
    if not _begin(c, id) or c.subject.spec is None:
        return
    subject, spec = c.subject, c.subject.spec
    target = _target(subject)
    subject.device.journal.record("note", subject.name, text=f"robustness case {case.number}")
    subject.device.line.close()

    def tap(sent: bool, data: bytes) -> None:
        if sent:
            subject.note_raw(data)
        subject.frames.add(spec.place, sent, data)

    def attack() -> list[Finding]:
        try:
            return run(
                target.address, target.port, target.unit, target=target, numbers=[case.number],
                watch=[(3, target.setting, 1)] if _watched(subject, target) else (),
                patience_s=max(LEAST_PATIENCE_S, spec.timeout_s),
                tap=tap,
            )  # fmt: skip
        except ConnectionError as error:
            raise BenchError(str(error)) from None

    _repeat(c, id, lambda: {(f.attack, f.wrong): str(f) for f in attack()})


def _watched(subject: Subject, target: Target) -> bool:
    """Whether the register that attacks aim at can be read alone."""
    return any(
        p.table == "holding" and p.address == target.setting and _harmless(subject, p)
        for p in subject.map.points
    )


def _line_case(c: Context, case: Case, id: str) -> None:
    if not _begin(c, id):
        return
    read = good_read(c.subject.map)

    def attack() -> dict[tuple[str, str], str]:
        found = {}
        with calm_talk(c.subject) as talk:
            for one in case.frames:
                talk.send(*one.pieces, pause_s=one.pause_s)
                time.sleep(PAUSE_S)
                if talk.answer(wait_s=PAUSE_S):
                    found[one.name, "answered"] = f"{one.name}: answered"
                if not any(read.answered_by(talk.ask(read.pdu)) for _ in range(2)):
                    found[one.name, "stuck"] = f"{one.name}: the next request is not answered"
        return found

    _repeat(c, id, attack)


def _repeat(c: Context, id: str, attack: Callable[[], dict[tuple[str, str], str]]) -> None:
    """Attack; what was found must be found again, each time."""
    found = attack()
    for _ in range(AGAIN - 1):
        if not found:
            break
        try:
            again = attack()
        except BenchError:  # nothing is answered any more: what was found stands
            break
        found = {key: text for key, text in found.items() if key in again}
    texts = list(found.values())
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    c.take(id, float(len(texts)), 0.0, WIRE, "; ".join(texts[:SHOWN]) + more)
