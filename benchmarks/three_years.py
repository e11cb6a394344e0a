"""The table of README: summer-peak-2025, -2026 and -2027 side by side, as Markdown.

Runs the three scenarios into ``out/`` (those that lie there complete are taken as they are;
``--fresh`` runs them anew) and prints verdicts and what carries them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

YEARS = (2025, 2026, 2027)
VERDICTS = (
    "dr.capability_gross", "dr.capability", "dr.delivered", "dr.overdelivered",
    "dr.response_time", "dr.tracking", "dr.rebound", "dr.new_peak", "dr.comfort", "dr.mobility",
    "dr.network", "dr.baseline_error", "dr.settlement_error", "dr.cost", "lm.connected",
    "lm.shed", "lm.overshed", "lm.time", "lm.protected", "lm.restoration", "lm.restoration_peak",
    "lm.chain_loss", "lm.fairness", "lm.cost", "monitor.power_error", "monitor.states",
)  # fmt: skip
KINDS = (
    "storage", "aircon", "icestore", "charging", "swap", "industry", "hydrogen", "shorepower",
)  # fmt: skip


def summary(year: int, fresh: bool) -> dict[str, Any]:
    out = Path("out") / f"summer-peak-{year}"
    file = out / "summary.json"
    done = file.is_file() and json.loads(file.read_text("utf-8"))["complete"]
    if fresh or not done:
        command = [sys.executable, "-m", "twin.cli", "run", out.name, "--out", str(out)]
        subprocess.run(command, check=True, capture_output=True)
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    assert found["complete"] is True
    return found


def row(name: str, cells: list[str]) -> None:
    print(f"| {name} | {' | '.join(cells)} |")


def cell(found: dict[str, Any], verdict: str) -> str:
    v = next(v for v in found["verdicts"] if v["id"] == verdict)
    mark = {True: "passed", False: "**failed**", None: ""}[v["passed"]]
    value = "–" if v["value"] is None else f"{v['value']:.3g} {v['unit']}".replace(" 1", "")
    return f"{value} {mark}".strip()


def limit(found: dict[str, Any], verdict: str) -> str:
    v = next(v for v in found["verdicts"] if v["id"] == verdict)
    return "" if v["limit"] is None else f" ({v['comparison']} {v['limit']:g})"


def main() -> None:
    runs = [summary(year, "--fresh" in sys.argv) for year in YEARS]
    row("", [str(year) for year in YEARS])
    row("---", ["---:"] * len(YEARS))
    row("maximum load, MW", [f"{r['max_load_mw']:,.0f}" for r in runs])
    connected = [r["figures"]["connected_flexible_mw"] for r in runs]
    row("connected flexible, MW", [f"{c:,.0f}" for c in connected])
    adjustable = [r["figures"]["adjustable_total_mw"] for r in runs]
    plan = [r["figures"]["plan_adjustable_mw"] for r in runs]
    row(
        "adjustable when called, MW (the plan's own figure)",
        [f"{a:,.0f} ({p:,.0f})" for a, p in zip(adjustable, plan, strict=True)],
    )
    for kind in KINDS:
        row(f"– {kind}", [f"{r['adjustable_mw'][kind]:,.0f}" for r in runs])
    for verdict in VERDICTS:
        row(f"`{verdict}`{limit(runs[0], verdict)}", [cell(r, verdict) for r in runs])


if __name__ == "__main__":
    main()
