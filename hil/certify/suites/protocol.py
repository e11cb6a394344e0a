"""The protocol suite: functions, exceptions, streams, identity, connections, losses.

Reads go over connections of its own; whatever writes goes through the guarded line.
"""

from __future__ import annotations

import statistics
import struct
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from hil.certify.limits import measurements
from hil.certify.measurement import Path
from hil.certify.procedure import Context, Procedure, Step, Suite
from hil.certify.subject import Subject
from hil.certify.suites.connections import connections
from hil.certify.suites.probing import (
    READ,
    WIRE,
    ask_anew,
    calm_talk,
    good_read,
    outside,
    patient_ask,
    patient_raw,
    patiently,
    readable_point,
)
from hil.certify.suites.streams import streams
from hil.certify.wire import exception_of, read_pdu
from hil.registers.codec import encode
from hil.registers.schema import WirePoint

__all__ = ["SUITE"]

UNKNOWN_FUNCTION = 0x63
GUARDED = "functions"  # the procedure that speaks over the guarded line
IDENTIFY, MEI, BASIC = 43, 14, 1
OBJECTS = ("vendor", "product", "revision")
LONGEST_S = 15.0
READS = 100
MOST_LOST = 5  # enough to say so
HEADER_READS = 10
TIMER = 2.0  # of our own client on a busy machine [ms] (assumed)
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
AS_TABLE = "as in the point table"


def procedures(subject: Subject) -> Sequence[Procedure]:
    """Return the procedures for a subject."""
    m = measurements("protocol")
    # Of a connection that the guard holds nothing else is known; on none of our own it can be told.
    stream = subject.spec is None or subject.spec.transport != "rtu"
    exceptions = ("unknown_function", "address_exception", "quantity_exceptions")
    answers = ("unanswered", "wrongly_refused", "hung_up", "garbled", "answer_time",
               "answer_time_longest")  # fmt: skip
    found = [
        Procedure("functions", "Functions", "功能码", [m["functions_missing"]],
                  [Step("functions", _functions, ("functions_missing",))]),
        Procedure("exceptions", "Exceptions", "异常应答", [m[i] for i in exceptions],
                  [Step("exceptions", _exceptions, exceptions)]),
        Procedure("identity", "Identity", "装置标识", [m["identity"]],
                  [Step("identity", _identity, ("identity",))]),
        Procedure("answers", "Answers to a hundred reads", "连续读取", [m[i] for i in answers],
                  [Step("reads", _answers, answers)]),
    ]  # fmt: skip
    if stream:
        found.append(
            Procedure("header", "Header of answers", "应答报文头", [m["header_faults"]],
                      [Step("header", _header, ("header_faults",))])
        )  # fmt: skip
    found += [*streams(m, stream), *connections(m, stream)]
    return found if subject.spec is not None else [_held(p) for p in found]


def _held(procedure: Procedure) -> Procedure:
    """Return a procedure that says why it needs a connection of its own, where it does."""
    if procedure.id == GUARDED:
        return procedure

    def leave(c: Context) -> None:
        for one in procedure.measurements:
            c.leave(one.id, "the guard holds the device's only connection")

    ids = tuple(m.id for m in procedure.measurements)
    return replace(procedure, steps=[Step("held", leave, ids)])


SUITE = Suite("protocol", "Modbus protocol", "Modbus通信协议", procedures)


# -- functions -----------------------------------------------------------------------------------


def _functions(c: Context) -> None:
    """Ask with each function that the table needs; a refusal as 'illegal function' lacks it."""
    missing = []
    for table, function in READ.items():
        point = readable_point(c.subject.map, table)
        if point is None:
            continue
        data = struct.pack(">HH", point.address, point.width)
        if patient_raw(c.subject, function, data) == ILLEGAL_FUNCTION:
            missing.append(function)
    for point, tried in _written(c.subject):
        codes = [patient_raw(c.subject, f, data) for f, data in tried]
        if all(code == ILLEGAL_FUNCTION for code in codes):
            missing += [f for f, _ in tried]
            c.note(f"{point.name} cannot be written: no function of {[f for f, _ in tried]}")
    c.note(f"functions missing: {missing or 'none'}")
    c.take("functions_missing", float(len(missing)), 0.0, WIRE)


def _written(subject: Subject) -> list[tuple[WirePoint, list[tuple[int, bytes]]]]:
    """Return a harmless write for each table that has one, by each function that would do.

    What is written is the value of the safe state, or what the point shows: nothing changes.
    """
    found: list[tuple[WirePoint, list[tuple[int, bytes]]]] = []
    device, order = subject.device, subject.map.order
    for table, single, many in (("coil", 5, 15), ("holding", 6, 16)):
        points = [p for p in subject.map.points if p.table == table and "w" in p.access]
        points.sort(key=lambda p: (device.meanings.sign(p.name) != 0.0, p.name not in
                                   device.safe_state, "r" not in p.access))  # fmt: skip
        for point in points[:1]:
            value = device.safe_state.get(point.name)
            if value is None and "r" in point.access:
                shown = patiently(subject, partial(device.read, [point.name]))[point.name].value
                value = shown if isinstance(shown, float) else None
            if value is None:
                continue
            words = encode(point, order, value)
            found.append((point, _requests(table == "coil", single, many, point.address, words)))
    return found


