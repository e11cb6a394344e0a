"""Read-only columns of equal length: nameplates, registrations, site lists."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray


class Columns(Mapping[str, NDArray[np.generic]]):
    """Immutable named arrays that share their first dimension.

    Raises ValueError when lengths differ.
    """

    __slots__ = ("_arrays", "n")

    def __init__(self, arrays: Mapping[str, NDArray[np.generic]], n: int | None = None) -> None:
        held: dict[str, NDArray[np.generic]] = {}
        for name, array in arrays.items():
            own = np.array(array, copy=True, order="C")
            own.setflags(write=False)
            held[name] = own
            n = own.shape[0] if n is None else n
            if own.shape[0] != n:
                raise ValueError(f"column {name} has {own.shape[0]} rows, not {n}")
        self._arrays = held
        self.n = 0 if n is None else n

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        """Return the number of columns (of names); rows are `n`."""
        return len(self._arrays)

    def digest(self) -> str:
        """Return a hash of every bit."""
        h = hashlib.blake2b(digest_size=12)
        for name, array in sorted(self._arrays.items()):
            h.update(f"{name}{array.shape}{array.dtype}".encode())
            h.update(array.tobytes())
        return h.hexdigest()

    def f8(self, name: str) -> NDArray[np.float64]:
        """Return a column as float64 (a view where it is one already)."""
        return np.asarray(self._arrays[name], dtype=np.float64)

    def i8(self, name: str) -> NDArray[np.int64]:
        """Return a column as int64."""
        return np.asarray(self._arrays[name], dtype=np.int64)

    def flag(self, name: str) -> NDArray[np.bool_]:
        """Return a column as bool."""
        return np.asarray(self._arrays[name], dtype=np.bool_)
