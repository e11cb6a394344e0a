"""Register maps from files: the shipped ones, and anybody's; all problems at once."""

from __future__ import annotations

import json
import math
import typing
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from hil.registers.check import Fault, faults, is_invertible
from hil.registers.kinds import catalogue
from hil.registers.schema import Command, RegisterMap, Reserved, WirePoint
from twin.city.spelling import did_you_mean
from twin.errors import InputProblems, Problem

__all__ = [
    "check_map", "commands_of", "load_map", "maps_of", "reading_points", "shipped_maps",
    "unreached",
]  # fmt: skip

P = typing.TypeVar("P", bound=BaseModel)

_WORDS = (
    ("Input should be ", ""),
    ("String should ", "text that should "),
    ("Value error, ", ""),
    ("valid tuple", "list"),
    ("valid dictionary or instance of ", "object: "),
    ("valid dictionary", "object"),
    ("valid integer", "whole number"),
    ("valid ", ""),
)
_PARTS: dict[str, type[BaseModel]] = {
    "points": WirePoint,
    "reserved": Reserved,
    "commands": Command,
}


def shipped_maps() -> dict[str, RegisterMap]:
    """Return the maps that come with the package, by name."""
    return dict(_shipped())


def maps_of(kind: str) -> dict[str, RegisterMap]:
    """Return the shipped maps of a kind, by name; the kind's own table comes first."""
    mine = {name: one for name, one in _shipped().items() if one.kind == kind}
    return dict(sorted(mine.items(), key=lambda item: not item[0].endswith("-own")))


def load_map(name: str | Path) -> RegisterMap:
    """Return the map that `name` means: a shipped map's name, or a JSON file.

    Raises InputProblems with all that is wrong with it.
    """
    shipped = _shipped()
    if str(name) in shipped:
        return shipped[str(name)]
    path = Path(name)
    if not path.is_file():
        allowed = f"a JSON file or one of {', '.join(shipped)}{did_you_mean(str(name), shipped)}"
        raise InputProblems([Problem(str(name), "map", "not found", allowed)])
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputProblems([Problem(str(path), "file", str(error), "UTF-8 text")]) from None
    return check_map(_parse(text, str(path)), str(path))


def check_map(data: Any, file: str) -> RegisterMap:
    """Return the map that `data` describes.

    Parameters
    ----------
    data : as JSON has it
    file : named in problems

    Raises
    ------
    InputProblems  every fault of the schema and of the map as a whole; a point that cannot be
        read takes no part in the rules that hold points against each other
    """
    problems: list[Problem] = []
    one: RegisterMap | None = None
    try:
        one = RegisterMap.model_validate(data)
    except ValidationError as error:
        problems += _schema_problems(error, data, file)
    if isinstance(data, dict):
        problems += [Problem(file, *fault) for fault in _rules(data)]
    if problems or one is None:
        raise InputProblems(problems)
    return one


def reading_points(one: RegisterMap) -> dict[str, str]:
    """Return, by point of the twin's kind, the map's point from which it is read best.

    That is one from which the value can be told; among these the one that loses least against
    the twin's own resolution, then one in a register rather than a bit, then the last, since a
    vendor's block at the end of a table repeats what standard models scatter: few blocks do.
    """
    known = catalogue()[one.kind].points
    best: dict[str, tuple[tuple[float, bool, int], str]] = {}
    for number, point in enumerate(one.points):
        source = point.source
        if source is None or source.point is None or "r" not in point.access:
            continue
        twin = known[source.point]
        if not is_invertible(point, twin):
            continue
        step = 0.0 if point.type == "f32" else abs(point.scale / source.gain)
        loss = math.inf if source.per_rating else max(round(step, 9), twin.resolution)
        entry = ((loss, point.type == "bit", -number), point.name)
        best[source.point] = min(best.get(source.point, entry), entry)
    return {name: best[name][1] for name in known if name in best}


def commands_of(one: RegisterMap) -> dict[str, Command]:
    """Return how each set-point is commanded: the map's commands, else a plain write.

    A set-point without an entry cannot be commanded, save that ``release`` is what switching
    off every `enable` does.
    """
    found = {command.setpoint: command for command in one.commands}
    for point in one.points:
        source = point.source
        if source is not None and source.setpoint is not None and "w" in point.access:
            plain = Command(setpoint=source.setpoint, value=point.name)
            found.setdefault(source.setpoint, plain)
    return found


