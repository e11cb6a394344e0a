"""The hand at the device: orders it, and watches what it does.

A suite speaks the twin's words (``power_kw``, ``limit_kw``) through this; the register map of the
device says which registers that means. Power comes from the meter where there is one, else from
the device's own register, and every value says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hil.bench.device import Written
from hil.bench.errors import BenchError
from hil.bench.meanings import to_twin
from hil.certify.measurement import Path
from hil.certify.procedure import Context, Series
from hil.certify.suites.timing import CLOCK_S, Moment, Sampled
from hil.registers.schema import WirePoint

__all__ = ["POWER_COLUMNS", "Hand", "Order"]

POWER_COLUMNS = ("time_s", "power_kw", "half_width_kw")
# How often hardware is looked at [s] (our choice). An emulated device turns over once a second.
EVERY_S, EVERY_EMULATED_S = 0.1, 1.0
# An order is repeated before the device lets go of it: this often [s], or twice in its own time.
REPEAT_S, SHARE = 300.0, 2.0
MOST_DRIVE_S = 3600.0
# Orders that a device lets go of when nothing more is heard.
HELD = ("power_kw", "limit_kw")
MOST_BEATS = 60_000  # a heartbeat counts up to here and begins anew
# Half a step of the 24 bits of a f32 register, relative.
F32_HALF_STEP = 2.0**-25


@dataclass(frozen=True, slots=True)
class Order:
    """What became of an order.

    Attributes
    ----------
    at : when it went out
    accepted : the device took every register of it
    code : the exception that it was refused with, 0: none
    cut : by which of the bench's own limits it was changed, empty: by none
    value : as the registers hold it, twin's unit
    """

    at: Moment
    accepted: bool
    code: int
    cut: str
    value: float

    @property
    def reason(self) -> str:
        """Why it is not in force as it was meant, empty where it is."""
        if not self.accepted:
            return f"order refused with exception {self.code}"
        return f"the bench's own limit of {self.cut} changed the order" if self.cut else ""


class Hand:
    """Orders and watches one device.

    Parameters
    ----------
    context : of the step
    """

    def __init__(self, context: Context) -> None:
        self.context, self.subject = context, context.subject
        self.device, self.clock = self.subject.device, self.subject.clock
        self.meter, self.rated_kw = self.subject.meter, self.subject.rated_kw
        self.every_s = EVERY_EMULATED_S if self.subject.compressed else EVERY_S
        self._last: dict[str, float] = {}
        self._told_s = self.clock.now_s()
        self._repeat_s: float | None = None
        self._beats = 0

    @property
    def capacity_kwh(self) -> float | None:
        """Registered capacity: of the nameplate, else as the device shows it; None: nowhere."""
        found = self.subject.nameplate.get("capacity_kwh")
        if found is not None:
            return float(found)
        for point in self.subject.map.points:
            if point.source is not None and point.source.nameplate == "capacity_kwh":
                value = self.device.read([point.name])[point.name].value
                if isinstance(value, float):
                    return to_twin(point, value, self.rated_kw)
        return None

    # -- what the device shows -----------------------------------------------------------------

    def shows(self, name: str) -> bool:
        """Return whether the device shows point `name` of its kind."""
        return name in self.device.meanings.readings

    def takes(self, setpoint: str) -> bool:
        """Return whether the device can be ordered `setpoint`."""
        meanings = self.device.meanings
        return setpoint in meanings.commands or (setpoint == "release" and bool(meanings.enables))

    def register(self, name: str) -> Sampled:
        """Return what the device itself shows of a point, twin's unit; its error is its step.

        Raises BenchError where it shows no number.
        """
        point = self.subject.map.point(self.device.meanings.readings[name])
        before_s = self.clock.now_s()
        value = self.device.read_twin([name])[name].value
        if not isinstance(value, float):
            raise BenchError(f"{self.subject.name}: {name} shows no value")
        # A device may renew its registers as seldom as it is looked at.
        after_s = before_s - self.every_s
        return Sampled(after_s, self.clock.now_s(), value, self._half_step(point, value))

    def power(self) -> Sampled:
        """Return the power, positive into the grid [kW]."""
        if self.meter is None:
            return self.register("power_kw")
        before_s = self.clock.now_s()
        found = self.meter.power_kw()
        return Sampled(
            before_s - found.sampling_s, self.clock.now_s(), found.value, found.accuracy
        )  # fmt: skip

    def path(self, accuracy: float | None = None) -> Path:
        """Return how power comes about; `accuracy` in the unit of what is made of it."""
        if self.meter is None:
            name = self.device.meanings.readings.get("power_kw", "power_kw")
            return Path("register", name, accuracy, self.every_s)
        about = self.meter.about()
        return Path("instrument", about.name, accuracy, max(about.sampling_s, self.every_s))

    def own(self, name: str, accuracy: float | None = None) -> Path:
        """Return the path of a value that is read from the device itself."""
        register = self.device.meanings.readings.get(name, name)
        return Path("register", register, accuracy, self.every_s)

    def _half_step(self, point: WirePoint, value: float) -> float:
        if point.type == "f32":
            return abs(value) * F32_HALF_STEP
        source = point.source
        gain = 1.0 if source is None else abs(source.gain)
        per = self.rated_kw if source is not None and source.per_rating else 1.0
        return 0.5 * point.scale / gain * per

    # -- orders --------------------------------------------------------------------------------

    def order(self, setpoint: str, value: float) -> Order:
        """Order a set-point once, twin's unit; a refusal is an answer."""
        before_s = self.clock.now_s()
        written = self.device.command(setpoint, value)
        return self._ordered(setpoint, value, before_s, written)

    def go(self, setpoint: str, value: float) -> Order:
        """Order a set-point and go on doing so while the bench's ramp holds it back."""
        order = self.order(setpoint, value)
        if order.cut != "ramp":
            return order
        written = self.device.drive(setpoint, value, self.every_s, MOST_DRIVE_S)
        return self._ordered(setpoint, value, order.at.low, written)

    def _ordered(
        self, setpoint: str, value: float, before_s: float, written: Sequence[Written]
    ) -> Order:
        at = Moment(before_s, self.clock.now_s())
        self._told_s = at.high
        command = self.device.meanings.commands.get(setpoint)
        sent = value
        for one in written:
            if command is not None and one.point == command.value and isinstance(one.sent, float):
                sent = to_twin(self.subject.map.point(one.point), one.sent, self.rated_kw)
        refused = [one for one in written if not one.accepted]
        if setpoint in HELD and not refused:
            self._last = {setpoint: value}
        elif setpoint == "release":
            self._last = {}
        cuts = [one.cut for one in written if one.cut]
        return Order(at, not refused, refused[0].code if refused else 0,
                     cuts[0] if cuts else "", sent)  # fmt: skip

    def let_go(self) -> None:
        """Give the device back to its owner's control, where it can be."""
        if self.takes("release"):
            self.order("release", 1.0)

    # -- time ----------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let time pass; the device is spoken to before it lets go of its order."""
        end_s = self.clock.now_s() + seconds
        while not self.past(end_s):
            due_s = self._told_s + self.repeat_s
            self.clock.sleep(min(max(due_s - self.clock.now_s(), self.every_s),
                                 end_s - self.clock.now_s()))  # fmt: skip
            self.keep()

    def keep(self) -> None:
        """Repeat order and heartbeat where it is time for it."""
        if self.past(self._told_s + self.repeat_s):
            self.repeat()

    def past(self, end_s: float) -> bool:
        """Return whether a moment of the device's clock has come, to its resolution."""
        return self.clock.now_s() >= end_s - CLOCK_S

    def repeat(self) -> None:
        """Order again what was ordered last, and beat the heart where there is one."""
        self._told_s = self.clock.now_s()
        for setpoint, value in self._last.items():
            self.device.command(setpoint, value)
        if self._last and self.takes("heartbeat"):
            self._beats = self._beats % MOST_BEATS + 1
            self.device.command("heartbeat", float(self._beats))

    @property
    def repeat_s(self) -> float:
        """How often an order is repeated [s]."""
        if self._repeat_s is None:
            times = [REPEAT_S]
            declared_s = float(self.subject.nameplate.get("heartbeat_s", 0.0))
            reverts_s = self.reverts_after_s()
            times += [t / SHARE for t in (declared_s, reverts_s) if t > 0.0]
            self._repeat_s = max(min(times), self.every_s)
        return self._repeat_s

    def reverts_after_s(self) -> float:
        """Return the reversion time that stands in the device [s]; 0: none, or not shown."""
        command = self.device.meanings.commands.get("revert_s")
        if command is None or "r" not in self.subject.map.point(command.value).access:
            return 0.0
        value = self.device.read([command.value])[command.value].value
        if not isinstance(value, float):
            return 0.0
        return to_twin(self.subject.map.point(command.value), value, self.rated_kw)

    def watch(
        self,
        series: Series,
        seconds: float,
        until: Callable[[Sampled], bool] | None = None,
        look: Callable[[], Sampled] | None = None,
        silent: bool = False,
    ) -> list[Sampled]:
        """Return samples of the power over a time, kept in `series` (`POWER_COLUMNS`).

        Parameters
        ----------
        until : ends it early
        look : what is watched instead of the power
        silent : the device is left to let go of its order
        """
        end_s, found = self.clock.now_s() + seconds, []
        while True:
            sample = self.power() if look is None else look()
            series.add(sample.before_s, sample.value, sample.half_width)
            found.append(sample)
            if self.past(end_s) or (until is not None and until(sample)):
                return found
            self.clock.sleep(min(self.every_s, end_s - self.clock.now_s()))
            if not silent:
                self.keep()

    def steady(self, series: Series, seconds: float, most_s: float, band_kw: float) -> Sampled:
        """Wait until the power stands still; return its mean over the last `seconds`.

        It stands still when `seconds` of samples lie within `band_kw`; after `most_s` it is taken
        as it is. The half width holds the samples' own spread.
        """
        samples: list[Sampled] = []
        begun_s = self.clock.now_s()
        while True:
            samples += self.watch(series, seconds)
            recent = [s for s in samples if s.before_s >= self.clock.now_s() - seconds]
            values = [s.value for s in recent]
            spread = max(values) - min(values)
            if spread <= band_kw or self.clock.now_s() - begun_s >= most_s:
                mean = math.fsum(values) / len(values)
                error = max(s.half_width for s in recent)
                return Sampled(recent[0].after_s, recent[-1].before_s, mean, error + 0.5 * spread)
            self.clock.sleep(self.every_s)
