"""Chance by key: draws that do not depend on who drew before.

Every draw comes from numpy's Philox keyed by seed, purpose and a number (tick, minute or
event), one vector draw over the rows of a kind. Two runs of one scenario therefore share
their chance even where they differ in control (common random numbers), and a fork needs no
generator state.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=1024)
def _word(purpose: str) -> int:
    """Return 64 bits that stand for a purpose."""
    return int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")


def generator(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """Return a generator that depends on its three arguments only.

    Parameters
    ----------
    seed : int      the scenario's seed
    purpose : str   what the draw is for, e.g. ``"charging.arrivals"``
    number : int    tick, minute or event number, may be negative (the day before)
    """
    key = np.array([seed & 0xFFFF_FFFF_FFFF_FFFF, _word(purpose)], np.uint64)
    counter = np.array([0, 0, number & 0xFFFF_FFFF_FFFF_FFFF, 0], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
