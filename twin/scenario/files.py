"""Reads a scenario file, applies `--set`, and reports every problem at once."""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from twin.city.spelling import did_you_mean
from twin.errors import InputProblems, Problem
from twin.scenario.inputs import FILE_KEYS, distinct, file_problems
from twin.scenario.schema import Scenario

COMMAND_LINE = "command line"
_WORDS = (
    ("Input should be ", ""),
    ("String should ", "text that should "),
    ("Value error, ", ""),
    ("valid tuple", "list"),
    ("valid dictionary or instance of ", "table: "),
    ("valid dictionary", "table"),
    ("valid integer", "whole number"),
    ("valid ", ""),
)


def shipped_names() -> tuple[str, ...]:
    """Return the names of the scenarios that come with the package."""
    return tuple(sorted(p.parent.name for p in _shipped_folder().glob("*/scenario.toml")))


def _shipped_folder() -> Path:
    package = Path(str(files("twin")))
    installed = package / "_scenarios"
    return installed if installed.is_dir() else package.parent / "scenarios"


def find_scenario(name: str) -> Path:
    """Return the file that `name` means: a path, a folder, or a shipped scenario's name.

    Raises InputProblems when there is none.
    """
    path = Path(name)
    for candidate in (path, path / "scenario.toml", _shipped_folder() / name / "scenario.toml"):
        if candidate.is_file():
            return candidate
    shipped = shipped_names()
    allowed = "a file, a folder with scenario.toml, or one of " + ", ".join(shipped)
    allowed += did_you_mean(name, shipped)
    raise InputProblems([Problem(name or '""', "scenario", "not found", allowed)])


@dataclass(slots=True)
class Draft:
    """A scenario file as it was read, with `--set` applied and nothing checked.

    Attributes
    ----------
    path : the TOML file
    data : what it says
    assigned : keys that the command line gave
    problems : what could not be read or assigned
    """

    path: Path
    data: dict[str, Any] = field(default_factory=dict)
    assigned: set[tuple[str, ...]] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def source(self, location: Sequence[object]) -> str:
        """Return who gave the key at `location`: the command line or the file."""
        parts = tuple(str(part) for part in location)
        given = any(
            parts[: len(key)] == key or (len(parts) > 2 and key[: len(parts)] == parts)
            for key in self.assigned
        )
        return COMMAND_LINE if given else str(self.path)

    def credited(self, problems: Sequence[Problem]) -> list[Problem]:
        """Return each problem once; those of the scenario name who gave the key."""
        return distinct(
            [
                replace(p, file=self.source(p.place.split(".")))
                if p.file in ("scenario", str(self.path))
                else p
                for p in problems
            ],
            str(self.path),
        )

    def text(self, key: str) -> str | None:
        """Return the text under a dotted key, or None."""
        node: Any = self.data
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        return node if isinstance(node, str) else None


