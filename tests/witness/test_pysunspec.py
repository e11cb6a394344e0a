"""pysunspec2's client scans, reads and commands the SunSpec maps over TCP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from sunspec2.modbus.client import (
    SunSpecModbusClientDeviceTCP,
    SunSpecModbusClientException,
)
from sunspec2.modbus.modbus import ModbusClientError

from hil.registers.files import shipped_maps
from tests.registers.test_sunspec import MODELS, VENDOR
from tests.witness.contract import READ_FROM
from tests.witness.fleet import OWN_ADDRESS, WITNESS, Fleet, Spot
from tests.witness.values import expected

HEADER = ("ID", "L")


@contextmanager
def scanned(spot: Spot) -> Iterator[SunSpecModbusClientDeviceTCP]:
    device = SunSpecModbusClientDeviceTCP(spot.unit, spot.address, spot.port, timeout=10)
    device.connect()
    try:
        device.scan(connect=False)
        yield device
    finally:
        device.disconnect()


def points_of(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    """Yield every point of a model with its path, groups within it included."""
    for name, point in group.points.items():
        yield before + name, point
    for name, part in group.groups.items():
        assert not isinstance(part, list), name
        yield from points_of(part, f"{before}{name}.")


@pytest.mark.parametrize("name", MODELS)
def test_a_scan_finds_the_models_and_no_others(fleet: Fleet, name: str) -> None:
    for row in READ_FROM:
        with scanned(fleet.spots[name][row]) as device:
            assert [m.model_id for m in device.model_list] == MODELS[name]
            assert [m.error_info for m in device.model_list] == [""] * len(MODELS[name])
            vendor = VENDOR[shipped_maps()[name].kind]
            assert {i for i in device.models if isinstance(i, int)} == {*MODELS[name], vendor}
            assert device.base_addr == 40000


@pytest.mark.parametrize("name", MODELS)
def test_reads_every_point(fleet: Fleet, name: str) -> None:
    """Scale factors are the client's to apply; what is not implemented is so for it too."""
    for row in READ_FROM:
        spot = fleet.spots[name][row]
        image = fleet.image(spot)
        seen = set()
        with scanned(spot) as device:
            for model in device.model_list:
                model.read()
                for path, point in points_of(model, f"m{model.model_id}."):
                    seen.add(path)
                    if point.pdef["type"] == "pad":
                        continue
                    value = expected(spot, image, spot.one.point(path))
                    got = point.cvalue if point.is_impl() else None
                    assert got == (
                        pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
                    ), path
        assert seen == {p.name for p in spot.one.points if p.name.startswith("m")}


def commands(fleet: Fleet, spot: Spot) -> list[tuple[str, float]]:
    """Return what the device was told since the last tick: set-point and value, in its order."""
    fleet.taken.setpoints.clear()
    fleet.tick()
    assert all(s.kind == spot.one.kind for s in fleet.taken.setpoints)
    assert all(s.rows.tolist() == [spot.row] for s in fleet.taken.setpoints)
    return [(s.point, float(s.values[0])) for s in fleet.taken.setpoints]


@pytest.mark.parametrize("row", [OWN_ADDRESS, WITNESS])
def test_storage_of_the_700s_takes_a_power(fleet: Fleet, row: int) -> None:
    spot = fleet.spots["storage-sunspec-7xx"][row]
    rated_w = 1000.0 * spot.rated_kw
    with scanned(spot) as device:
        controls, battery = device.DERCtlAC[0], device.battery[0]
        controls.WSetMod.value = 1
        controls.WSet.cvalue = -0.2 * rated_w
        controls.write()
        assert commands(fleet, spot) == []  # not enabled yet
        controls.WSetEna.value = 1
        controls.write()
        assert commands(fleet, spot) == [("power_kw", -0.2 * spot.rated_kw)]
        controls.WSet.cvalue = 0.4 * rated_w
        controls.WSetRvrtTms.value = 1800
        controls.write()
        assert commands(fleet, spot) == [
            ("revert_s", 1800.0), ("power_kw", 0.4 * spot.rated_kw),
        ]  # fmt: skip
        controls.read()
        assert (controls.WSet.cvalue, controls.WSetEna.value) == (0.4 * rated_w, 1)
        assert controls.WSetRvrtTms.value == 1800
        battery.CtrlHb.value = 4711
        battery.write()
        assert commands(fleet, spot) == [("heartbeat", 4711.0)]
        controls.WSetEna.value = 0
        controls.write()
        assert commands(fleet, spot) == [("release", 1.0)]


