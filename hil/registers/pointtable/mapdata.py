"""What a table says of the map as a whole, and what it must be told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hil.registers.kinds import catalogue
from hil.registers.pointtable.findings import Choices, Notes, Place
from hil.registers.pointtable.headers import Layout
from hil.registers.pointtable.points import Built

__all__ = ["MAP_COLUMNS", "map_data"]

# Column and key of the map; `identity.` keys lie one deeper.
MAP_COLUMNS = {
    "map_name": "name",
    "map_kind": "kind",
    "map_title": "title",
    "map_title_zh": "title_zh",
    "map_source": "source",
    "map_vendor": "identity.vendor",
    "map_product": "identity.product",
    "map_revision": "identity.revision",
    "map_model": "identity.model",
    "map_order": "order",
    "map_gaps": "gaps",
    "map_unknown_unit": "unknown_unit",
    "map_refusal": "refusal",
    "map_longest_read": "longest_read",
}
WHOLE_NUMBERS = ("refusal", "longest_read")
FILE = Place("")


def map_data(
    layout: Layout, built: Built, path: Path, choices: Choices, notes: Notes
) -> dict[str, Any]:
    """Return the map as JSON has it, defaults left out.

    The kind of device must be told where no column names one of the twin's; name, titles and
    identity come from columns, else from the file's name.
    """
    said = _said(layout, notes)
    kind = _kind(said.get("kind"), choices, notes)
    stem = path.stem
    name = choices.name or said.get("name")
    if choices.name is not None:
        notes.find(FILE, f"the map is named {name}", "--name")
    if name is None:
        name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "point-table"
        notes.find(FILE, f"the map is named {name}", "the file's name", ("--name",))
    identity = {
        key: said[f"identity.{key}"]
        for key in ("vendor", "product", "revision", "model")
        if f"identity.{key}" in said
    }
    if "vendor" not in identity or "product" not in identity:
        defaults = {"vendor": "unknown", "product": stem}
        what = f"identity {', '.join(k for k in defaults if k not in identity)}"
        notes.find(FILE, f"{what} as for an unknown device", "no column gives it")
        identity = defaults | identity
    data: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "title": said.get("title", stem),
        "title_zh": said.get("title_zh", stem),
        "source": said.get("source", f"point table {path.name}"),
        "identity": identity,
    }
    if built.unit is not None and built.unit != 1:
        data["unit"] = built.unit
    if built.order != "ABCD":
        data["order"] = built.order
    for key in ("gaps", "unknown_unit", *WHOLE_NUMBERS):
        if key in said:
            number = key in WHOLE_NUMBERS and said[key].isdecimal()
            data[key] = int(said[key]) if number else said[key]
    data["points"] = built.points
    if built.reserved:
        data["reserved"] = built.reserved
    if built.commands:
        data["commands"] = built.commands
    return data


def _said(layout: Layout, notes: Notes) -> dict[str, str]:
    said = {}
    for column, key in MAP_COLUMNS.items():
        texts = {text: row.place for row in layout.rows if (text := row.get(column)) != ""}
        if not texts:
            continue
        said[key] = next(iter(texts))
        if len(texts) > 1:
            what = f"{key} of the map is {said[key]!r}"
            place = next(iter(texts.values()))
            notes.find(place, what, "the first of several", tuple(texts)[1:4])
    return said


def _kind(said: str | None, choices: Choices, notes: Notes) -> str:
    kinds = tuple(catalogue())
    if choices.kind is not None:
        notes.find(FILE, f"kind {choices.kind}", "--kind")
        return choices.kind
    if said in kinds:
        return str(said)
    evidence = "no column names it" if said is None else f"the table says {said!r}"
    notes.doubt("kind", FILE, "which kind of device of the twin this is", evidence, kinds)
    return kinds[0]
