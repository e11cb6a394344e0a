"""A write that is stamped before a take and put after it."""

from __future__ import annotations

import numpy as np

from hil.kernels.protocol import answer
from hil.registers.bank import RegisterBank
from tests.server.world import publish, rig_bank

MODE = 2  # holding register, shows 3 at first


def ask(bank: RegisterBank, now_ns: int, function: int, value: int) -> bytes:
    """Ask device 0 for register `MODE`, or write it, at a moment."""
    frame = np.frombuffer(bytes([0, 1, 0, 0, 0, 6, 1, function, 0, MODE, 0, value]), np.uint8)
    out = np.zeros(300, np.uint8)
    where = (0, 0, 1)
    end = answer(bank.arrays, bank.compiled.layout, where, frame, (0, 12), now_ns, out, 0)
    return out[7:end].tobytes()


def test_what_waits_is_shown_until_a_tick_has_it() -> None:
    bank = rig_bank()
    assert len(bank.take(150).device) == 0
    assert ask(bank, 100, 6, 7) == bytes([6, 0, MODE, 0, 7])  # its thread had to wait meanwhile
    publish(bank, 2, 150)
    assert ask(bank, 200, 3, 1) == bytes([3, 2, 0, 7])
    late = bank.take(250)
    assert late.value.tolist() == [7.0]
    bank.held[0][bank.compiled.held[0].index("mode")] = 5.0  # the device made 5 of it
    publish(bank, 3, 250)
    assert ask(bank, 300, 3, 1) == bytes([3, 2, 0, 5])
