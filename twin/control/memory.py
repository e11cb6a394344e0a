"""What a logic remembers, as bytes: named arrays and plain numbers, never code.

Arrays travel as numpy's own uncompressed archive without pickled objects, numbers and texts
as JSON beside them, so that a state may come from an untrusted file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from twin.record.table import Table

_PLAIN = "plain.json"


def whole(table: Table, name: str) -> NDArray[np.int64]:
    """Return the extra int64 array `name` of `table` (a view)."""
    return cast("NDArray[np.int64]", table.extra[name])


def pack(tables: Mapping[str, Table], plain: object = None) -> bytes:
    """Return `tables` and JSON-able `plain` as bytes; floats keep every bit."""
    arrays: dict[str, NDArray[np.generic]] = {
        f"{name}/{key}": array
        for name, table in tables.items()
        for key, array in table.arrays().items()
    }
    text = json.dumps(plain, allow_nan=True).encode()
    arrays[_PLAIN] = np.frombuffer(text, np.uint8)
    with io.BytesIO() as out:
        np.savez(out, allow_pickle=False, **arrays)
        return out.getvalue()


def unpack(state: bytes, tables: Mapping[str, Table]) -> object:
    """Overwrite `tables` in place from `pack`'s bytes and return the plain part.

    Raises ValueError when the bytes are of another fleet or hold pickled objects.
    """
    with io.BytesIO(state) as source, np.load(source, allow_pickle=False) as archive:
        held: dict[str, NDArray[np.generic]] = {name: archive[name] for name in archive.files}
    for name, table in tables.items():
        missing = [key for key in table.arrays() if f"{name}/{key}" not in held]
        if missing:
            raise ValueError(f"state has no {name}/{missing[0]}")
        table.restore({key: held[f"{name}/{key}"] for key in table.arrays()})
    plain: object = json.loads(held[_PLAIN].tobytes())
    return plain
