"""The C library as compiled loops call it: sockets, epoll, the clock.

Functions are declared by symbol, so that what calls them is cached on disk (addresses taken
through ctypes are not). All of them work on file descriptors and on addresses of memory
(``array.ctypes.data``); -1 means an error, whose number `errno` gives. Linux only.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = [
    "close", "connect", "epoll_ctl", "epoll_wait", "errno", "getsockopt", "monotonic_ns", "recv",
    "send", "setsockopt", "shutdown", "socket",
]  # fmt: skip

EINTR, EAGAIN, EINPROGRESS, EMFILE, ENFILE = 4, 11, 115, 24, 23
EPOLL_ADD, EPOLL_DELETE, EPOLL_MODIFY = 1, 2, 3
EPOLL_IN, EPOLL_OUT, EPOLL_ERROR, EPOLL_HANG_UP = 1, 4, 8, 16
DONT_WAIT, NO_SIGNAL = 0x40, 0x4000
INTERNET, STREAM, NON_BLOCKING, CLOSE_ON_EXEC = 2, 1, 0o4000, 0o2000000
LEVEL_SOCKET, SOCKET_ERROR, LEVEL_TCP, TCP_NO_DELAY = 1, 4, 6, 1
CLOCK_MONOTONIC, BOTH_WAYS = 1, 2

# One epoll event as int32: the mask, then (packed on x86-64 only) 64 bits of the caller's own.
EVENT_INTS = 3 if platform.machine() in ("x86_64", "AMD64") else 4
EVENT_DATA = EVENT_INTS - 2

_i32, _ptr = types.int32, types.intp


def _declared(name: str, returns: Any, *takes: Any) -> Callable[..., int]:
    return cast(Callable[..., int], types.ExternalFunction(name, returns(*takes)))


socket = _declared("socket", _i32, _i32, _i32, _i32)
connect = _declared("connect", _i32, _i32, _ptr, types.uint32)
close = _declared("close", _i32, _i32)
shutdown = _declared("shutdown", _i32, _i32, _i32)
send = _declared("send", types.intp, _i32, _ptr, types.intp, _i32)
recv = _declared("recv", types.intp, _i32, _ptr, types.intp, _i32)
setsockopt = _declared("setsockopt", _i32, _i32, _i32, _i32, _ptr, types.uint32)
getsockopt = _declared("getsockopt", _i32, _i32, _i32, _i32, _ptr, _ptr)
epoll_ctl = _declared("epoll_ctl", _i32, _i32, _i32, _i32, _ptr)
epoll_wait = _declared("epoll_wait", _i32, _i32, _ptr, _i32, _i32)
clock_gettime = _declared("clock_gettime", _i32, _i32, _ptr)
errno_location = _declared("__errno_location", _ptr)


@intrinsic
def _int_at(typingctx, address):  # type: ignore[no-untyped-def]
    """Return the C int at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        return builder.load(place)

    return types.int32(types.intp), codegen


@njit(cache=True, nogil=True)
def errno() -> int:
    """Return the number of the last error of this thread."""
    return _int_at(errno_location())  # type: ignore[call-arg]


@njit(cache=True, nogil=True)
def monotonic_ns(two: NDArray[np.int64]) -> int:
    """Return the monotonic clock [ns], the one of `time.monotonic_ns`; `two` is scratch."""
    clock_gettime(CLOCK_MONOTONIC, two.ctypes.data)
    return int(two[0] * 1_000_000_000 + two[1])
