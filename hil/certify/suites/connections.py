"""Protocol procedures about connections: how many, how soon, after a pause, for whom."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack

from hil.bench.errors import LineDown
from hil.certify.measurement import Measurement
from hil.certify.procedure import Context, Procedure, Step
from hil.certify.suites.probing import PAUSE_S, SETTLE_S, WIRE, calm_talk, good_read, patient_ask
from hil.certify.wire import Talk, exception_of

__all__ = ["connections"]

CLIENTS = 4
FRESH = 3
IDLE_S = 1.0
TRIES = 3
AS_TABLE = "as in the point table"
NO_PATH, NO_DEVICE = 10, 11
OTHER_WAIT_S, OTHER_TRIES = 0.2, 2


def connections(m: Mapping[str, Measurement], stream: bool) -> list[Procedure]:
    """Return the procedures; a serial line has one connection, and units."""
    units = Procedure("units", "Another unit's number", "其他站号", [m["other_unit"]],
                      [Step("other-unit", _other_unit, ("other_unit",))])  # fmt: skip
    if not stream:
        return [units]
    ids = ("connections", "first_requests", "after_idle")
    return [
        Procedure("connections", "Connections", "连接", [m[i] for i in ids],
                  [Step("clients", _clients, ids[:1]), Step("fresh", _fresh, ids[1:2]),
                   Step("idle", _idle, ids[2:])]),
        units,
    ]  # fmt: skip


def _clients(c: Context) -> None:
    """Open connections beside each other and count those that are answered, patiently."""
    read, spec, served = good_read(c.subject.map), c.subject.spec, 0
    if spec is None:
        return
    with ExitStack() as stack:
        talks = [stack.enter_context(calm_talk(c.subject))]
        for _ in range(CLIENTS - 1):
            try:
                talks.append(stack.enter_context(Talk(spec, c.subject.frames, c.subject.note_raw)))
            except LineDown:
                break
        served = sum(_answered(talk, read.pdu) for talk in talks)
    c.take("connections", float(served), 0.0, WIRE)


def _answered(talk: Talk, pdu: bytes) -> bool:
    end_s = time.monotonic() + SETTLE_S
    while time.monotonic() < end_s:
        got = talk.ask(pdu)
        if got is not None:
            return got != b""
        time.sleep(PAUSE_S)
    return False


def _fresh(c: Context) -> None:
    """Open a connection and ask at once, several times; a lost request by chance is let pass."""
    read, spec, lost = good_read(c.subject.map), c.subject.spec, 0
    if spec is None:
        return
    calm_talk(c.subject).close()
    for _ in range(FRESH):
        time.sleep(PAUSE_S)
        try:
            with Talk(spec, c.subject.frames, c.subject.note_raw) as talk:
                lost += not talk.ask(read.pdu)
        except LineDown:
            lost += 1
    c.note(f"{lost} of {FRESH} first requests were not answered")
    c.take("first_requests", 1.0 if lost == FRESH else 0.0, 0.0, WIRE)


def _idle(c: Context) -> None:
    """Let a connection rest and ask on it; asked again before it counts as lost."""
    read = good_read(c.subject.map)
    with calm_talk(c.subject) as talk:
        time.sleep(IDLE_S)
        answered = any(talk.ask(read.pdu) for _ in range(TRIES))
    c.take("after_idle", 0.0 if answered else 1.0, 0.0, WIRE)


def _other_unit(c: Context) -> None:
    """Ask for a unit that is not there."""
    subject, read = c.subject, good_read(c.subject.map)
    spec = subject.spec
    if spec is None:
        return
    other = spec.unit % 247 + 1
    codes: list[str] = []
    with calm_talk(subject) as talk:
        begun_s = time.monotonic()
        patient_ask(subject, talk, read.pdu)
        wait_s = max(OTHER_WAIT_S, 2.0 * (time.monotonic() - begun_s))
        for _ in range(OTHER_TRIES):
            got = talk.ask(read.pdu, unit=other, wait_s=wait_s)
            code = exception_of(got)
            if not got:
                codes.append("silence")
            elif code in (NO_PATH, NO_DEVICE):
                codes.append("gateway")
            else:
                codes.append("an answer" if code is None else f"exception {code}")
            if got:
                break
    wanted = subject.map.unknown_unit if spec.transport != "rtu" else "silence"
    # A device that loses requests is silent now and then; what it says when it speaks counts.
    spoken = [said for said in codes if said != "silence"]
    said = spoken[0] if spoken else "silence"
    c.take("other_unit", AS_TABLE if said == wanted else said, 0.0, WIRE)
