"""State as data: named rows of one block, plus named arrays of other shapes.

A device kind keeps everything that evolves in one `Table`, so that saving, forking, hashing
and comparing are written once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Table:
    """Named float64 rows of one C-contiguous block, and extra arrays.

    Parameters
    ----------
    rows : names of the block's rows, in order
    n : number of columns (devices, sites, ...)
    extra : arrays of other shapes or types by name (sessions, flags, ...)

    ``table["soc"]`` is a view of a row or the extra array itself; ``table["soc"] = x`` writes
    into it in place. ``table.block`` has shape (rows, n) for kernels. Never keep a view across
    a fork.
    """

    __slots__ = ("_held", "_names", "block", "extra")

    def __init__(
        self,
        rows: tuple[str, ...],
        n: int,
        extra: Mapping[str, NDArray[np.generic]] | None = None,
    ) -> None:
        self._names = rows
        self.block: NDArray[np.float64] = np.zeros((len(rows), n))
        self.extra: dict[str, NDArray[np.generic]] = {
            k: np.ascontiguousarray(v) for k, v in (extra or {}).items()
        }
        self._hold()
        if len(self._held) != len(rows) + len(self.extra):
            raise ValueError(f"a name stands twice in {rows} and {tuple(self.extra)}")

    def _hold(self) -> None:
        """Look every name up once; rows are views of the block."""
        self._held: dict[str, NDArray[np.float64]] = {
            name: self.block[i] for i, name in enumerate(self._names)
        }
        self._held.update(self.extra)  # type: ignore[arg-type]

    @property
    def n(self) -> int:
        """Number of columns."""
        return int(self.block.shape[1])

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Return the row or extra array `name` as a view.

        Typed float64, which rows are; an extra array keeps its own type.
        """
        return self._held[name]

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        self._held[name][...] = value

    def __contains__(self, name: str) -> bool:
        return name in self._held

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def copy(self) -> Table:
        """Return an independent copy."""
        twin = object.__new__(Table)
        twin._names = self._names
        twin.block = self.block.copy()
        twin.extra = {k: v.copy() for k, v in self.extra.items()}
        twin._hold()
        return twin

    def __getstate__(self) -> dict[str, object]:
        """Views are made anew on the other side."""
        return {"names": self._names, "block": self.block, "extra": self.extra}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._names, self.block, self.extra = state["names"], state["block"], state["extra"]
        self._hold()

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the underlying arrays by name, the block as ``"block"``; for saving."""
        return {"block": self.block, **self.extra}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Overwrite everything in place from `arrays()` of a table of the same shape."""
        for name, own in self.arrays().items():
            given = arrays[name]
            if given.shape != own.shape or given.dtype != own.dtype:
                raise ValueError(
                    f"{name}: {given.shape} {given.dtype}, not {own.shape} {own.dtype}"
                )
            own[...] = given

    def digest(self) -> str:
        """Return a hash of every bit in the table."""
        h = hashlib.blake2b(digest_size=16)
        for name, array in sorted(self.arrays().items()):
            h.update(f"{name}{array.shape}{array.dtype}".encode())
            h.update(np.ascontiguousarray(array).tobytes())
        return h.hexdigest()
