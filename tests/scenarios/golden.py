"""Golden verdicts: what a shipped scenario came to when it was last looked at.

A golden table says, by verdict id, whether it passed and its value to three digits. Where a
scenario has several orders of a kind, the key is ``id@order``. A change of the city, of the
logic or of a limit that moves a verdict shows here; the table is then looked at and renewed.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from twin.run import run_scenario
from twin.scenario.files import find_scenario

Golden: TypeAlias = Mapping[str, tuple[bool | None, float | None]]

THREE_DIGITS = 6e-3  # relative: half a unit of a third digit that is 1, and the last bits
SMALLEST = 5e-4  # below it a value is nothing


def run_shipped(name: str, out: Path, assignments: Sequence[str] = ()) -> dict[str, Any]:
    """Run the shipped scenario `name` into `out` and return its ``summary.json``."""
    run_scenario(find_scenario(name), out, list(assignments), "en", _silent)
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text("utf-8"))
    return summary


def found_verdicts(summary: Mapping[str, Any]) -> Golden:
    """Return what a golden table holds, keys ``id`` and ``id@order``."""
    found: dict[str, tuple[bool | None, float | None]] = {}
    for row in summary["verdicts"]:
        found[row["id"]] = found[f"{row['id']}@{row['order']}"] = (row["passed"], row["value"])
    return found


def differences(summary: Mapping[str, Any], golden: Golden) -> list[str]:
    """Return every verdict of `golden` that came out otherwise, as lines to read."""
    found = found_verdicts(summary)
    lines = []
    for key, (passed, value) in golden.items():
        if key not in found:
            lines.append(f"{key}: is not judged")
            continue
        now_passed, now_value = found[key]
        if now_passed is not passed or not _alike(now_value, value):
            lines.append(f"{key}: was {passed}, {value}; is {now_passed}, {now_value}")
    return lines


def _alike(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=THREE_DIGITS, abs_tol=SMALLEST)


def _silent(
    phase: str, fraction: float, now_ms: int | None = None, speed: float | None = None
) -> None:
    """Hear of progress and say nothing."""


def main(names: Sequence[str]) -> None:
    """Print the golden table of each scenario as it comes out now, to be looked at and pasted.

    python -m tests.scenarios.golden comm-loss
    """
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            found = found_verdicts(run_shipped(name, Path(folder) / "run"))
        sys.stdout.write(f"{name}\n")
        for key, (passed, value) in found.items():
            shown = None if value is None else float(f"{value:.3g}")
            if "@" not in key and value is not None:
                sys.stdout.write(f'    "{key}": ({passed}, {shown}),\n')


if __name__ == "__main__":
    main(sys.argv[1:])
