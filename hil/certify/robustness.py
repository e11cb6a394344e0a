"""The robustness suite: the twenty inputs against a device, ours or a vendor's.

After every attack the next good request must be answered in time, on a new connection and on the
same one where it is still open; the watched registers must be what they were, other devices as
quick as before, and the process, where it can be asked, no larger.
"""

from __future__ import annotations

import socket
import statistics
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hil.certify.cases import Attack, Case, May, Target, adu, cases

__all__ = ["Finding", "run"]

HEADER = 6
RECEIVE = 4096
# Asked for after an attack: its answer says that everything before it is done with.
MARK = 0xA5A5
BREAK_S = 0.1
# Growth of a process that is still flat: allocators keep pages.
FLAT = {"rss_mib": 8.0, "threads": 0.0, "files": 2.0}
SLOWER, SLOWER_S = 5.0, 0.02


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a device did wrong.

    Attributes
    ----------
    number, attack : case, and which of its attacks
    wrong : what
    seen : what was observed
    """

    number: int
    attack: str
    wrong: str
    seen: str

    def __str__(self) -> str:
        return f"{self.number} {self.attack}: {self.wrong} ({self.seen})"


@dataclass(slots=True)
class _Seen:
    """What came back: answers in order, whether the other side closed, whether the mark came."""

    answers: list[tuple[int, int, int]]
    closed: bool = False
    marked: bool = False

    def __str__(self) -> str:
        said = [f"exception {c}" if f & 0x80 else f"answer {f}" for _, f, c in self.answers[:5]]
        end = "closed" if self.closed else "open" if self.marked else "stuck"
        return ", ".join([*said, end])


def run(
    address: str,
    port: int = 502,
    unit: int = 1,
    *,
    target: Target | None = None,
    numbers: Sequence[int] | None = None,
    others: Sequence[Target] = (),
    watch: Sequence[tuple[int, int, int]] = (),
    inside: Callable[[], Mapping[str, float]] | None = None,
    patience_s: float = 1.0,
    tap: Callable[[bool, bytes], None] | None = None,
) -> list[Finding]:
    """Attack a device on Modbus TCP and return everything that it did wrong.

    Parameters
    ----------
    address, port, unit : the device; or all of it by `target`
    numbers : cases; None takes all that concern a server
    others : devices whose answers must stay as quick as they were
    watch : function, first address and count of reads whose answers must not change
    inside : what the process under test says of itself: ``rss_mib``, ``threads``, ``files``
    patience_s : how long a good request may take
    tap : told of the bytes of attacks (True) and of what came back

    Raises ConnectionError where the device does not answer a good request to begin with.
    """
    aimed = Target(address, port, unit) if target is None else target
    wanted = [c for c in cases(aimed) if c.side == "server" and _in(c, numbers)]
    judge = _Judge(aimed, others, watch, inside, patience_s, tap)
    found: list[Finding] = []
    for case in wanted:
        for attack in case.frames:
            found += judge.attack(case, attack)
        found += judge.after(case)
    judge.close()
    return found


def _in(case: Case, numbers: Sequence[int] | None) -> bool:
    return numbers is None or case.number in numbers


class _Judge:
    """Sends attacks and looks at what they leave behind."""

    def __init__(
        self,
        target: Target,
        others: Sequence[Target],
        watch: Sequence[tuple[int, int, int]],
        inside: Callable[[], Mapping[str, float]] | None,
        patience_s: float,
        tap: Callable[[bool, bytes], None] | None,
    ) -> None:
        self.target, self.watch, self.patience_s = target, watch, patience_s
        self.tap = tap
        self.inside = inside
        if not self._asks_well():
            raise ConnectionError(f"{target.address}:{target.port} does not answer a good request")
        self.others = [(other, _connect(other, patience_s)) for other in others]
        for _, one in self.others:
            one.settimeout(patience_s)
        quiet = [s for _ in range(20) for s in self._ask_others()]
        self.quiet_s = statistics.median(quiet) if quiet else 0.0
        self.held = self._watched()
        self.busy_s: list[float] = []
        self.size = dict(inside()) if inside is not None else {}

    def close(self) -> None:
        for _, one in self.others:
            one.close()

    def attack(self, case: Case, attack: Attack) -> Iterator[Finding]:
        """Yield what is wrong with one attack's outcome."""
        seen = self._send(attack)
        for wrong in self._wrong(attack, seen):
            yield Finding(case.number, attack.name, wrong, str(seen))
        self.busy_s += self._ask_others()
        if not self._asks_well():
            yield Finding(case.number, attack.name, "no answer on a new connection", "silence")

    def after(self, case: Case) -> Iterator[Finding]:
        """Yield what a whole case has left behind."""
        if self._watched() != self.held:
            yield Finding(case.number, "all", "registers have changed", "watched reads differ")
        if self.busy_s:
            busy_s = statistics.median(self.busy_s)
            if busy_s > SLOWER * self.quiet_s + SLOWER_S:
                seen = f"{1e3 * busy_s:.1f} ms, before {1e3 * self.quiet_s:.1f} ms"
                yield Finding(case.number, "all", "other devices answer later", seen)
        self.busy_s = []
        for name, before in self.size.items():
            now = 0.0 if self.inside is None else self.inside()[name]
            if now > before + FLAT.get(name, 0.0):
                yield Finding(case.number, "all", f"{name} has grown", f"{before:g} to {now:g}")

    def _send(self, attack: Attack) -> _Seen:
        with _connect(self.target, self.patience_s) as one:
            seen = _Seen([])
            try:
                for piece in attack.pieces:
                    if self.tap is not None:
                        self.tap(True, piece)
                    one.sendall(piece)
                    if attack.pause_s > 0.0:
                        time.sleep(attack.pause_s)
                if attack.reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    seen.closed = True
                elif attack.half_close:
                    one.shutdown(socket.SHUT_WR)
                else:
                    one.sendall(adu(self.target.good, self.target.unit, MARK))
            except OSError:
                seen.closed = True
            # What may stay open without an answer is not waited for long.
            wait_s = BREAK_S if May.BREAK in attack.may else self.patience_s
            if not attack.reset:
                _listen(one, seen, wait_s, self.tap)
            return seen

    def _wrong(self, attack: Attack, seen: _Seen) -> Iterator[str]:
        may = attack.may
        good = [a for a in seen.answers if not a[1] & 0x80]
        for _, function, code in seen.answers:
            if function & 0x80 and May.REFUSE not in may:
                yield f"refused with exception {code}"
            elif function & 0x80 and code not in attack.codes:
                yield f"exception {code}, not one of {', '.join(map(str, attack.codes))}"
        if May.ANSWER in may and len(good) < attack.answers:
            yield f"{len(good)} of {attack.answers} answers"
        if May.ANSWER in may and [a[0] for a in good] != sorted(a[0] for a in good):
            yield "answers out of order"
        if good and May.ANSWER not in may:
            yield "answered as if it were right"
        if seen.closed and May.CLOSE not in may and not attack.half_close:
            yield "connection closed"
        if not seen.marked and not seen.closed and May.BREAK not in may:
            yield "the next request on the same connection is not answered"

    # -- good requests -------------------------------------------------------------------------

    def _asks_well(self) -> bool:
        try:
            with _connect(self.target, self.patience_s) as one:
                return _ask(one, self.target, self.target.good) is not None
        except OSError:
            return False

    def _ask_others(self) -> list[float]:
        took = []
        for other, one in self.others:
            begun = time.monotonic()
            if _ask(one, other, other.good) is None:
                took.append(self.patience_s)
            else:
                took.append(time.monotonic() - begun)
        return took

    def _watched(self) -> list[bytes | None]:
        if not self.watch:
            return []
        with _connect(self.target, self.patience_s) as one:
            return [_ask(one, self.target, struct.pack(">BHH", *wanted)) for wanted in self.watch]


