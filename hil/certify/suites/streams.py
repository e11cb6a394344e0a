"""Protocol procedures about streams and lines: requests glued, cut, unfinished, spoilt."""

from __future__ import annotations

import time
from collections.abc import Mapping

from hil.certify.measurement import Measurement
from hil.certify.procedure import Context, Procedure, Step
from hil.certify.suites.probing import PAUSE_S, WIRE, calm_talk, good_read
from hil.certify.wire import Talk

__all__ = ["streams"]

TOGETHER, BURSTS = 4, 5
SPLIT_PAUSE_S = 0.01
TRIES, CUT_TRIES = 3, 6
MOST_LOST = 3
NOISE = bytes([0x55, 0xAA, 0x00, 0xFF] * 4)
LINE_QUIET_S = 0.15  # after noise, before the next request


def streams(m: Mapping[str, Measurement], stream: bool) -> list[Procedure]:
    """Return the procedures for a stream, or those for a serial line."""
    if not stream:
        ids = ("wrong_checksum", "after_noise")
        return [
            Procedure("line", "Checksums and noise", "校验与噪声", [m[i] for i in ids],
                      [Step("checksum", _checksum, ids[:1]), Step("noise", _noise, ids[1:])])
        ]  # fmt: skip
    return [
        Procedure("pipelining", "Several requests in one segment", "粘包", [m["pipelined"]],
                  [Step("pipelining", _pipelining, ("pipelined",))]),
        Procedure("splitting", "Requests in pieces", "拆包", [m["split"], m["half_request"]],
                  [Step("split", _split, ("split",)),
                   Step("half", _half, ("half_request",))]),
    ]  # fmt: skip


def _pipelining(c: Context) -> None:
    """Send requests in one segment, up to five times; the best try counts."""
    read, least = good_read(c.subject.map), TOGETHER
    talk = calm_talk(c.subject)
    try:
        for _ in range(BURSTS):
            time.sleep(PAUSE_S)
            frames = [talk.frame(read.pdu) for _ in range(TOGETHER)]
            talk.send(b"".join(frames))
            wanted = [f[:2] for f in frames]
            seen: list[bytes] = []
            while len(seen) < TOGETHER and (got := talk.answer()):
                seen.append(got[:2])
            right = sum(a == b for a, b in zip(wanted, seen, strict=False))
            least = min(least, TOGETHER - right)
            if least == 0:
                break
            if got == b"":
                talk.close()
                talk = calm_talk(c.subject)
    finally:
        talk.close()
    c.take("pipelined", float(least), 0.0, WIRE)


def _split(c: Context) -> None:
    """Cut a request at every byte; one that is lost is tried again and again.

    A device that hangs up at one request of twenty does so three times in a row now and then.
    """
    read, lost = good_read(c.subject.map), 0
    talk = calm_talk(c.subject)
    try:
        for cut in range(1, len(talk.frame(read.pdu))):
            for _ in range(CUT_TRIES):
                frame = talk.frame(read.pdu)
                talk.send(frame[:cut], frame[cut:], pause_s=SPLIT_PAUSE_S)
                got = talk.answer()
                if got:
                    break
                if got == b"":
                    talk.close()
                    talk = calm_talk(c.subject)
                time.sleep(PAUSE_S)
            else:
                lost += 1
            if lost >= MOST_LOST:  # enough to say so
                break
    finally:
        talk.close()
    c.take("split", float(lost), 0.0, WIRE)


def _half(c: Context) -> None:
    """Hold half a request on one connection and ask on another."""
    read, spec = good_read(c.subject.map), c.subject.spec
    if spec is None:
        return
    with calm_talk(c.subject) as talk, Talk(spec, c.subject.frames, c.subject.note_raw) as held:
        if not any(held.ask(read.pdu) for _ in range(TRIES)):
            c.leave("half_request", "the device does not serve a second client")
            return
        held.send(held.frame(read.pdu)[:7])
        lost = 0
        for _ in range(TRIES):
            time.sleep(PAUSE_S)
            lost += not talk.ask(read.pdu)
    c.take("half_request", 1.0 if lost == TRIES else 0.0, 0.0, WIRE)


def _checksum(c: Context) -> None:
    """Send requests with a wrong checksum; an answer to one was none of the device's business."""
    read, answered = good_read(c.subject.map), 0
    with calm_talk(c.subject) as talk:
        for _ in range(TRIES):
            frame = talk.frame(read.pdu)
            talk.send(frame[:-1] + bytes([frame[-1] ^ 0xFF]))
            answered += bool(talk.answer(wait_s=0.3))
    c.take("wrong_checksum", float(answered), 0.0, WIRE)


def _noise(c: Context) -> None:
    """Put noise on the line, wait, and ask."""
    read, lost = good_read(c.subject.map), 0
    with calm_talk(c.subject) as talk:
        for _ in range(TRIES):
            talk.send(NOISE)
            time.sleep(LINE_QUIET_S)
            talk.answer(wait_s=0.05)
            lost += not talk.ask(read.pdu)
    c.take("after_noise", 1.0 if lost == TRIES else 0.0, 0.0, WIRE)
