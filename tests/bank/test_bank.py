"""The bank against the plain codec, ticks that do not mix, writes that come in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.kernels import image as im
from hil.kernels import pack
from hil.registers import codec
from hil.registers.bank import RegisterBank
from hil.registers.files import load_map, reading_points
from hil.registers.schema import WirePoint
from tests.bank.small import RATED, bank_of, registered
from twin.assets import KINDS

KINDS_WITH_MAPS = (*KINDS, "meter")


def shown_values(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    known = registered(kind)
    draw = np.random.Generator(np.random.Philox(seed))
    points = []
    for p in known.points:
        low = p.low if np.isfinite(p.low) else 0.0
        high = p.high if np.isfinite(p.high) else 500.0
        value = low + (high - low) * draw.random(3)
        value = value * RATED if p.per_rating else value
        points.append(np.round(value) if p.unit == "1" and high - low >= 1.0 else value)
    setpoints = [
        np.round(p.high if np.isfinite(p.high) else 5.0) * np.ones(3) for p in known.setpoints
    ]
    return np.array(points), np.array(setpoints).reshape(-1, 3)


def words_of(bank: RegisterBank, device: int, point: WirePoint, row: int) -> list[int]:
    """Return the registers of a point as they are served."""
    a = bank.arrays
    at = int(a.base[device] + bank.compiled.layout.point[row, im.BYTE])
    served = a.words[int(a.front[0])]
    if point.table in ("coil", "discrete"):
        return [int(served[at])]
    raw = served[at : at + 2 * point.width]
    return [int(w) for w in raw.view(">u2")]


@pytest.mark.parametrize("kind", KINDS_WITH_MAPS)
def test_the_compiled_encoder_says_what_the_plain_codec_says(kind: str) -> None:
    bank, (shown, in_force) = bank_of(kind), shown_values(kind, 7)
    bank.write({kind: shown}, {kind: in_force}, 1)
    bank.publish()
    known, seen = registered(kind), 0
    for group in bank.groups:
        one = bank.compiled.maps[group.map]
        for row, point in zip(bank.compiled.points(group.map), one.points, strict=True):
            source = point.source
            if source is None or point.type == "string" or point.bit is not None:
                continue
            for d in range(3):
                if source.point is not None:
                    value = shown[known.point(source.point), d]
                elif int(bank.compiled.layout.point[row, im.SOURCE]) == im.SETPOINT:
                    names = [p.name for p in known.setpoints]
                    value = in_force[names.index(str(source.setpoint)), d]
                else:
                    continue
                value = dict(source.values).get(
                    float(value),
                    source.gain * value / (RATED[d] if source.per_rating else 1.0) + source.offset,
                )
                expected = codec.encode(point, one.order, value)
                assert words_of(bank, int(group.devices[d]), point, int(row)) == expected
                seen += 1
    assert seen > 0


@pytest.mark.parametrize("kind", KINDS_WITH_MAPS)
def test_every_map_gives_the_readings_back(kind: str) -> None:
    bank, (shown, in_force) = bank_of(kind), shown_values(kind, 3)
    bank.write({kind: shown}, {kind: in_force}, 1)
    bank.publish()
    a, known = bank.arrays, registered(kind)
    for group in bank.groups:
        one = bank.compiled.maps[group.map]
        shows = reading_points(one)
        wanted = np.array([bank.compiled.row(group.map, shows[p.name]) for p in known.points])
        out = np.full(shown.shape, np.nan)
        pack.decode(
            a.words[int(a.front[0])], a.base[group.devices], group.rows, wanted, RATED,
            bank.compiled.layout, out,
        )  # fmt: skip
        for i, p in enumerate(known.points):
            step = max(p.resolution, 1e-2 if p.unit != "1" else 1e-3)
            np.testing.assert_allclose(
                out[i], shown[i], rtol=2e-7, atol=0.51 * step, err_msg=f"{p.name} {group.map}"
            )


def test_a_value_that_is_not_there_reads_as_not_implemented() -> None:
    bank, (shown, in_force) = bank_of("storage"), shown_values("storage", 1)
    shown[1] = np.nan
    bank.write({"storage": shown}, {"storage": in_force}, 1)
    bank.publish()
    one = load_map("storage-own")
    group = bank.group_of("storage", "storage-own")
    row = bank.compiled.row(bank.groups[group].map, "soc")
    words = words_of(bank, int(bank.groups[group].devices[0]), one.point("soc"), row)
    assert codec.decode(one.point("soc"), one.order, words) is None


def test_the_next_tick_is_not_seen_before_it_is_published() -> None:
    bank, (shown, in_force) = bank_of("storage"), shown_values("storage", 1)
    bank.write({"storage": shown}, {"storage": in_force}, 1)
    bank.publish()
    served = bank.arrays.words[int(bank.arrays.front[0])].copy()
    bank.write({"storage": shown * 0.5}, {"storage": in_force}, 2)
    assert (bank.arrays.words[int(bank.arrays.front[0])] == served).all()
    bank.publish()
    assert (bank.arrays.words[int(bank.arrays.front[0])] != served).any()
    assert bank.arrays.version.tolist()[0] % 2 == 0


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 50), st.integers(0, 8)), max_size=40),
    st.integers(0, 60),
)
def test_writes_come_in_the_order_of_time_and_none_is_lost(
    made: list[tuple[int, int, int]], until: int
) -> None:
    bank = bank_of("storage", lanes=2, queue_rows=64)
    a = bank.arrays
    made = sorted(made, key=lambda m: m[1])  # within a lane time goes on
    for lane, time_ns, device in made:
        at = int(a.queue_count[lane, im.PUT]) % 64
        a.queue[lane, at] = (time_ns, device, 0, 5, 0)
        a.queue_value[lane, at] = float(time_ns)
        a.queue_count[lane, im.PUT] += 1
    first, rest = bank.take(until), bank.take(1_000)
    assert first.time_ns.tolist() == sorted(t for _, t, _ in made if t <= until)
    assert rest.time_ns.tolist() == sorted(t for _, t, _ in made if t > until)
    assert len(bank.take(1_000).time_ns) == 0
