"""A storage device that is not ours: EPRI's OpenDER behind Modbus, in virtual time.

Physics and inverter control are OpenDER's `DER_BESS` (BSD-3, IEEE 1547-2018 model 2.2); the
register table, timers and state machine here are this file's own and share nothing with the
twin's. Only the bytes are carried by our server. It is the certification's known-good: what a
suite finds wrong with it is the suite's fault until shown otherwise.

OpenDER is written for 60 Hz; frequencies are scaled by 60/50 on the way in.
"""

from __future__ import annotations

import logging
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from opender import DER, DER_BESS

from hil.bench.line import LineSpec
from hil.bench.roles import About, Applied, Energy, Measured
from hil.registers.bank import Group, KindValues, RegisterBank
from hil.registers.files import load_map
from hil.registers.kinds import catalogue
from hil.registers.layout import compile_maps
from hil.server import Endpoint, Server
from twin.record.columns import Columns
from twin.record.exchange import KindInventory

MAP = Path(__file__).with_name("opender_map.json")
ADDRESS = "127.0.0.1"
HOUR_S = 3600.0
HERTZ = 60.0 / 50.0
# Below this the inverter is called idle [kW].
IDLE_KW = 0.05
# As the maker of this imaginary device states them.
RATED_KW, CAPACITY_KWH = 200.0, 400.0
ROUND_TRIP = 0.91
REVERT_S = 3600.0
# It tapers within the last share of its energy, at either end, and stops just short of it: there
# OpenDER warns every second.
TAPER, SHORT = 0.004, 0.0001


class OpenDerClock:
    """The device's time; `sleep` lets it pass."""

    compressed = True

    def __init__(self, device: OpenDer) -> None:
        self._device, self._now_s = device, 0.0

    def now_s(self) -> float:
        return self._now_s

    def sleep(self, seconds: float) -> None:
        self._now_s += max(seconds, 0.0)
        self._device.advance(int(self._now_s + 1e-9))


class OpenDerMeter:
    """True power and energy at the terminals, renewed every second."""

    def __init__(self, device: OpenDer) -> None:
        self._device = device

    def about(self) -> About:
        return About("opender", "meter_opender", "OpenDER's own output", 0.0, 1.0)

    def power_kw(self) -> Measured:
        return self._measured(self._device.power_kw)

    def energy_kwh(self) -> Energy:
        device = self._device
        return Energy(self._measured(device.given_kwh), self._measured(device.taken_kwh))

    def release(self) -> None:
        """Nothing is held."""

    def _measured(self, value: float) -> Measured:
        return Measured(value, self._device.clock.now_s(), 0.0, 1.0)


class OpenDerSource:
    """The grid that it stands on."""

    def __init__(self, device: OpenDer) -> None:
        self._device = device
        self.voltage, self.frequency = 1.0, 50.0

    def about(self) -> About:
        return About("opender", "source_opender", "OpenDER's terminals", 0.0, 1.0)

    def apply(self, voltage_pu: float, frequency_hz: float) -> Applied:
        if not (np.isfinite(voltage_pu) and np.isfinite(frequency_hz)):
            raise ValueError("voltage and frequency must be finite")
        self.voltage, self.frequency = voltage_pu, frequency_hz
        self._device.der.update_der_input(v_pu=voltage_pu, f=frequency_hz * HERTZ)
        return Applied(voltage_pu, frequency_hz)

    def voltage_pu(self) -> Measured:
        return Measured(self.voltage, self._device.clock.now_s(), 0.0, 0.0)

    def frequency_hz(self) -> Measured:
        return Measured(self.frequency, self._device.clock.now_s(), 0.0, 0.0)

    def release(self) -> None:
        """Nothing is held."""


