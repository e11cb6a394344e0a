"""Storage cabinets whose registers are not what their table says, one difference each."""

from __future__ import annotations

from functools import partial

from hil.certify.broken import fields, storage
from hil.certify.broken.specimen import Specimen

__all__ = ["IN_REGISTERS"]

OWN, SUNSPEC = "storage-own", "storage-sunspec-7xx"

# The storage suite holds the same register against the same meter.
OWN_POWER = "storage.power_reading"
# What every address beside its own comes to.
NEIGHBOURS = (
    "register-map.beyond_table", "register-map.gap_policy", "register-map.out_of_range",
    "register-map.ratings", "register-map.changes", "storage.counter_error",
)  # fmt: skip

IN_REGISTERS = (
    Specimen(
        "power-by-ten", OWN,
        "counts its power in steps of 1 kW, the table says 0.1 kW",
        "有功功率寄存器系数为1 kW，点表为0.1 kW",
        "register-map.power_reading",
        "power read differs by a factor of 10 from what was ordered and metered",
        along=(OWN_POWER,),
        serve=partial(fields.scaled, name="power_kw", factor=10.0),
    ),
    Specimen(
        "capacity-by-hundred", OWN,
        "shows its rated energy in steps of 0.001 kWh, the table says 0.1 kWh",
        "额定能量寄存器系数为0.001 kWh，点表为0.1 kWh",
        "register-map.ratings",
        "a rating read differs by a factor of 100 from the nameplate",
        serve=partial(fields.scaled, name="capacity_kwh", factor=0.01),
    ),
    Specimen(
        "words-swapped", OWN,
        "has the low word of its power first, the table says high word first",
        "有功功率双字低字在前，点表为高字在前",
        "register-map.power_reading",
        "power read is that metered with its words exchanged, and beyond what it can have",
        along=("register-map.out_of_range", OWN_POWER),
        serve=partial(fields.with_order, name="power_kw", order="CDAB"),
    ),
    Specimen(
        "bytes-swapped", OWN,
        "has the bytes of its temperature exchanged within the word",
        "电芯温度字内高低字节颠倒",
        "register-map.out_of_range",
        "the reading is no temperature, and is one with its bytes exchanged",
        serve=partial(fields.with_order, name="temperature_c", order="BADC"),
    ),
    Specimen(
        "sign-turned", OWN,
        "shows charging as positive power, the table says discharging",
        "充电功率显示为正，点表规定放电为正",
        "register-map.power_reading",
        "power read is that metered with the other sign",
        along=(OWN_POWER,),
        serve=partial(fields.turned_sign, name="power_kw"),
    ),
    Specimen(
        "float-not-integer", OWN,
        "shows the power that it can discharge as a float, the table says i32",
        "最大可放功率为浮点型，点表为32位有符号整型",
        "register-map.out_of_range",
        "the reading is beyond the rating, and fits as a float",
        serve=partial(fields.of_other_type, name="discharge_limit_kw", type_="f32"),
    ),
    Specimen(
        "counted-from-one", OWN,
        "counts its input registers from 1, the table counts from 0",
        "输入寄存器地址从1起编，点表从0起编",
        "register-map.points_missing",
        "the first register does not exist, one behind the last does, and every reading is "
        "its neighbour's",
        along=NEIGHBOURS,
        serve=partial(fields.counted_from_one, table="input"),
    ),
    Specimen(
        "point-missing", OWN,
        "has no temperature register",
        "缺少电芯温度寄存器",
        "register-map.points_missing",
        "its address is refused; every other is answered",
        serve=partial(fields.without, name="temperature_c"),
    ),
    Specimen(
        "narrow-limits", OWN,
        "refuses reversion times above an hour, the table says a day",
        "失联恢复时间上限为1小时，点表为1天",
        "register-map.limits_refused",
        "the greatest value of the table is refused",
        serve=partial(fields.with_limits, name="set_revert_s", low=1.0, high=3600.0),
    ),
    Specimen(
        "no-limits", OWN,
        "takes reversion times beyond the table's greatest value",
        "失联恢复时间超上限仍被接受",
        "register-map.limits_passed",
        "a value above the table's greatest is accepted",
        serve=partial(fields.with_limits, name="set_revert_s", low=0.0, high=storage.MOST_S),
        sort=storage.Unbounded,
    ),
    Specimen(
        "read-only", OWN,
        "cannot be told its reversion time",
        "失联恢复时间寄存器不可写",
        "register-map.not_writable",
        "a register that the table calls writable refuses its own value",
        serve=partial(fields.without_write, name="set_revert_s"),
    ),
    Specimen(
        "no-read-back", OWN,
        "does not show the heartbeat that it was told",
        "心跳寄存器不可回读",
        "register-map.not_readable",
        "a register that the table calls readable refuses to be read",
        serve=partial(fields.without_read, name="set_heartbeat"),
    ),
    Specimen(
        "gaps-filled", OWN,
        "answers reads over registers that do not exist",
        "对不存在的寄存器返回0而非异常码",
        "register-map.gap_policy",
        "a block over a hole is answered where the table has it refused",
        edit=fields.with_hole,
        serve=fields.filled_gaps,
    ),
    Specimen(
        "states-mixed-up", OWN,
        "calls charging discharging and the other way round",
        "充电与放电状态字互换",
        "register-map.echoes_and_states",
        "the state read is not the one that metered power says",
        serve=partial(
            fields.with_values, name="status", values={0.0: 0.0, 1.0: 2.0, 2.0: 1.0, 3.0: 3.0}
        ),
    ),
    Specimen(
        "wrong-text", SUNSPEC,
        "shows another maker than its table says",
        "厂商名称与点表不符",
        "register-map.texts_and_constants",
        "a text that the table states is not the one that is read",
        serve=partial(fields.with_text, name="m1.Mn", text="somebody"),
    ),
)  # fmt: skip
