"""The whole demo as a multiple of real time, by phase, with its memory.

Runs `twin run summer-peak-2027` twice in fresh processes: the first fills the caches (network,
calibration, warm start, compiled kernels), the second is the figure. The reference is real time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SCENARIO = sys.argv[1] if len(sys.argv) > 1 else "summer-peak-2027"


def run(out: Path) -> dict[str, object]:
    command = [sys.executable, "-m", "twin.cli", "run", SCENARIO, "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    summary: dict[str, object] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return summary


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "cached"):
            found = run(Path(folder) / name)
            wall = found["wall_s"]
            assert found["complete"] is True
            assert isinstance(wall, dict)
            phases = ", ".join(f"{k} {v:.1f}" for k, v in wall.items())
            print(f"{SCENARIO} {name}: {phases} s")
            print(
                f"  {found['realtime_factor']:.0f} times real time, {found['load_flows']} load "
                f"flows on {found['buses']} buses, {found['peak_rss_mib']:.0f} MiB"
            )


if __name__ == "__main__":
    main()
