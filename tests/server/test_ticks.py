"""Answers while ticks are written as fast as the machine can: none mixes two of them."""

from __future__ import annotations

import struct
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from hil.kernels import image as im
from hil.kernels import turn
from tests.server.serving import BODIES, Client, frame, read, serving
from tests.server.world import rig_bank

FIRST, COUNT = 26, 119
DURATION_S = 1.5


@njit(nogil=True)
def tick(bank: im.Bank, starts: NDArray[np.int64], stop: NDArray[np.int64]) -> int:
    """Publish ticks whose registers all hold their number, until `stop`; return how many."""
    number = 0
    while stop[0] == 0:
        number += 1
        back = 1 - bank.front[0]
        turn.begin(bank.version, back)
        for start in starts:
            for i in range(start, start + 2 * COUNT, 2):
                bank.words[back, i] = number >> 8 & 0xFF
                bank.words[back, i + 1] = number & 0xFF
        turn.end(bank.version, back)
        turn.show(bank.front)
    return number


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("body", BODIES)
def test_no_answer_mixes_two_ticks(body: str, lanes: int) -> None:
    bank = rig_bank(lanes=lanes + 1)
    a, layout = bank.arrays, bank.compiled.layout
    point = bank.compiled.row(0, f"block{FIRST}")
    starts = a.base[:2] + layout.point[point, im.BYTE]
    for start in starts:
        a.words[:, start : start + 2 * COUNT] = 0
    stop = np.ones(1, np.int64)
    tick(a, starts, stop)  # compiles
    stop[0] = 0
    writer = threading.Thread(target=tick, args=(a, starts, stop))
    with serving(bank, body) as server, ExitStack() as stack:
        clients = [stack.enter_context(Client(server.endpoints[i % 2])) for i in range(4)]
        writer.start()
        try:
            seen, end = set(), time.monotonic() + DURATION_S
            while time.monotonic() < end:
                for client in clients:
                    client.send(frame(read(3, FIRST, COUNT)) * 20)
                for client in clients:
                    for _ in range(20):
                        values = set(struct.unpack(f">{COUNT}H", client.answer()[9:]))
                        assert len(values) == 1, f"two ticks in one answer: {values}"
                        seen |= values
        finally:
            stop[0] = 1
            writer.join()
    assert len(seen) > 100, "the writer hardly ran"
