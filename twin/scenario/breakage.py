"""Says in one line why a run broke off, and where: in the user's module if it was there."""

from __future__ import annotations

import re
import sys
import traceback
from pathlib import Path

from twin.errors import TwinError

_FRAME = re.compile(r'^\s*File "(.+?)", line (\d+)(?:, in (.+))?$', re.MULTILINE)
_PACKAGE = str(Path(__file__).resolve().parents[1])


def plain_reason(error: BaseException, module_name: str) -> str:
    """Return what went wrong, and the file and line at which the user can look.

    Parameters
    ----------
    error : what was raised; the traceback of a child process may stand in its text
    module_name : of the control logic under test; its lines are named before any other
    """
    text = traceback_text(error)
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted ({error})" if str(error) != "" else "interrupted"
    if isinstance(error, TwinError) and "Traceback" not in str(error):
        return str(error)  # said on purpose, in words of its own
    module = sys.modules.get(module_name)
    logic = None if module is None else getattr(module, "__file__", None)
    # Chained errors come one after the other; the last one is what was raised in the end.
    words = [line for line in text.splitlines() if line.strip() != ""]
    said = words[-1].strip() if words else type(error).__name__
    frames = [(file, int(line), name) for file, line, name in _FRAME.findall(text)]
    foreign = ("site-packages", "/lib/python", "<frozen", "importlib")
    own = [f for f in frames if f[0] == logic]
    others = [f for f in frames if not any(part in f[0] for part in foreign)]
    users = [f for f in others if not f[0].startswith(_PACKAGE)]
    best = own or users or others or frames
    if not best:
        return said
    file, line, name = best[-1]
    where = f"{file}, line {line}" + (f", in {name}" if name else "")
    return f"{said} ({where})"


def traceback_text(error: BaseException) -> str:
    """Return the traceback, that of the child process where the error came from one."""
    own = str(error)
    begin = own.find("Traceback (most recent call last)")
    return own[begin:] if begin >= 0 else "".join(traceback.format_exception(error))
