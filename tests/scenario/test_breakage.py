"""The one line that says why a run broke off."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from twin.errors import RunBroken
from twin.scenario.breakage import plain_reason, traceback_text


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A user's module whose second line divides by nothing, and whose fifth calls a library."""
    monkeypatch.syspath_prepend(str(tmp_path))
    text = (
        "def divide():\n    return 1 / 0\nimport json\ndef parse():\n    return json.loads('{')\n"
    )
    (tmp_path / "usersown.py").write_text(text, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "usersown", raising=False)
    return __import__("usersown")


def raised(module: ModuleType, name: str) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        getattr(module, name)()
    return caught.value


def test_the_line_of_the_users_module_is_named(module: ModuleType) -> None:
    said = plain_reason(raised(module, "divide"), "usersown")
    assert said == f"ZeroDivisionError: division by zero ({module.__file__}, line 2, in divide)"


def test_a_librarys_error_is_placed_where_it_was_called(module: ModuleType) -> None:
    said = plain_reason(raised(module, "parse"), "usersown")
    assert said.startswith("json.decoder.JSONDecodeError: ")
    assert said.endswith(f"({module.__file__}, line 5, in parse)")
    assert "line 5, in parse" in plain_reason(raised(module, "parse"), "another")


def test_the_traceback_of_a_child_is_read(module: ModuleType) -> None:
    text = traceback_text(raised(module, "divide"))
    error = RunBroken(f"a parallel run broke off: {text}")
    assert "line 2, in divide" in plain_reason(error, "usersown")
    assert traceback_text(error).startswith("Traceback")


def test_what_is_said_on_purpose_stays(module: ModuleType) -> None:
    assert plain_reason(RunBroken("no solution at 13:05"), "usersown") == "no solution at 13:05"
    assert plain_reason(KeyboardInterrupt(), "usersown") == "interrupted"
    assert plain_reason(KeyboardInterrupt("SIGTERM"), "usersown") == "interrupted (SIGTERM)"
