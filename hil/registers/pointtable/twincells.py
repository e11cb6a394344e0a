"""Sources and commands as cells: written by an export, read by an import.

A source is ``point:soc``, ``setpoint:power_kw``, ``held:0``, ``nameplate:rated_kw``,
``constant:103`` or ``text:SUN-{serial}``; a bare name is a set-point where the point is written
and a reading elsewhere. Gain, offset, 'of rating' and codes have columns of their own. Commands
stand in the row of their value point, as words ``key=value``, `|` between two of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from hil.registers.pointtable.findings import Notes
from hil.registers.pointtable.headers import Row
from hil.registers.pointtable.words import lookup
from hil.registers.schema import Command, Source

__all__ = ["number", "read_commands", "read_source", "write_commands", "write_source"]

FORMS = ("point", "setpoint", "held", "nameplate", "constant", "text")
NUMBERS = ("held", "constant")
SOURCE = "point:NAME, setpoint:NAME, held:NUMBER, nameplate:COLUMN, constant:NUMBER or text:TEXT"
COMMAND = "setpoint=NAME [low=NAME] [enable=NAME] [on=N] [off=N] [also:NAME=N]"


def number(text: str) -> float | int | None:
    """Return a number as JSON has it, None where the text is none."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value - value == 0.0 else None


def write_source(source: Source | None) -> dict[str, str]:
    """Return the cells of a source, by meaning of the column."""
    if source is None:
        return {}
    form = next(name for name in FORMS if getattr(source, name) is not None)
    value = getattr(source, form)
    cells = {"twin": f"{form}:{_number(value) if form in NUMBERS else value}"}
    if source.gain != 1.0:
        cells["twin_gain"] = _number(source.gain)
    if source.offset != 0.0:
        cells["twin_offset"] = _number(source.offset)
    if source.per_rating:
        cells["twin_rating"] = "是"
    if source.values:
        cells["twin_values"] = ";".join(f"{_number(a)}={_number(b)}" for a, b in source.values)
    return cells


def read_source(row: Row, access: str, notes: Notes) -> dict[str, Any] | None:
    """Return the source that a row names; None where it names none."""
    text = row.get("twin")
    if text == "":
        return None
    form, colon, value = text.partition(":")
    if colon == "":
        form, value = ("setpoint" if "w" in access else "point"), text
        notes.find(row.place, f"twin {value!r} is a {form}", f"access {access}")
    source: dict[str, Any] = {}
    held = number(value) if form in NUMBERS else value
    if form not in FORMS or held is None or value == "":
        notes.wrong(row.place, "twin", repr(text), SOURCE)
        return None
    source[form] = held
    for meaning, key in (("twin_gain", "gain"), ("twin_offset", "offset")):
        if row.get(meaning) != "":
            given = number(row.get(meaning))
            if given is None:
                notes.wrong(row.place, meaning, repr(row.get(meaning)), "a number")
            else:
                source[key] = given
    if lookup("yes", row.get("twin_rating")) is not None:
        source["per_rating"] = True
    pairs = []
    for part in filter(None, row.get("twin_values").split(";")):
        twin, _, code = part.partition("=")
        ends = (number(twin), number(code))
        if None in ends:
            notes.wrong(row.place, "twin_values", repr(part), "twin=register;twin=register")
        pairs.append(list(ends))
    return source | ({"values": pairs} if pairs else {})


def write_commands(commands: Mapping[int, Command]) -> str:
    """Return the cell of the commands whose value point a row is; keys number them in the map."""
    texts = []
    for place, command in commands.items():
        words = [f"number={place + 1}", f"setpoint={command.setpoint}"]
        words += [f"low={command.low}"] if command.low is not None else []
        words += [f"enable={command.enable}"] if command.enable is not None else []
        words += [f"on={command.on}", f"off={command.off}"]
        words += [f"also:{name}={_number(value)}" for name, value in command.also.items()]
        texts.append(" ".join(shlex.quote(word) for word in words))
    return " | ".join(texts)


def read_commands(row: Row, value_point: str, notes: Notes) -> dict[int, dict[str, Any]]:
    """Return the commands in a row, by their number in the map."""
    text = row.get("twin_command")
    found: dict[int, dict[str, Any]] = {}
    try:
        words = shlex.split(text)
    except ValueError:
        words = ["?"]
    current: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            current.append([])
        else:
            current[-1].append(word)
    for part in filter(None, current):
        command: dict[str, Any] = {"value": value_point}
        place = len(found) + 1
        for word in part:
            key, _, value = (
                word.rpartition("=") if word.startswith("also:") else word.partition("=")
            )
            given = number(value)
            if key in ("on", "off", "number") and isinstance(given, int):
                if key == "number":
                    place = given
                else:
                    command[key] = given
            elif key.startswith("also:") and given is not None:
                command.setdefault("also", {})[key.removeprefix("also:")] = given
            elif key in ("setpoint", "low", "enable") and value != "":
                command[key] = value
            else:
                notes.wrong(row.place, "twin_command", repr(word), COMMAND)
        if "setpoint" not in command:
            notes.wrong(row.place, "twin_command", repr(text), COMMAND)
        else:
            found[place] = command
    return found


def _number(value: float) -> str:
    """Return a number that reads back as itself, whole ones without '.0'."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
