"""The storage suite: 储能 (GB/T 36547 and 36548 as far as they are known to us)."""

from __future__ import annotations

from collections.abc import Sequence

from hil.certify.limits import measurements
from hil.certify.procedure import Procedure, Step, Suite
from hil.certify.subject import Subject
from hil.certify.suites import storage_cycles as cycles
from hil.certify.suites import storage_metering as metering
from hil.certify.suites import storage_power as power
from hil.certify.suites import storage_timers as timers

__all__ = ["SUITE"]

RESPONSE = ("response_discharge", "regulation_discharge", "ramp")
TURNS = ("turn_to_charge", "turn_to_discharge")
ENERGY = ("energy_discharged", "energy_charged", "energy_spread", "efficiency")


def _procedures(subject: Subject) -> Sequence[Procedure]:
    declared = measurements("storage")

    def one(id: str, title: str, title_zh: str, *steps: Step) -> Procedure:
        taken = dict.fromkeys(name for step in steps for name in step.takes)
        return Procedure(id, title, title_zh, [declared[n] for n in taken], steps)

    # What is short comes first: the long ones move the SOC from end to end.
    return (
        one(
            "response", "Response and regulation time", "响应时间与调节时间",
            Step("discharge", power.respond(1.0), RESPONSE),
            Step("charge", power.respond(-1.0), ("response_charge", "regulation_charge")),
        ),
        one(
            "turn", "Turn between charge and discharge", "充放电转换时间",
            Step("to_charge", power.turn(1.0), TURNS[:1]),
            Step("to_discharge", power.turn(-1.0), TURNS[1:]),
        ),
        one(
            "control", "Control deviation", "功率控制偏差",
            Step("levels", power.control, ("deviation",)),
        ),
        one(
            "reversion", "Reversion timer", "失联恢复定时",
            Step("silence", timers.reversion, ("held", "reversion")),
        ),
        one(
            "heartbeat", "Loss of the heartbeat", "心跳中断",
            Step("silence", timers.heartbeat, ("heartbeat_held", "heartbeat_loss")),
        ),
        one(
            "metering", "Own readings against the meter", "自测量与表计比对",
            Step("power", metering.power_reading, ("power_reading",)),
            Step("energy", metering.energy_reading, ("counter_error",)),
        ),
        one(
            "limits", "Limits at full and empty", "充放电截止限值",
            Step("full", cycles.at_end(-1.0), ("at_full",)),
            Step("empty", cycles.at_end(1.0), ("at_empty",)),
        ),
        one(
            "soc", "SOC against counted charge", "SOC与电量累计比对",
            Step("cycle", cycles.soc_cycle, ("soc_error", "soc_span")),
        ),
        one(
            "energy", "Energy and efficiency over three cycles", "三次循环能量与效率",
            *(
                Step(f"cycle_{n}", cycles.cycle(n), ("energy_share",))
                for n in range(1, cycles.CYCLES + 1)
            ),
            Step("figures", cycles.energy_figures, ENERGY),
        ),
    )  # fmt: skip


SUITE = Suite("storage", "Storage", "储能", _procedures, ("storage",))
