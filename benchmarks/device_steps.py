"""Device-steps per second by kind, on one thread and on two.

Run it from the project's root::

    python benchmarks/device_steps.py [--minutes 30] [--kinds storage,aircon]

A device-step is one second of simulated time of one device, whatever inner step its kind takes.
Each kind steps through the same minutes of a summer afternoon, owners and arrivals included,
compiled beforehand; the best of three passes counts. The state after one thread and after two
must be equal to the bit, else the benchmark fails.
"""

from __future__ import annotations

import argparse
import time

import numba
import numpy as np

from twin.assets.aircon import Aircon
from twin.assets.charging import Charging
from twin.assets.environment import Environment
from twin.assets.hydrogen import Hydrogen
from twin.assets.icestore import Icestore
from twin.assets.industry import Industry
from twin.assets.kind import Kind
from twin.assets.shorepower import ShorePower
from twin.assets.solar import Solar
from twin.assets.storage import Storage
from twin.assets.swap import Swap
from twin.chance import generator
from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.columns import Columns

KINDS: dict[str, type[Kind]] = {
    "storage": Storage, "aircon": Aircon, "icestore": Icestore, "charging": Charging,
    "swap": Swap, "solar": Solar, "industry": Industry, "hydrogen": Hydrogen,
    "shorepower": ShorePower,
}  # fmt: skip
# Devices of the 2027 city, about.
COUNTS = {
    "storage": 1500, "aircon": 3500, "icestore": 3, "charging": 2400, "swap": 120,
    "solar": 2400, "industry": 800, "hydrogen": 24, "shorepower": 40,
}  # fmt: skip
START_MS = 12 * HOUR_MS
SEED = 1
TARIFF = np.array([0] * 8 + [1] * 2 + [2, 3, 1, 1] + [2, 3, 3, 2, 2] + [1] * 5).repeat(60)


def afternoon(now_ms: int) -> Environment:
    minute = (now_ms // MINUTE_MS) % 1440
    period = int(TARIFF[minute])
    return Environment(
        now_ms, 33.5, 27.5, 800.0, 600.0, 150.0, 30.0, 230.0, np.ones(11), 1.0, True, period,
        TARIFF, 0.7, SEED,
    )  # fmt: skip


def nameplate(name: str) -> Columns:
    """A fleet of plausible sizes; the same every time."""
    n = COUNTS[name]
    draw = generator(SEED, f"bench.{name}").random((2, n))
    rated_kw = 100.0 + 900.0 * draw[0]
    use = (5.0 * draw[1]).astype(np.int64)
    columns: dict[str, dict[str, object]] = {
        "storage": {"capacity_kwh": 2.0 * rated_kw},
        "aircon": {
            "floor_m2": 30.0 * rated_kw, "cooling_kw": 3.8 * rated_kw, "use": use,
            "setpoint_c": 25.5, "comfort_max_c": 28.0,
        },
        "icestore": {
            "cooling_kw": 4.1 * rated_kw, "tank_kwh": 8.2 * rated_kw,
            "peak_cooling_kw": 4.1 * rated_kw,
        },
        "charging": {
            "posts": np.full(n, 12), "post_kw": rated_kw / 12.0,
            "v2g_kw": np.where(draw[1] < 0.05, 0.3 * rated_kw, 0.0), "use": use % 3,
        },
        "swap": {
            "packs": np.full(n, 14), "pack_kwh": 75.0, "slot_kw": rated_kw / 14.0,
            "swaps_per_day": 200.0, "v2g_kw": 0.0,
        },
        "solar": {"tilt_deg": 15.0, "azimuth_deg": 180.0},
        "industry": {
            "step_min": 40.0, "stock_h": 4.0, "min_run_min": 60.0, "restart_min": 20.0,
            "base_share": 0.2,
        },
        "hydrogen": {
            "tank_kg": 500.0, "kg_per_day": 300.0, "fuelcell_kw": 0.1 * rated_kw, "min_load": 0.1,
        },
        "shorepower": {"flexible_share": 0.2},
    }  # fmt: skip
    common: dict[str, object] = {
        "site": np.arange(n), "circuit": np.full(n, -1, np.int8), "district": np.arange(n) % 11,
        "rated_kw": rated_kw, "enrolled": np.ones(n, np.bool_),
    }  # fmt: skip
    filled = {k: np.broadcast_to(np.asarray(v), n) for k, v in (common | columns[name]).items()}
    return Columns(filled)


def run(kind: Kind, minutes: int) -> float:
    """Step through the minutes and return the wall time [s]."""
    began = time.perf_counter()
    for i in range(minutes):
        env = afternoon(START_MS + i * MINUTE_MS)
        kind.minute(env)
        kind.step(env.now_ms, 60, env)
    return time.perf_counter() - began


def measure(name: str, minutes: int) -> tuple[list[float], bool]:
    """Return seconds by thread count (1, 2) and whether the bits agree."""
    first = KINDS[name](nameplate(name), SEED)
    first.warm(afternoon(START_MS))
    run(first.fork(), 2)  # compile
    other = first.fork()
    if isinstance(other, Storage | Aircon):
        other.threads = 2
    run(other, 2)
    seconds, digests = [], []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        if isinstance(first, Storage | Aircon):
            first.threads = threads  # the other kinds step serially
        passes = []
        for _ in range(3):
            kind = first.fork()
            passes.append(run(kind, minutes))
        seconds.append(min(passes))
        digests.append(kind.state.digest())
    return seconds, digests[0] == digests[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--kinds", default=",".join(KINDS))
    asked = parser.parse_args()
    print(f"{'kind':<12}{'devices':>8}{'ms a minute, 1 and 2 threads':>32}{'device-steps/s':>26}")
    unequal = []
    for name in asked.kinds.split(","):
        (one, two), equal = measure(name, asked.minutes)
        steps = COUNTS[name] * 60.0 * asked.minutes
        ms = f"{1e3 * one / asked.minutes:.2f}  {1e3 * two / asked.minutes:.2f}"
        print(f"{name:<12}{COUNTS[name]:>8}{ms:>32}{f'{steps / one:.2e}  {steps / two:.2e}':>26}")
        if not equal:
            unequal.append(name)
    if unequal:
        raise SystemExit(f"two threads gave other bits than one: {', '.join(unequal)}")


if __name__ == "__main__":
    main()
