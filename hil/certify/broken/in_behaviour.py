"""Storage cabinets whose control, physics or sensors are wrong, one fault each."""

from __future__ import annotations

from hil.certify.broken import storage
from hil.certify.broken.good import HEARTBEAT_S
from hil.certify.broken.specimen import Specimen
from twin.assets.manners import Manner

__all__ = ["IN_BEHAVIOUR"]

OWN = "storage-own"
RESPONSES = ("storage.response_discharge", "storage.response_charge")
REGULATIONS = ("storage.regulation_discharge", "storage.regulation_charge")
TURNS = ("storage.turn_to_charge", "storage.turn_to_discharge")

IN_BEHAVIOUR = (
    Specimen(
        "sluggish", OWN,
        "begins to follow an order 8 s after it came",
        "接收指令后8秒才开始响应",
        "storage.response_discharge",
        "power moves later than allowed, and every time that begins with the order is longer",
        along=(RESPONSES[1], *REGULATIONS),
        sort=storage.Sluggish,
    ),
    Specimen(
        "creeping", OWN,
        "changes its power by 1 % of its rating a second",
        "功率变化率仅为1 %Pn/s",
        "storage.regulation_discharge",
        "power moves at once and takes too long to arrive, wherever it begins",
        along=(REGULATIONS[1], *RESPONSES, *TURNS),
        sort=storage.Creeping,
    ),
    Specimen(
        "slow-turn", OWN,
        "stands still for 20 s between charging and discharging",
        "充放电转换停顿20秒",
        "storage.turn_to_charge",
        "out of rest it responds in time; only the way through zero takes too long",
        along=TURNS[1:],
        sort=storage.SlowTurn,
    ),
    Specimen(
        "uncalibrated", OWN,
        "delivers 95 % of what was ordered",
        "实际功率仅为指令的95 %",
        "storage.deviation",
        "power settles in time, beside the order by more than allowed",
        sort=storage.Uncalibrated,
    ),
    Specimen(
        "half-power", OWN,
        "stops at half its rating",
        "功率达额定值50 %后不再上升",
        "storage.deviation",
        "orders up to half are followed, greater ones are not; 90 % of rating is never reached",
        along=RESPONSES,
        sort=storage.HalfPower,
    ),
    Specimen(
        "short-of-energy", OWN,
        "holds 70 % of the energy on its nameplate",
        "实际能量仅为铭牌的70 %",
        "storage.energy_share",
        "the energy of a full discharge at rating is too small",
        sort=storage.Short,
    ),
    Specimen(
        "lossy", OWN,
        "loses a fifth of what it charges",
        "充电损耗额外增加20 %",
        "storage.efficiency",
        "energy out over energy in is too small over three cycles",
        sort=storage.Lossy,
    ),
    Specimen(
        "overfull", OWN,
        "goes on charging when it is full",
        "充满后仍继续充电",
        "storage.at_full",
        "power does not end at the upper limit",
        sort=storage.Overfull,
    ),
    Specimen(
        "keeps-its-order", OWN,
        "never gives up an order when its reversion time has run out",
        "失联恢复时间到后仍执行原指令",
        "storage.reversion",
        "power goes on after the time that was set",
        sort=storage.KeepsCommand,
    ),
    Specimen(
        "deaf-to-silence", OWN,
        "goes on when the heartbeat stops, its maker states that it does not",
        "心跳中断后不退出远方控制",
        "storage.heartbeat_loss",
        "power goes on after the heartbeat time that is declared",
        sort=storage.Deaf,
        manner=Manner(heartbeat_s=HEARTBEAT_S),
        declared={"heartbeat_s": HEARTBEAT_S},
    ),
    Specimen(
        "counts-too-much", OWN,
        "counts 4 % more energy than it moves",
        "自计电量偏大4 %",
        "storage.counter_error",
        "its counters run ahead of the meter's",
        sort=storage.Overcounting,
    ),
    Specimen(
        "reads-too-much", OWN,
        "shows 4 % more power than it has",
        "功率遥测偏大4 %",
        "storage.power_reading",
        "its reading differs from the meter's by more than allowed, and by no factor of ten",
        sort=storage.Misreading,
    ),
    Specimen(
        "power-stuck", OWN,
        "shows a power that does not move",
        "有功功率显示值不变",
        "storage.power_reading",
        "its reading stays while metered power moves",
        along=("register-map.power_reading",),
        manner=Manner(frozen=True, point="power_kw"),
    ),
    Specimen(
        "soc-stuck", OWN,
        "shows a state of charge that does not move",
        "SOC显示值不变",
        "storage.soc_span",
        "SOC at empty is that at full",
        along=("storage.soc_error",),
        manner=Manner(frozen=True, point="soc"),
    ),
    Specimen(
        "soc-drifts", OWN,
        "shows a state of charge that wanders by 8 % an hour",
        "SOC显示值每小时漂移8 %",
        "storage.soc_error",
        "SOC moves away from counted energy",
        along=("storage.soc_span",),
        manner=Manner(drift_per_h=0.08, point="soc"),
    ),
    Specimen(
        "late-echo", OWN,
        "shows its set-point 30 s late",
        "功率指令回读滞后30秒",
        "register-map.read_back_time",
        "what was written is read back too late; power follows in time",
        manner=Manner(readback_lag_s=30),
    ),
)  # fmt: skip
