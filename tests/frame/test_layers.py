"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path.relative_to(ROOT) for room in ("twin", "hil") for path in (ROOT / room).rglob("*.py")
)
MAX_LINES = 400
CLOCK_READERS = {Path("twin/run.py")}
VAGUE_NAMES = {"utils", "helpers", "common", "misc", "util", "helper"}


def imported(path: Path) -> set[str]:
    """Return the top-level modules that a source file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            names.add(node.module.partition(".")[0])
    return names


def exported(path: Path) -> list[str] | None:
    """Return a module's literal ``__all__``, or None if it has none."""
    for node in ast.parse((ROOT / path).read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
        ):
            names = ast.literal_eval(node.value)
            assert isinstance(names, list), f"{path}: __all__ is a literal list"
            return names
    return None


def defined(path: Path) -> set[str]:
    """Return the names bound at the top of a source file."""
    names: set[str] = set()
    for node in ast.parse((ROOT / path).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            names.update(n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_the_sources_were_found():
    assert {Path("twin/__init__.py"), Path("hil/__init__.py")} <= set(SOURCES)


def test_only_the_stopwatch_reads_the_wall_clock():
    readers = {path for path in SOURCES if path.parts[0] == "twin" and "time" in imported(path)}
    assert readers <= CLOCK_READERS


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_files_stay_small(path):
    lines = len((ROOT / path).read_text("utf-8").splitlines())
    assert lines <= MAX_LINES, f"{path}: {lines} lines; would two rooms be better?"


def test_rooms_are_named_for_what_they_hold():
    assert not [
        path for path in SOURCES if path.stem in VAGUE_NAMES or path.parent.name in VAGUE_NAMES
    ]


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_what_a_module_exports_it_has_and_names_once(path):
    names = exported(path)
    if names is None:
        return
    assert len(names) == len(set(names))
    assert set(names) <= defined(path), f"{path}: {sorted(set(names) - defined(path))}"


def test_ruff_keeps_the_export_lists_sorted():
    selected = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert "RUF" in selected["select"]  # RUF022
    assert "RUF022" not in selected["ignore"]


def test_every_folder_of_code_is_a_package():
    folders = {path.parent for path in SOURCES}
    assert not [folder for folder in folders if not (ROOT / folder / "__init__.py").exists()]


def test_the_lock_holds_names_versions_and_hashes_only():
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in text
    pin = r"[a-z0-9.-]+(\[[a-z0-9,-]+\])?==[^ ]+ \\"
    shape = re.compile(pin + r"|    --hash=sha256:[0-9a-f]{64}( \\)?| *#.*|")
    assert not [line for line in text.splitlines() if shape.fullmatch(line) is None]


def test_every_locked_package_has_a_hash():
    blocks = re.split(r"(?m)^(?=[a-z])", (ROOT / "requirements.lock").read_text("utf-8"))
    packages = [block for block in blocks if "==" in block]
    assert len(packages) > 30
    assert not [block.split()[0] for block in packages if "--hash=sha256:" not in block]
