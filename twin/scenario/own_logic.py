"""The logic under test, by its name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from twin.errors import InputProblems, Problem
from twin.record.exchange import Logic
from twin.scenario.breakage import plain_reason

METHODS = ("start", "plan", "digest", "save", "load")  # of a `Logic`


def new_logic(name: str) -> Callable[[], Logic]:
    """Return what makes a logic from ``package.module:Class``.

    Raises InputProblems when there is no such class or it lacks one of the five methods.
    """
    module_name, _, class_name = name.partition(":")
    allowed = "package.module:Class with start, plan, digest, save and load"
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)  # a user's module lies where he stands
    try:
        made = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # whatever a user's module raises as it is read
        plain = isinstance(error, ModuleNotFoundError | AttributeError)
        reason = str(error) if plain else plain_reason(error, module_name)
        raise InputProblems([Problem("scenario", "logic", f"{name}: {reason}", allowed)]) from error
    missing = [m for m in METHODS if not callable(getattr(made, m, None))]
    if not isinstance(made, type) or missing:
        lacks = f"lacks {', '.join(missing)}" if isinstance(made, type) else "is no class"
        raise InputProblems([Problem("scenario", "logic", f"{name} {lacks}", allowed)])
    return made