def read_draft(path: Path, assignments: Sequence[str] = ()) -> Draft:
    """Read a scenario file and apply `--set`, noting what is wrong with either."""
    draft = Draft(path)

    def wrong(place: str, value: object, allowed: str) -> None:
        draft.problems.append(Problem(str(path), place, str(value), allowed))

    try:
        draft.data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        wrong("file", error.strerror or error, "a readable file")
    except UnicodeDecodeError as error:
        wrong("file", error, "UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        message, _, at = str(error).partition(" (at ")
        wrong(at.rstrip(")") or "syntax", message, "valid TOML")
    for text in assignments:
        problem = _assign(draft, text)
        if problem is not None:
            draft.problems.append(problem)
    return draft


def load_scenario(path: Path, assignments: Sequence[str] = ()) -> Scenario:
    """Read and check a scenario.

    Parameters
    ----------
    path : the TOML file
    assignments : ``key.subkey.0.key=VALUE`` with a TOML literal as value; bare text is taken
        as text

    Raises
    ------
    InputProblems  every problem of the file, of the assignments and, if there are any of
        these, of the files that the scenario names
    """
    return check_draft(read_draft(path, assignments))


def check_draft(draft: Draft) -> Scenario:
    """Return the scenario of a draft; raises InputProblems as `load_scenario` does."""
    problems = list(draft.problems)
    scenario: Scenario | None = None
    if not (draft.data == {} and problems):
        try:
            scenario = Scenario.model_validate(draft.data)
        except ValidationError as error:
            problems.extend(_problems(error, draft))
    named = {key: text for key in FILE_KEYS if (text := draft.text(key)) is not None}
    missing = list(_missing_files(draft, named))
    problems.extend(missing)
    if problems or scenario is None:
        lost = {problem.place for problem in missing}
        there = {key: text for key, text in named.items() if key not in lost}
        problems.extend(file_problems(draft.path, there, _text_list(draft, "districts")))
        raise InputProblems(problems)
    return scenario


def _assign(draft: Draft, text: str) -> Problem | None:
    key, equals, literal = text.partition("=")
    parts = tuple(part.strip() for part in key.split("."))
    if equals == "" or "" in parts:
        return Problem("--set", repr(text), "no key=VALUE", "key.subkey=VALUE")
    try:
        read = tomllib.loads(f"value = {literal}")
        value = read["value"] if len(read) == 1 else literal
    except tomllib.TOMLDecodeError:
        value = literal.strip()
    node: Any = draft.data
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if isinstance(node, list):
            if not part.isdecimal() or int(part) >= len(node):
                allowed = f"an index below {len(node)}" if node else "nothing: the list is empty"
                return Problem("--set", key, part, allowed)
            if last:
                node[int(part)] = value
            else:
                node = node[int(part)]
        elif isinstance(node, dict):
            if last:
                node[part] = value
            else:
                node = node.setdefault(part, {})
        else:
            return Problem("--set", key, part, "a table or a list before it")
    draft.assigned.add(parts)
    return None


def _problems(error: ValidationError, draft: Draft) -> Iterator[Problem]:
    for item in error.errors():
        location, kind = item["loc"], item["type"]
        file = draft.source(location)
        if kind == "extra_forbidden":
            model, _ = _known(location[:-1])
            known = sorted(model.model_fields) if model is not None else []
            name = str(location[-1])
            allowed = f"one of {', '.join(known)}{did_you_mean(name, known)}"
            yield Problem(file, _place(location), f"unknown key (= {item['input']!r})", allowed)
        elif location[-1:] == ("[key]",):
            name = str(location[-2])
            known = sorted(re.findall(r"'([^']*)'", item["msg"]))
            allowed = f"one of {', '.join(known)}{did_you_mean(name, known)}"
            yield Problem(file, _place(location[:-1]), "unknown key", allowed)
        elif kind == "missing":
            _, info = _known(location)
            allowed = "a value" if info is None else info.description or "a value"
            yield Problem(file, _place(location), "missing", allowed)
        elif kind == "value_error" and isinstance(item["input"], dict):
            # One line a rule: a section's own check joins what it finds.
            for rule in _words(item["msg"]).split("; "):
                yield Problem(file, _place(location), "does not fit together", rule)
        else:
            yield Problem(file, _place(location), _shown(item["input"]), _allowed(item, location))


def _place(location: Sequence[object]) -> str:
    return ".".join(str(part) for part in location) or "scenario"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _words(message: str) -> str:
    for pydantic, plain in _WORDS:
        message = message.replace(pydantic, plain)
    return message


def _allowed(item: Any, location: Sequence[int | str]) -> str:
    _, info = _known(location)
    text = _words(item["msg"])
    if info is None or info.description is None:
        return text
    return f"{text} ({info.description})"


def _known(location: Sequence[int | str]) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """Return the section at `location` (None for a plain key) and the field that it is."""
    model: type[BaseModel] | None = Scenario
    info: FieldInfo | None = None
    for part in location:
        if isinstance(part, int) or model is None or part not in model.model_fields:
            continue
        info = model.model_fields[part]
        model = _section(info.annotation)
    return model, info


def _section(annotation: object) -> type[BaseModel] | None:
    """Return the section that an annotation holds, alone or in a tuple."""
    for held in (annotation, *typing.get_args(annotation)):
        if isinstance(held, type) and issubclass(held, BaseModel):
            return held
    return None


def _text_list(draft: Draft, name: str) -> tuple[str, ...] | None:
    """Return ``city.<name>`` where it is a list of text that is not empty."""
    city = draft.data.get("city")
    given = city.get(name) if isinstance(city, dict) else None
    if not isinstance(given, list) or not given or not all(isinstance(v, str) for v in given):
        return None
    return tuple(given)


def _missing_files(draft: Draft, named: dict[str, str]) -> Iterator[Problem]:
    for key, value in named.items():
        if not (draft.path.parent / value).is_file():
            allowed = f"an existing file, relative to {draft.path.parent}"
            yield Problem(draft.source(key.split(".")), key, f"{value!r} does not exist", allowed)


def resolve(scenario_path: Path, value: str) -> Path:
    """Return a file named in a scenario; relative names start at the scenario's folder."""
    return scenario_path.parent / value
