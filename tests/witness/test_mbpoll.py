"""mbpoll, as Debian has it, on every map."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hil.registers import codec
from hil.registers.files import shipped_maps
from hil.registers.schema import RegisterMap, WirePoint
from tests.witness.contract import ILLEGAL_VALUE
from tests.witness.fleet import OWN_ADDRESS, SILENT, Fleet, Spot
from tests.witness.mbpoll import Call, over_tcp, run, run_all, words_of, writing
from tests.witness.values import BITS, blocks, expected, legal, refused, writable

pytestmark = pytest.mark.wiretools

MAPS = tuple(shipped_maps())
FORMS = {"u32": "int", "i32": "int", "f32": "float"}
SHOWN = 1e-5  # of a number: it prints six digits


def alike(one: RegisterMap) -> Iterator[list[WirePoint]]:
    """Yield neighbours that mbpoll reads at once as 32-bit values: one type, one order."""
    run_: list[WirePoint] = []
    for point in sorted(one.points, key=lambda p: (p.table, p.address)):
        if point.type not in FORMS or (point.order or one.order) not in ("ABCD", "CDAB"):
            continue
        last = run_[-1] if run_ else None
        if last is not None and (
            (last.table, last.address + 2, last.type, last.order)
            != (point.table, point.address, point.type, point.order)
        ):
            yield run_
            run_ = []
        run_.append(point)
    if run_:
        yield run_


def number(point: WirePoint, text: str) -> float | None:
    """Return what mbpoll shows, scaled; None for 'not implemented'."""
    if point.type == "f32":
        return None if "nan" in text else float(text) * point.scale
    raw = int(text) % 2**32
    if raw == codec.not_implemented(point):
        return None
    return (raw - 2**32 if point.type == "i32" and raw >= 2**31 else raw) * point.scale


def reads_map(fleet: Fleet, spot: Spot) -> None:
    one, image, link = spot.one, fleet.image(spot), over_tcp(spot)
    whole = list(blocks(one))
    calls = [Call(b.table, b.first, "" if b.table in BITS else "hex", count=b.count) for b in whole]
    for block, result in zip(whole, run_all(link, calls), strict=True):
        wanted = [image[block.table, block.first + i] for i in range(block.count)]
        assert words_of(block.table, result) == wanted, block
    parts = list(alike(one))
    calls = [
        Call(
            p[0].table, p[0].address, FORMS[p[0].type], (p[0].order or one.order) == "ABCD", len(p)
        )
        for p in parts
    ]
    for part, result in zip(parts, run_all(link, calls), strict=True):
        assert len(result.values) == len(part)
        for point, text in zip(part, result.values, strict=True):
            value = expected(spot, image, point)
            got = number(point, text)
            assert got == (None if value is None else pytest.approx(value, rel=SHOWN)), point.name


@pytest.mark.parametrize("name", MAPS)
def test_reads_every_point(fleet: Fleet, name: str) -> None:
    for row in (OWN_ADDRESS, SILENT):
        reads_map(fleet, fleet.spots[name][row])


@pytest.mark.parametrize("name", MAPS)
def test_writes_every_point(fleet: Fleet, name: str) -> None:
    spot = fleet.spots[name][OWN_ADDRESS]
    points, link = writable(spot.one), over_tcp(spot)
    where = [(p.table, p.address) for p in points]
    looks = [Call(*w, "" if w[0] in BITS else "hex", count=p.width)
             for w, p in zip(where, points, strict=True)]  # fmt: skip
    for turn in (0, -1):
        wanted = [legal(spot, point)[turn] for point in points]
        calls = [writing(*w, words) for w, words in zip(where, wanted, strict=True)]
        assert [r.refusal for r in run_all(link, calls)] == [0] * len(points)
        fleet.tick()
        got = [words_of(c.table, r) for c, r in zip(looks, run_all(link, looks), strict=True)]
        assert got == [list(words) for words in wanted], [p.name for p in points]
    taken = sorted(name for _, name, _ in fleet.taken.writes)
    assert taken == sorted(2 * [p.name for p in points])
    wrong = [
        writing(*w, words)
        for w, point in zip(where, points, strict=True)
        for words in refused(spot, point)
    ]
    assert {r.refusal for r in run_all(link, wrong)} == ({ILLEGAL_VALUE} if wrong else set())
    fleet.tick()
    assert len(fleet.taken.writes) == len(taken)


def test_numbers_as_a_person_types_them(fleet: Fleet) -> None:
    """A signed 32-bit number, a number with a point, a bit; and a register that is not there."""
    storage = fleet.spots["storage-own"][OWN_ADDRESS]
    assert run(over_tcp(storage), Call("holding", 0, "int", values=("-305",))).refusal == 0
    dispatcher = fleet.spots["dispatcher"][OWN_ADDRESS]
    assert run(over_tcp(dispatcher), Call("holding", 256, "float", values=("12.5",))).refusal == 0
    terminal = fleet.spots["terminal-own"][OWN_ADDRESS]
    assert run(over_tcp(terminal), Call("coil", 2, "", values=("1",))).refusal == 0
    fleet.tick()
    assert fleet.device(storage).setpoints["power_kw"] == -30.5
    load = fleet.bank.shown(fleet.bank.group_of("dispatcher"), "load_mw")
    assert load[OWN_ADDRESS] == 12.5
    assert fleet.device(terminal).setpoints["circuit_3"] == 1.0
    assert run(over_tcp(storage), Call("holding", 100)).refusal == 2