@pytest.mark.parametrize("row", [OWN_ADDRESS, WITNESS])
def test_storage_of_the_100s_takes_a_window(fleet: Fleet, row: int) -> None:
    """Both ends at one power command it; a window around zero commands none."""
    spot = fleet.spots["storage-sunspec-1xx"][row]
    with scanned(spot) as device:
        basic = device.storage_basic[0]
        basic.OutWRte.cvalue, basic.InWRte.cvalue = 40, -40
        basic.StorCtl_Mod.value = 3
        basic.InOutWRte_RvrtTms.value = 600
        basic.write()
        assert dict(commands(fleet, spot)) == {
            "revert_s": 600.0, "power_kw": pytest.approx(0.4 * spot.rated_kw),
        }  # fmt: skip
        basic.OutWRte.cvalue, basic.InWRte.cvalue = -75, 75
        basic.write()
        assert dict(commands(fleet, spot))["power_kw"] == pytest.approx(-0.75 * spot.rated_kw)
        basic.OutWRte.cvalue, basic.InWRte.cvalue = 50, 50
        basic.write()
        assert dict(commands(fleet, spot))["power_kw"] == 0.0
        basic.StorCtl_Mod.value = 0
        basic.write()
        assert commands(fleet, spot) == [("release", 1.0)]
        basic.read()
        assert (basic.OutWRte.cvalue, basic.InWRte.cvalue, basic.StorCtl_Mod.value) == (50, 50, 0)


@pytest.mark.parametrize("row", [OWN_ADDRESS, WITNESS])
@pytest.mark.parametrize(
    ("name", "model", "value", "enable", "revert"),
    [
        ("solar-sunspec-1xx", "controls", "WMaxLimPct", "WMaxLim_Ena", "WMaxLimPct_RvrtTms"),
        ("solar-sunspec-7xx", "DERCtlAC", "WMaxLimPct", "WMaxLimPctEna", "WMaxLimPctRvrtTms"),
    ],
)
def test_solar_takes_a_limit(
    fleet: Fleet, row: int, name: str, model: str, value: str, enable: str, revert: str
) -> None:
    spot = fleet.spots[name][row]
    with scanned(spot) as device:
        controls = getattr(device, model)[0]
        controls.points[value].cvalue = 62.5
        controls.points[enable].value = 1
        controls.points[revert].value = 300
        controls.write()
        assert dict(commands(fleet, spot)) == {
            "limit_kw": pytest.approx(0.625 * spot.rated_kw), "revert_s": 300.0,
        }  # fmt: skip
        controls.read()
        assert controls.points[value].cvalue == 62.5
        controls.points[revert].value = 0  # for ever
        controls.write()
        assert commands(fleet, spot) == [("revert_s", 86_400.0)]
        controls.points[enable].value = 0
        controls.write()
        assert commands(fleet, spot) == [("release", 1.0)]


WRONG = [
    ("storage-sunspec-7xx", "DERCtlAC", "WSetEna", 2, 3),
    ("storage-sunspec-7xx", "DERCtlAC", "WSet", 20_001, 3),  # 2 000.1 kW and more
    ("storage-sunspec-7xx", "DERCtlAC", "WSetPct", 50, 2),  # not implemented
    ("storage-sunspec-7xx", "battery", "SetOp", 2, 3),
    ("storage-sunspec-1xx", "storage_basic", "OutWRte", 10_001, 3),
    ("storage-sunspec-1xx", "storage_basic", "MinRsvPct", 10, 2),
    ("solar-sunspec-1xx", "controls", "WMaxLimPct", 10_001, 3),
    ("solar-sunspec-1xx", "controls", "Conn", 0, 3),
    ("solar-sunspec-7xx", "DERCtlAC", "WMaxLimPct", 10_001, 3),
    ("solar-sunspec-7xx", "DERCtlAC", "PFWInjEna", 1, 2),
]


@pytest.mark.parametrize(("name", "model", "point", "value", "code"), WRONG)
def test_a_wrong_write_is_refused(
    fleet: Fleet, name: str, model: str, point: str, value: int, code: int
) -> None:
    for row in (OWN_ADDRESS, WITNESS):
        spot = fleet.spots[name][row]
        with scanned(spot) as device:
            target = getattr(device, model)[0].points[point]
            target.value = value
            with pytest.raises(
                (SunSpecModbusClientException, ModbusClientError), match=rf"exception:? {code}$"
            ):
                target.write()
        assert commands(fleet, spot) == []


def test_the_window_of_124_is_of_the_rating(fleet: Fleet) -> None:
    """All five devices at once, each with a rating of its own."""
    spots = fleet.spots["storage-sunspec-1xx"][:WITNESS]
    for spot in spots:
        with scanned(spot) as device:
            basic = device.storage_basic[0]
            basic.OutWRte.cvalue, basic.InWRte.cvalue, basic.StorCtl_Mod.value = 20, -20, 3
            basic.write()
    fleet.tick()
    given = {
        int(r): v for s in fleet.taken.setpoints for r, v in zip(s.rows, s.values, strict=True)
    }
    assert given == {s.row: pytest.approx(0.2 * s.rated_kw) for s in spots}
    assert np.isfinite(list(given.values())).all()
