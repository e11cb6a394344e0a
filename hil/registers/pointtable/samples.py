"""Words of a real device read under a map, to see whether a reading is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hil.registers.codec import decode
from hil.registers.schema import WirePoint

__all__ = ["Decoded", "decode_samples"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """Sample registers read as a point: `value` is None for 'not implemented'."""

    name: str
    meaning_zh: str
    address: int
    words: tuple[int, ...]
    value: float | str | None
    unit: str

    def __str__(self) -> str:
        value = f"{self.value:.6g}" if isinstance(self.value, float) else str(self.value)
        return f"{self.meaning_zh} = {value} {self.unit}".rstrip()


def decode_samples(data: Mapping[str, Any], samples: Mapping[int, int]) -> tuple[Decoded, ...]:
    """Return the points in registers of which every word is among the samples.

    Parameters
    ----------
    data : a map as JSON has it; points that are not valid are left out
    samples : words by register address on the wire, whatever the table
    """
    found = []
    for entry in data.get("points", ()):
        try:
            point = WirePoint.model_validate(entry)
        except ValueError:
            continue
        addresses = range(point.address, point.address + point.width)
        if point.type == "bit" or any(a not in samples for a in addresses):
            continue
        words = tuple(samples[a] for a in addresses)
        value = decode(point, data.get("order", "ABCD"), words)
        found.append(Decoded(point.name, point.meaning_zh, point.address, words, value, point.unit))
    return tuple(found)
