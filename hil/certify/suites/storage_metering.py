"""Storage: the device's own power and energy readings, held against the meter's."""

from __future__ import annotations

from hil.certify.procedure import Context
from hil.certify.suites.hand import POWER_COLUMNS, Hand
from hil.certify.suites.storage_soc import LEG_COLUMNS, Count, to_middle

__all__ = ["energy_reading", "power_reading"]

LEVEL = 0.5  # of rated power (our choice)
SETTLE_S, REST_S, STILL = 10.0, 300.0, 0.005  # standing still, as in storage_power
COMPARE_S = 10.0
# Long enough for counters of 0.1 kWh, and short enough to stay away from full and empty, where
# auxiliaries go another way than the order (our choice).
COUNT_S, OF_CAPACITY, LOOK_S = 1800.0, 0.25, 60.0
COUNTERS = {1.0: "discharged_today_kwh", -1.0: "charged_today_kwh"}


def power_reading(context: Context) -> None:
    """Hold the power register against the meter at half of rated power, both ways and at rest."""
    hand, id = Hand(context), "power_reading"
    if not hand.shows("power_kw"):
        context.leave(id, "the device shows no power")
        return
    to_middle(hand)
    ours = context.series("meter", *POWER_COLUMNS)
    theirs = context.series("own", *POWER_COLUMNS)
    for share in (LEVEL, 0.0, -LEVEL):
        if not hand.go("power_kw", share * hand.rated_kw).accepted:
            context.doubt(id, "the device refused the order")
            return
        hand.steady(ours, SETTLE_S, REST_S, STILL * hand.rated_kw)
        for _ in range(round(COMPARE_S / hand.every_s)):
            meter = hand.watch(ours, 0.0)[0]
            own = hand.watch(theirs, 0.0, look=lambda: hand.register("power_kw"))[0]
            error = 100.0 * (meter.half_width + own.half_width) / hand.rated_kw
            value = 100.0 * abs(own.value - meter.value) / hand.rated_kw
            context.take(id, value, error, hand.own("power_kw", error),
                         f"at {100.0 * share:+.0f} % of rated power")  # fmt: skip
            hand.clock.sleep(hand.every_s)


def energy_reading(context: Context) -> None:
    """Hold the device's energy counters against the meter, up to half an hour each way."""
    hand, id = Hand(context), "counter_error"
    if not all(hand.shows(name) for name in COUNTERS.values()):
        context.leave(id, "the device shows no energy counters")
        return
    to_middle(hand)
    capacity_h = float(context.subject.nameplate["capacity_kwh"]) / hand.rated_kw
    count_s = min(COUNT_S, OF_CAPACITY * capacity_h * 3600.0)
    for sign, name in COUNTERS.items():
        if not hand.go("power_kw", sign * hand.rated_kw).accepted:
            context.doubt(id, "the device refused the order")
            return
        still = context.series(f"{name}_before", *POWER_COLUMNS)
        hand.steady(still, SETTLE_S, REST_S, STILL * hand.rated_kw)
        series = context.series(name, *LEG_COLUMNS)
        count, begun = Count(hand, sign), hand.register(name)
        end_s = hand.clock.now_s() + count_s
        while not hand.past(end_s):
            hand.wait(LOOK_S if hand.subject.compressed else hand.every_s)
            count.look()
            series.add(hand.clock.now_s(), count.last.value, count.kwh, None)
        ended = hand.register(name)
        moved = ended.value - begun.value
        if count.kwh <= 0.0 or moved < 0.0:
            context.doubt(id, "no energy moved, or the counter began anew meanwhile")
            continue
        error_kwh = count.error_kwh + begun.half_width + ended.half_width
        error = 100.0 * error_kwh / count.kwh
        value = 100.0 * abs(moved - count.kwh) / count.kwh
        context.take(id, value, error, hand.own(name, error), name)
