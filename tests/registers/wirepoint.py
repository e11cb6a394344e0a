"""Points for tests of codec and rules."""

from __future__ import annotations

from typing import Any

from hil.registers.schema import WirePoint


def point(type_: str, **given: Any) -> WirePoint:
    """Return a readable point of a type; text has two registers."""
    data: dict[str, Any] = {
        "name": "p", "class": "yc", "table": "discrete" if type_ == "bit" else "holding",
        "address": 0, "type": type_, "meaning": "-", "meaning_zh": "-",
    }  # fmt: skip
    if type_ == "string":
        data["length"] = 2
    return WirePoint.model_validate(data | given)