class OpenDer:
    """The device; serves while inside its ``with``, as a stage does.

    Parameters
    ----------
    seed : of where its battery stands at the start
    heartbeat_s : a command ends after so long without any write, 0: never for that reason
    """

    def __init__(self, seed: int = 0, heartbeat_s: float = 0.0) -> None:
        self.heartbeat_s = heartbeat_s
        DER.t_s = 1.0
        self.soc_at_start = 0.35 + 0.3 * float(np.random.default_rng(seed).random())
        self.der = _bess(self.soc_at_start)
        self.map = load_map(MAP)
        self.name = "opender-bess"
        self.nameplate = {"rated_kw": RATED_KW, "capacity_kwh": CAPACITY_KWH}
        self.power_kw = self.given_kwh = self.taken_kwh = 0.0
        self.wanted_kw = self.heard_s = self.beat_s = 0.0
        self.remote = False
        self.revert_s, self.heartbeat = REVERT_S, 0.0
        self.second = 0
        self.clock = OpenDerClock(self)
        self.meter, self.source = OpenDerMeter(self), OpenDerSource(self)
        self.bank = _bank(self)
        self.spec = LineSpec()
        self._stack = ExitStack()
        self.source.apply(1.0, 50.0)

    def __enter__(self) -> Self:
        self.clock.sleep(1.0)
        with socket.socket() as probe:
            probe.bind((ADDRESS, 0))
            port = int(probe.getsockname()[1])
        bank = self.bank
        endpoint = Endpoint(ADDRESS, port, 0)
        server = Server(bank.arrays, bank.compiled.layout, [endpoint], body="portable")
        self._stack.enter_context(server)
        self.spec = LineSpec(transport="tcp", host=ADDRESS, port=port, unit=self.map.unit)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    # -- the device ----------------------------------------------------------------------------

    def advance(self, until_s: int) -> None:
        """Take what was written, run OpenDER second by second, show what came of it."""
        if until_s <= self.second:
            return
        applied_ns = time.monotonic_ns()
        self._take(applied_ns)
        while self.second < until_s:
            if self.remote and self._silent_too_long():
                self._let_go()
            self.der.update_der_input(p_dem_kw=self.wanted_kw)
            self.power_kw = self.der.run()[0] / 1000.0
            self.given_kwh += max(self.power_kw, 0.0) / HOUR_S
            self.taken_kwh += max(-self.power_kw, 0.0) / HOUR_S
            self.second += 1
        self._show(applied_ns)

    def _take(self, until_ns: int) -> None:
        writes = self.bank.take(until_ns)
        points = self.bank.compiled.maps[0].points
        for row, value in zip(writes.point.tolist(), writes.value.tolist(), strict=True):
            name = points[row].name
            self.beat_s = float(self.second)
            if name == "set_heartbeat":
                self.heartbeat = value
                continue
            self.heard_s = self.beat_s
            if name == "set_power_kw":
                self.wanted_kw, self.remote = value, True
            elif name == "set_release" and value >= 1.0:
                self._let_go()
            elif name == "set_revert_s":
                self.revert_s = value

    def _silent_too_long(self) -> bool:
        """Nothing at all for a heartbeat's time, or nothing but heartbeats until it reverts."""
        unheard = self.heartbeat_s > 0.0 and self.second - self.beat_s >= self.heartbeat_s
        return unheard or self.second - self.heard_s >= self.revert_s

    def _let_go(self) -> None:
        """The owner has no plan of his own: it rests."""
        self.wanted_kw, self.remote = 0.0, False

    def _show(self, applied_ns: int) -> None:
        soc = self.der.bess_soc
        charge, discharge = self._possible(soc)
        state = 0.0 if abs(self.power_kw) < IDLE_KW else 1.0 if self.power_kw < 0.0 else 2.0
        shown = {
            "power_kw": self.power_kw, "soc": soc, "status": state, "remote": float(self.remote),
            "charge_limit_kw": charge, "discharge_limit_kw": discharge,
            "charged_today_kwh": self.taken_kwh, "discharged_today_kwh": self.given_kwh,
            "setpoint_kw": self.wanted_kw,
        }  # fmt: skip
        in_force = {
            "power_kw": self.wanted_kw, "release": 0.0, "heartbeat": self.heartbeat,
            "revert_s": self.revert_s,
        }  # fmt: skip
        known = catalogue()["storage"]
        self.bank.write(
            {"storage": _column(shown, known.points)},
            {"storage": _column(in_force, known.setpoints)},
            applied_ns,
        )
        self.bank.publish()

    def _possible(self, soc: float) -> tuple[float, float]:
        curve = self.der.der_file.NP_BESS_P_MAX_BY_SOC
        charge = np.interp(soc, curve["SOC_P_CHARGE_MAX"], curve["P_CHARGE_MAX_PU"])
        discharge = np.interp(soc, curve["SOC_P_DISCHARGE_MAX"], curve["P_DISCHARGE_MAX_PU"])
        return RATED_KW * float(charge), RATED_KW * float(discharge)


def _bess(soc: float) -> DER_BESS:
    # OpenDER looks at its parameters one by one and warns of what is not set yet.
    logging.disable(logging.WARNING)
    try:
        return _made(soc)
    finally:
        logging.disable(logging.NOTSET)


def _made(soc: float) -> DER_BESS:
    watts = 1000.0 * RATED_KW
    apparent = 1.1 * watts
    return DER_BESS(
        NP_P_MAX=watts, NP_VA_MAX=apparent, NP_P_MAX_CHARGE=watts,
        NP_APPARENT_POWER_CHARGE_MAX=apparent, NP_Q_MAX_INJ=0.5 * apparent,
        NP_Q_MAX_ABS=0.5 * apparent, NP_AC_V_NOM=400.0, NP_V_DC=800.0,
        NP_BESS_CAPACITY=1000.0 * CAPACITY_KWH, NP_EFFICIENCY=ROUND_TRIP, NP_BESS_P_RAMP_TIME=0.5,
        SOC_INIT=soc,
        NP_BESS_P_MAX_BY_SOC={
            "SOC_P_CHARGE_MAX": [0.0, 1.0 - TAPER, 1.0 - SHORT], "P_CHARGE_MAX_PU": [1.0, 1.0, 0.0],
            "SOC_P_DISCHARGE_MAX": [SHORT, TAPER, 1.0], "P_DISCHARGE_MAX_PU": [0.0, 1.0, 1.0],
        },
    )  # fmt: skip


def _bank(device: OpenDer) -> RegisterBank:
    known = catalogue()["storage"]
    columns = Columns({name: np.array([value]) for name, value in device.nameplate.items()})
    kind = KindInventory(
        "storage", tuple(known.points.values()), tuple(known.setpoints.values()), columns
    )
    low = np.array([[RATED_KW * p.low if p.per_rating else p.low] for p in kind.setpoints])
    high = np.array([[RATED_KW * p.high if p.per_rating else p.high] for p in kind.setpoints])
    values = KindValues(np.array([RATED_KW]), columns, low, high)
    one = np.zeros(1, np.int64)
    return RegisterBank(
        compile_maps([device.map], {"storage": kind}),
        [Group(0, "storage", one, one)],
        {"storage": values},
        [device.name],
        np.array([device.map.unit], np.uint8),
        2,
    )


def _column(values: dict[str, float], names: object) -> np.ndarray:
    return np.array([[values.get(name, np.nan)] for name in names])  # type: ignore[attr-defined]
