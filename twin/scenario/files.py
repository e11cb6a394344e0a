"""Reads a scenario file, applies `--set`, and reports every problem at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from twin.errors import InputProblems, Problem
from twin.scenario.schema import Scenario


def shipped_names() -> tuple[str, ...]:
    """Return the names of the scenarios that come with the package."""
    return tuple(sorted(p.parent.name for p in _shipped_folder().glob("*/scenario.toml")))


def _shipped_folder() -> Path:
    package = Path(str(files("twin")))
    installed = package / "_scenarios"
    return installed if installed.is_dir() else package.parent / "scenarios"


def find_scenario(name: str) -> Path:
    """Return the file that `name` means: a path, a folder, or a shipped scenario's name."""
    path = Path(name)
    for candidate in (path, path / "scenario.toml", _shipped_folder() / name / "scenario.toml"):
        if candidate.is_file():
            return candidate
    allowed = "a file, a folder with scenario.toml, or one of " + ", ".join(shipped_names())
    raise InputProblems([Problem(name, "scenario", "not found", allowed)])


def load_scenario(path: Path, assignments: Sequence[str] = ()) -> Scenario:
    """Read and check a scenario.

    Parameters
    ----------
    path : the TOML file
    assignments : ``key.subkey.0.key=VALUE`` with a TOML literal as value; bare text is taken
        as a string

    Raises
    ------
    InputProblems  everything wrong with file and assignments at once
    """
    problems: list[Problem] = []
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputProblems([Problem(str(path), "file", str(error), "a readable file")]) from None
    except UnicodeDecodeError as error:
        raise InputProblems([Problem(str(path), "file", str(error), "UTF-8 text")]) from None
    except tomllib.TOMLDecodeError as error:
        raise InputProblems([Problem(str(path), "syntax", str(error), "valid TOML")]) from None
    for text in assignments:
        problem = _assign(data, text)
        if problem is not None:
            problems.append(problem)
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        problems.extend(_problems(error, str(path), data))
        raise InputProblems(problems) from None
    problems.extend(_missing_files(scenario, path))
    if problems:
        raise InputProblems(problems)
    return scenario


def _assign(data: dict[str, Any], text: str) -> Problem | None:
    key, equals, literal = text.partition("=")
    if equals == "" or key.strip() == "":
        return Problem("--set", text, "no '='", "key.subkey=VALUE")
    try:
        value = tomllib.loads(f"value = {literal}")["value"]
    except tomllib.TOMLDecodeError:
        value = literal.strip()
    node: Any = data
    *parents, last = key.strip().split(".")
    for part in parents:
        if isinstance(node, list):
            if not part.isdigit() or int(part) >= len(node):
                return Problem("--set", key, part, f"an index below {len(node)}")
            node = node[int(part)]
        elif isinstance(node, dict):
            node = node.setdefault(part, {})
        else:
            return Problem("--set", key, part, "a table or a list before it")
    if isinstance(node, list):
        if not last.isdigit() or int(last) >= len(node):
            return Problem("--set", key, last, f"an index below {len(node)}")
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        return Problem("--set", key, last, "a table or a list before it")
    return None


def _problems(error: ValidationError, file: str, data: dict[str, Any]) -> Iterator[Problem]:
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"]) or "scenario"
        if item["type"] == "extra_forbidden":
            known = _known_keys(item["loc"][:-1])
            near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            allowed = f"one of {', '.join(known)}{hint}"
            yield Problem(file, place, f"unknown key (= {item['input']!r})", allowed)
        else:
            given = item["input"]
            shown = "" if isinstance(given, dict) else repr(given)
            message = item["msg"].removeprefix("Value error, ")
            yield Problem(file, place, shown or "given", message)


def _known_keys(location: Sequence[int | str]) -> list[str]:
    """Return the keys that the section at `location` knows."""
    sections: dict[str, type[BaseModel]] = {}
    for name, info in Scenario.model_fields.items():
        for model in (info.annotation, *getattr(info.annotation, "__args__", ())):
            if isinstance(model, type) and issubclass(model, BaseModel):
                sections[name] = model
    model = sections.get(str(location[0])) if location else Scenario
    return sorted(model.model_fields) if model is not None else []


def _missing_files(scenario: Scenario, path: Path) -> Iterator[Problem]:
    named = {
        "city.network": scenario.city.network,
        "city.sites": scenario.city.sites,
        "city.fleet": scenario.city.fleet,
        "city.load": scenario.city.load,
        "weather.epw": scenario.weather.epw,
    }
    for key, value in named.items():
        if value is not None and not resolve(path, value).is_file():
            allowed = f"an existing file, relative to {path.parent}"
            yield Problem(str(path), key, f"{value!r} does not exist", allowed)


def resolve(scenario_path: Path, value: str) -> Path:
    """Return a file named in a scenario; relative names start at the scenario's folder."""
    return scenario_path.parent / value
