"""What the READMEs say can be done: named scenarios exist, the example of a logic is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from twin.control.logic import BaseLogic
from twin.record.exchange import Actions

ROOT = Path(__file__).resolve().parents[2]
READMES = sorted([*ROOT.glob("README*.md"), *ROOT.glob("scenarios/*/README.md")])


@pytest.mark.parametrize("readme", READMES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_scenario_that_is_named_ships(readme: Path) -> None:
    named = set(
        re.findall(r"(?:twin run|hil run|hil serve) ([a-z][a-z0-9-]*)", readme.read_text("utf-8"))
    )
    assert named
    assert {n for n in named if not (ROOT / "scenarios" / n / "scenario.toml").is_file()} == set()


@pytest.mark.parametrize("readme", READMES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(readme: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", readme.read_text("utf-8"))
    assert [link for link in links if not (readme.parent / link).exists()] == []


def test_the_shortest_logic_is_a_logic() -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert code is not None
    names: dict[str, object] = {}
    exec(compile(code[1], "README.md", "exec"), names)
    logic = names["StopChargers"]
    assert isinstance(logic, type)
    assert issubclass(logic, BaseLogic)
    assert logic.__dict__["digest"] is not BaseLogic.digest
    quiet = logic()
    quiet.order_in_force = lambda now_ms, notices: None  # type: ignore[attr-defined]
    assert quiet.digest(0, {}, ()) == Actions()


def test_every_scenario_has_a_readme() -> None:
    folders = [p.parent for p in (ROOT / "scenarios").glob("*/scenario.toml")]
    assert folders
    assert [f.name for f in folders if not (f / "README.md").is_file()] == []
