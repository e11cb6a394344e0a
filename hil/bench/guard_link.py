"""What runner and guard say to each other: one datagram a message, JSON, over a socket pair.

Datagrams of a connected pair keep their bounds and go whole or not at all, so that a signal
handler may send one in the middle of another. The end of either process is the end of the link,
whatever ended it. (A process that was forked from the runner keeps its end open; then the
heartbeat tells.)

Runner to guard: ``beat`` (number), ``call`` (number, device, what, ...: one request at a line
that the guard holds), ``finish`` (why, told: which devices took their safe
state), ``yielded`` (the
runner writes no more), ``abort`` (why). Guard to runner: ``armed``, ``refused`` (found), ``alive``
(number of the beat), ``result`` (number; words, data or error), ``tripped`` (why), ``proof`` (of
one device), ``ended``.
"""

from __future__ import annotations

import json
import math
import select
import socket
import time
from typing import Any, TypeAlias

__all__ = ["LinkEnded", "Message", "receive", "send", "socket_pair"]

Message: TypeAlias = dict[str, Any]
LONGEST = 1 << 16  # bytes of a message; a reading of 125 registers takes less than one


class LinkEnded(Exception):
    """The other process has ended, or has closed its side."""


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a link; both block."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, **message: Any) -> None:
    """Send a message, whole or not at all; never waits for the other side to read.

    Raises LinkEnded where nobody is there any more. A message for which there is no room is
    dropped: the other side has not read for hundreds of messages, and its silence says so.
    """
    data = json.dumps(message, ensure_ascii=False).encode()
    try:
        end.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    except BlockingIOError:
        return
    except OSError as error:
        raise LinkEnded(str(error)) from error


def receive(end: socket.socket, wait_s: float) -> Message | None:
    """Return the next message, None where none comes within `wait_s`; raises LinkEnded."""
    limit = time.monotonic() + wait_s
    waiting = select.poll()  # `select` knows no descriptor above 1023, and a testbed has more
    waiting.register(end, select.POLLIN)
    while True:
        left = max(limit - time.monotonic(), 0.0)
        if not waiting.poll(math.ceil(left * 1000.0)):
            return None
        try:
            data = end.recv(LONGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            continue
        except OSError as error:
            raise LinkEnded(str(error)) from error
        if data == b"":
            raise LinkEnded("the other side has ended")
        message = json.loads(data)
        if isinstance(message, dict):
            return message