def _requests(
    bits: bool, single: int, many: int, address: int, words: list[int]
) -> list[tuple[int, bytes]]:
    body = bytes([words[0]]) if bits else struct.pack(f">{len(words)}H", *words)
    tried = [(many, struct.pack(">HHB", address, len(words), len(body)) + body)]
    if len(words) == 1:
        word = 0xFF00 * words[0] if bits else words[0]
        tried.append((single, struct.pack(">HH", address, word)))
    return tried


# -- exceptions ----------------------------------------------------------------------------------


def _exceptions(c: Context) -> None:
    read = good_read(c.subject.map)
    function = READ[read.table]
    most = 2001 if read.table in ("coil", "discrete") else 126
    for id, pdu, code in (
        ("unknown_function", bytes([UNKNOWN_FUNCTION, 0, 0, 0, 1]), ILLEGAL_FUNCTION),
        ("address_exception", read_pdu(function, outside(c.subject.map, read.table), 1),
         ILLEGAL_ADDRESS),
    ):  # fmt: skip
        got = ask_anew(c.subject, pdu, code)
        found = exception_of(got)
        if not got:
            c.take(id, "no answer", 0.0, WIRE)
        else:
            c.take(id, "a normal answer" if found is None else float(found), 0.0, WIRE)
    wrong = [
        count
        for count in (0, most)
        if exception_of(ask_anew(c.subject, read_pdu(function, read.address, count), ILLEGAL_VALUE))
        != ILLEGAL_VALUE
    ]
    c.take("quantity_exceptions", float(len(wrong)), 0.0, WIRE, f"quantities {wrong}")


# -- identity ------------------------------------------------------------------------------------


def _identity(c: Context) -> None:
    """Compare vendor, product and revision with the table's."""
    with calm_talk(c.subject) as talk:
        got = patient_ask(c.subject, talk, bytes([IDENTIFY, MEI, BASIC, 0]))
    said = _objects(got or b"")
    wanted = c.subject.map.identity
    if not said:
        c.leave("identity", "the device does not answer function 43/14, which is optional")
        return
    pairs = {
        "vendor": wanted.vendor, "product": wanted.product, "revision": wanted.revision,
    }  # fmt: skip
    other = [f"{n} {said.get(n)!r}, not {v!r}" for n, v in pairs.items() if said.get(n) != v]
    c.take("identity", "; ".join(other) or AS_TABLE, 0.0, WIRE)


def _objects(pdu: bytes) -> dict[str, str]:
    """Return the basic objects of an identification, empty where it is none."""
    found: dict[str, str] = {}
    at, end = 7, len(pdu)
    if pdu[:2] != bytes([IDENTIFY, MEI]):
        return found
    while at + 1 < end:
        text = pdu[at + 2 : at + 2 + pdu[at + 1]]
        if pdu[at] < len(OBJECTS):
            found[OBJECTS[pdu[at]]] = text.decode("utf-8", "replace")
        at += 2 + pdu[at + 1]
    return found


# -- answers -------------------------------------------------------------------------------------


def _answers(c: Context) -> None:
    """Read a hundred times without a pause."""
    read, series = good_read(c.subject.map), c.series("answers", "time_s", "took_ms", "answer")
    lost = refused = closed = wrong = 0
    took_ms: list[float] = []
    talk = calm_talk(c.subject)
    begun_s = time.monotonic()
    try:
        for _ in range(READS):
            sent_s = time.monotonic()
            got = talk.ask(read.pdu)
            took = 1000.0 * (time.monotonic() - sent_s)
            if got is None:
                lost, said = lost + 1, "none"
            elif got == b"":
                closed, said = closed + 1, "closed"
                talk.close()
                talk = calm_talk(c.subject)
            elif read.answered_by(got):
                took_ms.append(took)
                said = "good"
            elif exception_of(got) is not None:
                refused, said = refused + 1, f"exception {exception_of(got)}"
            else:
                wrong, said = wrong + 1, "garbled"
            series.add(round(sent_s - begun_s, 6), round(took, 3), said)
            if max(lost, closed) >= MOST_LOST or time.monotonic() - begun_s > LONGEST_S:
                c.note(f"ended early, after {lost + refused + closed + wrong + len(took_ms)} reads")
                break
    finally:
        talk.close()
    c.take("unanswered", float(lost), 0.0, WIRE)
    if refused > 0 and not took_ms:
        c.doubt("wrongly_refused", "this point is always refused: the table may be wrong")
    else:
        c.take("wrongly_refused", float(refused), 0.0, WIRE)
    c.take("hung_up", float(closed), 0.0, WIRE)
    c.take("garbled", float(wrong), 0.0, WIRE)
    path = Path("wire", "own connection", TIMER, 0.0)
    if took_ms:
        c.take("answer_time", statistics.median(took_ms), TIMER, path)
        c.take("answer_time_longest", max(took_ms), TIMER, path)


def _header(c: Context) -> None:
    """Compare the header of each answer with the request's."""
    read, wrong = good_read(c.subject.map), 0
    with calm_talk(c.subject) as talk:
        for _ in range(HEADER_READS):
            frame = talk.frame(read.pdu)
            talk.send(frame)
            got = talk.answer()
            if got and (got[:4] != frame[:4] or got[6] != frame[6]):
                wrong += 1
            time.sleep(0.02)
    c.take("header_faults", float(wrong), 0.0, WIRE)
