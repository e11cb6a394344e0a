"""Tables that the logic reported, read with care: another logic may report what it likes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twin.record.history import REPORT, History

__all__ = ["Reported", "reported", "rows_of"]

Reported: TypeAlias = dict[str, NDArray[np.generic]]


def reported(
    history: History, name: str, *, texts: Sequence[str] = (), numbers: Sequence[str] = ()
) -> Reported | None:
    """Return the columns asked for, or None where one is missing, empty or of another kind.

    Parameters
    ----------
    texts, numbers : columns wanted as text and as float64; all have one length
    """
    table = history.events(f"{REPORT}{name}")
    if not {*texts, *numbers} <= table.keys():
        return None
    try:
        found: Reported = {column: np.asarray(table[column]).astype(np.str_) for column in texts}
        found |= {column: np.asarray(table[column], dtype=np.float64) for column in numbers}
    except (TypeError, ValueError):
        return None
    shapes = {column.shape for column in found.values()}
    shape = shapes.pop() if len(shapes) == 1 else ()
    return found if len(shape) == 1 and shape[0] > 0 else None


def rows_of(table: Reported | None, wanted: NDArray[np.bool_] | None) -> Reported | None:
    """Return the rows where `wanted` is true, None where there are none."""
    if table is None or wanted is None or not bool(wanted.any()):
        return None
    return {name: column[wanted] for name, column in table.items()}
