"""SunSpec maps against pysunspec2: its definitions, and its client that scans and reads."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from sunspec2 import device as definitions
from sunspec2.modbus.client import SunSpecModbusClientDevice

from hil.registers.files import shipped_maps
from hil.registers.schema import RegisterMap
from tests.registers.picture import Device, picture

MODELS = {
    "storage-sunspec-7xx": [1, 701, 702, 703, 704, 713, 802],
    "storage-sunspec-1xx": [1, 103, 120, 121, 122, 123, 124],
    "solar-sunspec-1xx": [1, 103, 120, 121, 122, 123],
    "solar-sunspec-7xx": [1, 701, 702, 703, 704],
}
VENDOR = {"storage": 64801, "solar": 64802}
STORAGE = Device(
    points={
        "power_kw": -2512.4, "soc": 0.537, "temperature_c": 31.4, "charged_today_kwh": 1234.5,
        "discharged_today_kwh": 99.9, "status": 1.0, "remote": 1.0, "charge_limit_kw": 5000.0,
        "discharge_limit_kw": 4800.0, "setpoint_kw": -2500.0,
    },
    setpoints={"power_kw": -2500.0, "heartbeat": 17.0, "revert_s": 900.0},
    nameplate={"rated_kw": 5000.0, "capacity_kwh": 10_750.0},
)  # fmt: skip
SOLAR = Device(
    points={"power_kw": 412.3, "irradiance_w_m2": 803.0, "limit_kw": 600.0, "remote": 0.0},
    setpoints={"limit_kw": 600.0, "revert_s": 86400.0},
    nameplate={"rated_kw": 600.0},
)
# Mandatory points of the standard for which the twin has nothing.
NOTHING = {
    "storage-sunspec-7xx": set(),
    "storage-sunspec-1xx": {"m103.A", "m103.AphA", "m103.AphB", "m103.AphC", "m103.WH",
                            "m103.TmpCab"},
    "solar-sunspec-1xx": {"m103.WH", "m103.TmpCab"},
    "solar-sunspec-7xx": set(),
}  # fmt: skip
TYPES = {
    "uint16": "u16", "enum16": "u16", "pad": "u16", "int16": "i16", "sunssf": "i16",
    "bitfield16": "bits", "uint32": "u32", "bitfield32": "u32", "acc32": "u32", "int32": "i32",
    "uint64": "u64", "acc64": "u64", "string": "string",
}  # fmt: skip


class Wire(SunSpecModbusClientDevice):
    """A client whose device is a picture of registers; what it writes is kept."""

    def __init__(self, words: dict[tuple[str, int], int]) -> None:
        super().__init__()
        self.words = words

    def read(self, addr: int, count: int) -> bytes:
        if ("holding", addr) not in self.words:
            raise ValueError(f"no register {addr}")
        return struct.pack(f">{count}H", *(self.words["holding", addr + i] for i in range(count)))

    def write(self, addr: int, data: bytes) -> None:
        for i, word in enumerate(struct.unpack(f">{len(data) // 2}H", data)):
            self.words["holding", addr + i] = word


def scanned(name: str) -> Wire:
    one = shipped_maps()[name]
    wire = Wire(picture(one, STORAGE if one.kind == "storage" else SOLAR))
    wire.scan()
    return wire


def defined(model: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield path and definition of every point of a model, in order."""

    def walk(group: dict[str, Any], before: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for point in group.get("points", []):
            yield before + point["name"], point
        for part in group.get("groups", []):
            yield from walk(part, f"{before}{part['name']}.")

    return walk(definitions.get_model_def(model)["group"], "")


@pytest.mark.parametrize("name", MODELS)
def test_maps_hold_every_point_of_the_standard_at_its_place(name):
    one = shipped_maps()[name]
    address, names = 40002, ["sunspec"]
    for model in MODELS[name]:
        for path, point in defined(model):
            mine = one.point(f"m{model}.{path}")
            names.append(mine.name)
            assert mine.address == address, mine.name
            assert mine.width == point["size"], mine.name
            assert mine.type == TYPES[point["type"]], mine.name
            assert mine.na == (0 if point["type"] in ("acc32", "acc64", "pad") else None)
            factor = point.get("sf")
            if factor is not None:
                by = _factor(one, model, factor)
                assert mine.scale == pytest.approx(10.0**by), mine.name
            if point.get("mandatory") == "M" and mine.name not in NOTHING[name]:
                assert mine.source is not None, mine.name
            if "w" in mine.access:
                assert point.get("access") == "RW", mine.name
            address += point["size"]
    assert [p.name for p in one.points[: len(names)]] == names
    assert all(one.point(missing).source is None for missing in NOTHING[name])


def _factor(one: RegisterMap, model: int, factor: int | str) -> float:
    if isinstance(factor, int):
        return factor
    source = one.point(f"m{model}.{factor.strip()}").source
    assert source is not None
    assert source.constant is not None
    return source.constant


@pytest.mark.parametrize("name", MODELS)
def test_a_scan_finds_the_models(name):
    wire = scanned(name)
    vendor = VENDOR[shipped_maps()[name].kind]
    assert [m.model_id for m in wire.model_list] == MODELS[name]
    assert [m.error_info for m in wire.model_list] == [""] * len(MODELS[name])
    # Without a definition for it, the client notes the vendor's model and steps over it.
    assert {i for i in wire.models if isinstance(i, int)} == {*MODELS[name], vendor}
    assert wire.common[0].SN.value == "GZ-0001"
    assert wire.common[0].Mn.value == "suitwin"


def test_storage_of_the_700s_reads_as_it_is():
    wire = scanned("storage-sunspec-7xx")
    ac, capacity, battery = wire.DERMeasureAC[0], wire.DERStorageCapacity[0], wire.battery[0]
    assert ac.W.cvalue == -2_512_000
    assert (ac.ACType.value, ac.St.value, ac.InvSt.value) == (2, 1, 3)
    assert ac.TmpOt.cvalue == pytest.approx(31.4)
    assert capacity.SoC.cvalue == pytest.approx(53.7)
    assert (capacity.WHRtg.cvalue, battery.WHRtg.cvalue) == (10_750_000, 10_750_000)
    assert wire.DERCapacity[0].WMaxRtg.cvalue == 5_000_000
    assert battery.SoC.cvalue == pytest.approx(53.7)
    assert battery.DoD.cvalue == pytest.approx(46.3)
    assert (battery.ChaSt.value, battery.LocRemCtl.value, battery.State.value) == (4, 0, 3)
    assert battery.AHRtg.cvalue == round(10_750_000 / 1280)
    assert (battery.CtrlHb.value, battery.Evt1.value) == (17, 0)
    controls = wire.DERCtlAC[0]
    assert (controls.WSetEna.value, controls.WSetMod.value) == (0, 1)
    assert controls.WSetRvrtTms.value == 900


def test_what_the_twin_does_not_have_reads_as_not_implemented():
    wire = scanned("storage-sunspec-7xx")
    ac = wire.DERMeasureAC[0]
    for point in (ac.VA, ac.Hz, ac.LLV, ac.TotWhInj, ac.Alrm, ac.TmpCab, ac.WL1, ac.MnAlrmInfo):
        assert point.value is None or not point.is_impl(), point.pdef["name"]
    assert not wire.DERCtlAC[0].WMaxLimPct.is_impl()
    assert not wire.DERStorageCapacity[0].SoH.is_impl()


def test_storage_of_the_100s_reads_as_it_is():
    wire = scanned("storage-sunspec-1xx")
    inverter, basic = wire.inverter_three_phase[0], wire.storage_basic[0]
    assert inverter.W.cvalue == -2_512_000
    assert (inverter.Hz.cvalue, inverter.PhVphA.cvalue) == (50.0, 230.9)
    assert inverter.St.value == 4
    assert not inverter.A.is_impl()
    assert not inverter.WH.is_impl()
    nameplate = wire.nameplate[0]
    assert (nameplate.DERTyp.value, nameplate.WRtg.cvalue) == (82, 5_000_000)
    assert wire.status[0].StActCtl.value == 1
    assert basic.ChaState.cvalue == pytest.approx(53.7)
    assert (basic.StorCtl_Mod.value, basic.OutWRte.cvalue, basic.InWRte.cvalue) == (0, 100, 100)
    assert basic.InOutWRte_RvrtTms.value == 900


def test_solar_reads_as_it_is_in_both_generations():
    old, new = scanned("solar-sunspec-1xx"), scanned("solar-sunspec-7xx")
    inverter = old.inverter_three_phase[0]
    assert (inverter.W.cvalue, new.DERMeasureAC[0].W.cvalue) == (412_000, 412_000)
    assert inverter.A.cvalue == pytest.approx(412.3 / (3**0.5 * 0.4), abs=0.5)
    assert (inverter.St.value, old.status[0].StActCtl.value) == (4, 0)
    assert old.controls[0].WMaxLimPct.cvalue == 100
    assert old.controls[0].WMaxLimPct_RvrtTms.value == 0  # a day: never, as the standard says
    assert new.DERCtlAC[0].WMaxLimPctRvrtTms.value == 0
    assert new.DERCapacity[0].WMax.cvalue == 600_000


def test_a_client_writes_set_points_where_the_map_has_them():
    one = shipped_maps()["storage-sunspec-7xx"]
    wire = scanned("storage-sunspec-7xx")
    controls = wire.DERCtlAC[0]
    controls.WSet.cvalue = 1_234_500
    controls.WSetEna.value = 1
    controls.write()
    at = one.point("m704.WSet").address
    words = [wire.words["holding", at], wire.words["holding", at + 1]]
    assert struct.unpack(">i", struct.pack(">2H", *words)) == (12_345,)
    assert wire.words["holding", one.point("m704.WSetEna").address] == 1
