"""Devices that live in wall time, as hardware does, and the bench file that names them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hil.testbed.stage import Stage

STOP = 'emergency_stop = "red button beside the rack, tested on 2026-07-01"\n'
PIECE_S = 0.1


@contextmanager
def lab(folder: Path, count: int = 1, *, stop: str = STOP) -> Iterator[Path]:
    """Yield a bench file of `count` storage devices that answer while inside."""
    ended = threading.Event()
    with ExitStack() as stack:
        stages = [
            stack.enter_context(Stage("storage", state={"soc": 0.5}, seed=i)) for i in range(count)
        ]

        def live() -> None:
            while not ended.wait(PIECE_S):
                for stage in stages:
                    stage.clock.sleep(PIECE_S)

        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        path = folder / "bench.toml"
        rows = [_device(f"battery-{i}", stage) for i, stage in enumerate(stages)]
        path.write_text('name = "lab"\n' + stop + "".join(rows), encoding="utf-8")
        try:
            yield path
        finally:
            ended.set()
            thread.join()


def _device(name: str, stage: Stage) -> str:
    rated_kw = stage.nameplate["rated_kw"]
    return f"""
[[devices]]
name = "{name}"
map = "{stage.map.name}"
transport = "tcp"
host = "127.0.0.1"
port = {stage.spec.port}
rated_kw = {rated_kw}
safe_state = {{ set_power_kw = 0.0 }}
limits = {{ power_low_kw = -{rated_kw}, power_high_kw = {rated_kw}, ramp_kw_s = {rated_kw} }}
"""
