"""Writes a scenario back as TOML, complete with defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from twin.scenario.schema import Scenario


def scenario_toml(scenario: Scenario) -> str:
    """Return the scenario as TOML text; what is None is left out."""
    data = scenario.model_dump(mode="json", exclude_none=True)
    lines: list[str] = []
    _table(lines, (), data)
    return "\n".join(lines) + "\n"


def _table(lines: list[str], path: Sequence[str], data: Mapping[str, object]) -> None:
    later: list[tuple[str, object]] = []
    for name, value in data.items():
        if isinstance(value, Mapping) or _is_tables(value):
            later.append((name, value))
        else:
            lines.append(f"{name} = {_literal(value)}")
    for name, value in later:
        place = (*path, name)
        if isinstance(value, Mapping):
            lines += ["", f"[{'.'.join(place)}]"]
            _table(lines, place, value)
        elif isinstance(value, list):
            for item in value:
                lines += ["", f"[[{'.'.join(place)}]]"]
                _table(lines, place, item)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and isinstance(value[0], Mapping)


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(v) for v in value) + "]"
    if isinstance(value, int | float):
        return repr(value)
    # JSON's escapes are TOML's, but TOML wants DEL escaped as well.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
