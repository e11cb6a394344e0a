"""Works an emulated device through its range and records what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hil.bench.device import BenchDevice
from hil.bench.envelope import Envelope
from hil.bench.journal import Journal
from hil.bench.line import Line
from hil.bench.recorder import RecordedLine, RecordedMeter, RecordingFile
from hil.testbed.stage import Stage

__all__ = ["EXERCISES", "Exercise", "exercise"]

# Pairs (share of the rating, seconds).
Exercise = Sequence[tuple[float, int]]
# By set-point: discharge is positive of a power, what may be drawn of a limit. Long enough at
# rating for a storage of two hours to pass through most of its range (assumed).
EXERCISES: dict[str, Exercise] = {
    "power_kw": (
        (0.0, 60), (1.0, 600), (-1.0, 3600), (0.0, 300), (0.5, 1800), (-0.5, 900), (1.0, 3600),
        (0.0, 120), (-0.25, 1200), (0.25, 900),
    ),
    "limit_kw": ((1.0, 300), (0.1, 300), (0.3, 300), (0.05, 300), (0.2, 300), (1.0, 300)),
}  # fmt: skip
DENSE_S = 20  # after an order every second is recorded
HOLD_S = 86_400.0


def exercise(
    stage: Stage,
    file: RecordingFile,
    journal: Path,
    steps: Exercise | None = None,
    every_s: int = 10,
    told: Callable[[str], None] = lambda text: None,
) -> None:
    """Order one power after the other and record every point, the true power, the nameplate.

    Parameters
    ----------
    stage : being served
    journal : file of what is written to it
    steps : None: those of `EXERCISES`; without a set-point of power it is only watched
    every_s : between two readings once an order has settled
    told : progress, for people
    """
    rated = float(stage.nameplate["rated_kw"])
    for name, value in stage.nameplate.items():
        file.quantity("nameplate", 0.0, name, float(value))
    line = RecordedLine(Line(stage.spec), stage.clock, file)
    meter = RecordedMeter(stage.meter, file)
    free = Envelope(-10.0 * rated, 10.0 * rated)
    try:
        with Journal(journal, "exercise") as log:
            device = BenchDevice(
                stage.name, stage.kind.name, stage.map, line, free, log, stage.clock,
                rated_kw=rated,
            )  # fmt: skip
            commands = device.meanings.commands
            setpoint = next((s for s in EXERCISES if s in commands), None)
            if "revert_s" in commands:
                device.command("revert_s", HOLD_S)
            for share, seconds in steps or EXERCISES.get(setpoint or "", ((0.0, 600),)):
                if setpoint is not None:
                    told(f"{setpoint} {share * rated:g} kW for {seconds} s")
                    device.command(setpoint, share * rated)
                _watch(stage, device, meter, seconds, every_s)
            device.to_safe_state("the exercise is over")
    finally:
        line.close()


def _watch(
    stage: Stage, device: BenchDevice, meter: RecordedMeter, seconds: int, every_s: int
) -> None:
    passed = 0
    while passed < seconds:
        step = 1 if passed < DENSE_S else min(every_s, seconds - passed)
        stage.clock.sleep(float(step))
        passed += step
        meter.power_kw()
        device.read()