def _connect(target: Target, patience_s: float) -> socket.socket:
    one = socket.create_connection((target.address, target.port), patience_s)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def _listen(
    one: socket.socket, seen: _Seen, wait_s: float, tap: Callable[[bool, bytes], None] | None
) -> None:
    """Take what comes until the mark is answered, the other side closes or the time is over."""
    data, end = b"", time.monotonic() + wait_s
    while not seen.marked and (left := end - time.monotonic()) > 0.0:
        one.settimeout(left)
        try:
            part = one.recv(RECEIVE)
        except TimeoutError:
            return
        except OSError:
            part = b""
        if not part:
            seen.closed = True
            return
        if tap is not None:
            tap(False, part)
        data = _take(data + part, seen)


def _ask(one: socket.socket, target: Target, pdu: bytes) -> bytes | None:
    """Return the PDU that answers another; None where none comes, or another's."""
    data = b""
    with suppress(OSError):
        one.sendall(adu(pdu, target.unit, MARK))
        while len(data) < HEADER or len(data) < HEADER + int.from_bytes(data[4:6], "big"):
            part = one.recv(RECEIVE)
            if not part:
                return None
            data += part
        if data[:2] == MARK.to_bytes(2, "big") and data[7] == pdu[0]:
            return data[HEADER + 1 :]
    return None


def _take(data: bytes, seen: _Seen) -> bytes:
    """Move whole answers from `data` to `seen`; return the rest."""
    while len(data) >= HEADER + 2:
        length = int.from_bytes(data[4:6], "big")
        if len(data) < HEADER + length:
            break
        tid, function = int.from_bytes(data[:2], "big"), data[HEADER + 1]
        code = data[HEADER + 2] if length > 2 else 0
        if tid == MARK and not function & 0x80:
            seen.marked = True
        else:
            seen.answers.append((tid, function, code))
        data = data[HEADER + max(length, 2) :]
    return data