def unreached(one: RegisterMap) -> tuple[str, ...]:
    """Return a warning for each point and set-point of the kind that the map does not reach."""
    known, commands = catalogue()[one.kind], commands_of(one)
    reached = set(commands)
    if any(command.enable is not None for command in commands.values()):
        reached.add("release")
    read = reading_points(one)
    return (
        *(f"point {name} cannot be read" for name in known.points if name not in read),
        *(f"set-point {name} cannot be written" for name in known.setpoints if name not in reached),
    )


@cache
def _shipped() -> Mapping[str, RegisterMap]:
    folder = files("hil.registers").joinpath("maps")
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".json"):
            one = check_map(_parse(entry.read_text("utf-8"), entry.name), entry.name)
            found[one.name] = one
    return found


def _parse(text: str, file: str) -> Any:
    twice: list[Problem] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in found]
        twice.extend(
            Problem(file, name, "given twice in one object", "each key once")
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        )
        return dict(found)

    try:
        data = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputProblems([Problem(file, place, error.msg, "JSON")]) from None
    if twice:
        raise InputProblems(twice)
    return data


def _rules(data: dict[str, Any]) -> Iterator[Fault]:
    """Hold what could be read against the rules of the whole map."""
    points, lost = _readable(data, "points", WirePoint)
    reserved, _ = _readable(data, "reserved", Reserved)
    commands, _ = _readable(data, "commands", Command)
    kind = data.get("kind")
    if isinstance(kind, str):
        yield from faults(kind, points, reserved, commands, whole=not lost)


def _readable(data: dict[str, Any], key: str, part: type[P]) -> tuple[list[tuple[int, P]], int]:
    """Return the parts of a list that could be read, with their numbers, and how many not."""
    rows = data.get(key, [])
    if not isinstance(rows, list | tuple):
        return [], 1
    found = []
    for number, row in enumerate(rows):
        try:
            found.append((number, part.model_validate(row)))
        except ValidationError:
            continue
    return found, len(rows) - len(found)


def _schema_problems(error: ValidationError, data: Any, file: str) -> Iterator[Problem]:
    for item in error.errors():
        location, kind = item["loc"], item["type"]
        place = _place(location, data)
        if kind == "extra_forbidden":
            model = _model(location[:-1])
            known = sorted(f.alias or name for name, f in model.model_fields.items())
            allowed = f"one of {', '.join(known)}{did_you_mean(str(location[-1]), known)}"
            yield Problem(file, place, f"unknown key (= {item['input']!r})", allowed)
        elif kind == "missing":
            yield Problem(file, place, "missing", _described(location) or "a value")
        elif kind == "value_error" and isinstance(item["input"], dict):
            for rule in _words(item["msg"]).split("; "):
                yield Problem(file, place, "does not fit together", rule)
        else:
            described = _described(location)
            allowed = _words(item["msg"]) + (f" ({described})" if described else "")
            yield Problem(file, place, _shown(item["input"]), allowed)


def _place(location: Sequence[int | str], data: Any) -> str:
    """Return the dotted place, with the point's name where it has one."""
    text = ".".join(str(part) for part in location) or "map"
    if len(location) < 2 or location[0] != "points":
        return text
    try:
        name = data["points"][location[1]]["name"]
    except (KeyError, TypeError):
        return text
    return f"{text} ({name})" if isinstance(name, str) else text


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _words(message: str) -> str:
    for pydantic, plain in _WORDS:
        message = message.replace(pydantic, plain)
    return message


def _model(location: Sequence[int | str]) -> type[BaseModel]:
    """Return the section at `location`."""
    if len(location) > 0 and location[0] in _PARTS:
        model = _PARTS[str(location[0])]
        if location[-1] == "source":
            model = _section(model, "source")
        return model
    return _section(RegisterMap, "identity") if location[:1] == ("identity",) else RegisterMap


def _section(model: type[BaseModel], name: str) -> type[BaseModel]:
    annotation = model.model_fields[name].annotation
    for held in (annotation, *typing.get_args(annotation)):
        if isinstance(held, type) and issubclass(held, BaseModel):
            return held
    return model


def _described(location: Sequence[int | str]) -> str | None:
    for name, info in _model(location[:-1]).model_fields.items():
        if location[-1:] == ((info.alias or name),):
            return info.description
    return None
