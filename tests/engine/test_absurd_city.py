"""The platform of tiny, with network, meters and market, under readings that make no sense.

Every value that it writes lies inside what the device itself accepts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from tests.engine.tiny_city import first_run, tiny_city
from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.platform import Platform
from twin.engine.simulation import Simulation
from twin.record.exchange import Actions, Quality, Reading
from twin.scenario.timetable import notice_entry

ABSURD = (np.nan, np.inf, -np.inf, 1e300, -1e300, 1e9, -1e6, 0.0, 1.0, 5e-324)


class Spoiled(Platform):
    """The platform behind a line that spoils one reading in three, in one of many ways."""

    seed = 0

    def digest(
        self, now_ms: int, readings: Mapping[str, Reading], notices: Sequence[object]
    ) -> Actions:
        draw = np.random.Generator(np.random.Philox(self.seed + now_ms // MINUTE_MS))
        return super().digest(
            now_ms,
            {
                kind: self.spoil(draw, reading) if draw.random() < 0.4 else reading
                for kind, reading in readings.items()
                if draw.random() > 0.05
            },
            notices,  # type: ignore[arg-type]
        )

    @staticmethod
    def spoil(draw: np.random.Generator, reading: Reading) -> Reading:
        value, stamp = reading.value.copy(), reading.time_ms.copy()
        quality = reading.quality.copy()
        way = draw.integers(6)
        if way == 0:
            value[draw.random(value.shape) < draw.random()] = draw.choice(ABSURD)
        elif way == 1:
            value = draw.uniform(-1e4, 1e4, value.shape)
        elif way == 2:
            value = value[: draw.integers(len(value) + 1)]
        elif way == 3:
            stamp += draw.integers(-(10**10), 10**10, stamp.shape)
        elif way == 4:
            quality = draw.integers(0, 256, quality.shape).astype(np.uint8)
        else:
            value, quality = -value, np.full_like(quality, Quality.GOOD)
        return Reading(value, stamp, quality)


@pytest.mark.parametrize("seed", [1, 3])
def test_an_order_under_absurd_readings(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = tiny_city().orders
    logic = Spoiled()
    logic.seed = 10_000 * seed
    run = first_run(logic, map(notice_entry, orders))
    written = 0
    apply = Simulation._apply  # noqa: SLF001 - what is written is looked at on its way

    def look(self: Simulation, setpoints: Sequence[object]) -> None:
        nonlocal written
        for write in setpoints:
            kind = self.kinds[write.kind]  # type: ignore[attr-defined]
            names = [s.name for s in kind.setpoints]
            low, high = kind.bounds(names.index(write.point))  # type: ignore[attr-defined]
            rows, values = write.rows, write.values  # type: ignore[attr-defined]
            assert np.isfinite(values).all()
            assert (values >= low[rows] - 1e-9).all()
            assert (values <= high[rows] + 1e-9).all()
            written += len(rows)
        apply(self, setpoints)  # type: ignore[arg-type]

    monkeypatch.setattr(Simulation, "_apply", look)
    run.run(orders[-1].end_ms + HOUR_MS // 4)
    assert written > 0
