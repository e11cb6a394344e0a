"""Terminals, chargers, air conditioning and photovoltaic plants with one fault each."""

from __future__ import annotations

from hil.certify.broken import others
from hil.certify.broken.good import MIN_OFF_S
from hil.certify.broken.specimen import Specimen
from hil.certify.emulated import rest_s

__all__ = ["OF_OTHER_KINDS"]

TERMINAL, CHARGING, AIRCON = "terminal-own", "charging-own", "aircon-own"
SOLAR = "solar-sunspec-7xx"

OF_OTHER_KINDS = (
    Specimen(
        "forgetful", TERMINAL,
        "says yes to every command and loses one of a hundred",
        "约1%的遥控命令确认后未执行",
        "terminal.success",
        "of 1 000 commands some have no effect; a command that is repeated has one",
        sort=others.Forgetful,
    ),
    Specimen(
        "crossed", TERMINAL,
        "opens circuit 2 when circuit 1 is tripped, and the other way round",
        "第1轮与第2轮跳闸出口接反",
        "terminal.rounds",
        "another circuit than the one that was tripped is seen open, and sheds another load",
        along=("terminal.shed_load",),
        sort=others.Crossed,
    ),
    Specimen(
        "no-warning", TERMINAL,
        "shows no warning before it trips",
        "跳闸前无预告信号",
        "terminal.warning",
        "the warning that was ordered is not shown",
        sort=others.NoWarning,
    ),
    Specimen(
        "stays-open", TERMINAL,
        "never closes circuit 4 again",
        "第4轮跳闸后无法恢复合闸",
        "terminal.restored",
        "a circuit stays open after it was told to close, and its load stays away",
        along=("terminal.restored_load",),
        sort=others.StaysOpen,
    ),
    Specimen(
        "late-cap", CHARGING,
        "follows a power cap after 15 s",
        "功率限值15秒后才生效",
        "charger.cap_time",
        "the cap is kept, later than allowed",
        sort=others.LateCap,
    ),
    Specimen(
        "over-cap", CHARGING,
        "draws up to 30 % above a cap",
        "实际功率超出限值30 %",
        "charger.cap_excess",
        "power stands still in time, above the cap",
        sort=others.Unlimited,
    ),
    Specimen(
        "kills-sessions", CHARGING,
        "ends every session when it is capped",
        "限功率时中断充电",
        "charger.sessions",
        "what vehicles ask for is gone after a cap, and nothing is drawn when it is lifted",
        along=("charger.recovery",),
        sort=others.KillsSessions,
    ),
    Specimen(
        "set-point-ignored", AIRCON,
        "shows a shifted set-point and cools as before",
        "温度设定偏移后运行不变",
        "aircon.setpoint_effect",
        "the set-point is shown and saves nothing",
        sort=others.Unmoved,
    ),
    Specimen(
        "limit-ignored", AIRCON,
        "shows a power limit and draws what it likes",
        "功率限值不起作用",
        "aircon.shed_excess",
        "power stays above the limit and never comes below it",
        along=("aircon.shed_time",),
        sort=others.Unshed,
    ),
    Specimen(
        "restarts-at-once", AIRCON,
        "starts again at once after a stop, its maker states that it rests",
        "停机后无最短停机时间保护",
        "aircon.off_time",
        "it runs again before the time that is declared",
        declared={"min_off_s": rest_s(MIN_OFF_S)},
    ),
    Specimen(
        "feeds-over-limit", SOLAR,
        "feeds in 20 % of its rating above a limit",
        "送电功率超出限值20 %Pn",
        "interconnection.limit_0",
        "power stays above the limit, at every limit that there is sun for",
        along=tuple(f"interconnection.limit_{x}" for x in ("33", "66", "time")),
        sort=others.Unbridled,
    ),
)  # fmt: skip
