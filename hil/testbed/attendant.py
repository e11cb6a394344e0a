"""Stands by one real device: reads it, tells it what is ordered, says when contact is lost.

A device may take seconds to answer, or never do; the city's clock does not wait for it. So each
device has a thread of its own, and the run takes what was read last.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hil.bench.device import BenchDevice, Sample
from hil.bench.errors import Forbidden, Garbage, LineDown, LineError, NoAnswer
from hil.bench.roles import InstrumentError, Measured, Meter

__all__ = ["Attendant", "Order", "Seen"]

POWER = "power_kw"
# Tries to tell a lost device its safe state; what acts when they fail is the guard.
SAFE_TRIES = 3
WAYS = {LineDown: "line_down", NoAnswer: "no_answer", Garbage: "garbage"}


@dataclass(frozen=True, slots=True)
class Order:
    """One set-point for the device, and what became of it on both sides.

    Attributes
    ----------
    now_ms : simulated time at which it reached the twin
    setpoint : of the twin's kind
    twin_value, value : at the twin's size, and at the real device's
    twin : what the twin did: ``accepted``, ``refused``, ``ignored``, ``lost``
    bench : what the device did: ``accepted``, ``refused``, ``no_register``, ``forbidden`` (not
        sent, the bench does not permit it), ``line_down``, ``no_answer``, ``garbage``, ``lost``,
        ``superseded`` (a newer order came before it was sent); empty while it waits
    code : Modbus exception of a refusal, 0: none
    cut : limit of the bench by which less was sent: ``power``, ``ramp``, or empty
    """

    now_ms: int
    setpoint: str
    twin_value: float
    value: float
    twin: str
    bench: str = ""
    code: int = 0
    cut: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the device now.

    Attributes
    ----------
    samples : last reading by point of the twin's kind, in the twin's unit at the device's size
    power : last power into the grid, by the meter where there is one; None: never read
    lost : why contact is lost, empty while it is not
    failures : reads that failed, by way of failing
    """

    samples: Mapping[str, Sample]
    power: Measured | None
    lost: str
    failures: Mapping[str, int]


class Attendant:
    """A thread beside the run.

    Parameters
    ----------
    device : to read and to tell
    points : of the twin's kind, read each time as far as the map has them
    meter : at the device's terminals; None: power is what its own register says
    interval_s : wall time between two readings
    lost_after_s : wall time without an answer after which contact is lost, for good
    """

    def __init__(
        self,
        device: BenchDevice,
        points: Sequence[str],
        meter: Meter | None,
        interval_s: float,
        lost_after_s: float,
    ) -> None:
        self.device, self.meter = device, meter
        self._points = tuple(points)
        self.interval_s, self._lost_after_s = interval_s, lost_after_s
        self._lock = threading.Lock()
        self._wake, self._end = threading.Event(), threading.Event()
        self._seen = Seen({}, None, "", {})
        self._failures: Counter[str] = Counter()
        self._powers: list[float] = []
        self._waiting: list[Order] = []
        self._done: list[Order] = []
        self._walking: dict[str, Order] = {}  # cut by the ramp, to be told again
        self._error: BaseException | None = None
        self._heard_s = device.clock.now_s()
        self._thread = threading.Thread(target=self._run, name=device.name, daemon=True)

    # -- the run's side ------------------------------------------------------------------------

    def start(self) -> None:
        """Read once, then begin; raises LineError and InstrumentError where that fails."""
        self._look()
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End the thread; return whether it did. The device stays as it is."""
        self._end.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def seen(self) -> Seen:
        """Return what is known now; raises what broke the thread off, if anything did."""
        with self._lock:
            if self._error is not None:
                raise self._error
            return self._seen

    def power_kw(self) -> float | None:
        """Return the mean of what was read since the last call, else the last; None: never."""
        with self._lock:
            if self._powers:
                mean = sum(self._powers) / len(self._powers)
                self._powers.clear()
                return mean
            return None if self._seen.power is None else self._seen.power.value

    def order(self, order: Order) -> None:
        """Let the device be told; a newer order for a set-point takes an older one's place."""
        with self._lock:
            if self._seen.lost:
                self._done.append(replace(order, bench="lost"))
                return
            older = [o for o in self._waiting if o.setpoint == order.setpoint]
            self._done += [replace(o, bench="superseded") for o in older]
            self._waiting = [o for o in self._waiting if o.setpoint != order.setpoint]
            self._waiting.append(order)
        self._wake.set()

    def done(self) -> list[Order]:
        """Return the orders that were told, or not, since the last call."""
        with self._lock:
            done, self._done = self._done, []
            return done

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        clock = self.device.clock
        try:
            while not self._end.is_set():
                begun_s = clock.now_s()
                self._tell()
                if self._end.is_set():
                    return
                self._try_to_look()
                if self._seen.lost:
                    self._leave()
                    return
                left_s = self.interval_s - (clock.now_s() - begun_s)
                self._wake.wait(max(left_s, 0.0))
                self._wake.clear()
        except BaseException as error:
            with self._lock:
                self._error = error

    def _look(self) -> None:
        """Read device and meter."""
        device = self.device
        samples = device.read_twin(self._points)
        own = self._own_power(samples.get(POWER))
        power = own if self.meter is None else self.meter.power_kw()
        self._heard_s = device.clock.now_s()
        with self._lock:
            self._seen = replace(self._seen, samples=samples, power=power or self._seen.power)
            if power is not None:
                self._powers.append(power.value)

    def _own_power(self, sample: Sample | None) -> Measured | None:
        """Return the power that the device's own register shows, known to a step of it."""
        if sample is None or not isinstance(sample.value, float):
            return None
        point = self.device.map.point(self.device.meanings.readings[POWER])
        gain = 1.0 if point.source is None else abs(point.source.gain)
        step = 0.0 if point.type == "f32" else point.scale / gain
        return Measured(sample.value, sample.at_s, step / 2.0, self.interval_s)

    def _try_to_look(self) -> None:
        try:
            self._look()
        except (LineError, InstrumentError) as error:
            self._failures[way_of(error)] += 1
            silent_s = self.device.clock.now_s() - self._heard_s
            lost = f"{silent_s:.1f} s without an answer: {error}"
            with self._lock:
                self._seen = replace(
                    self._seen,
                    failures=dict(self._failures),
                    lost=lost if silent_s >= self._lost_after_s else "",
                )

    def _tell(self) -> None:
        with self._lock:
            fresh, self._waiting = self._waiting, []
        for order in fresh:
            self._walking.pop(order.setpoint, None)
        for order in [*self._walking.values(), *fresh]:
            told = self._told(order)
            if told.cut == "ramp" and told.bench == "accepted":
                self._walking[order.setpoint] = order
            else:
                self._walking.pop(order.setpoint, None)
            if order in fresh:
                with self._lock:
                    self._done.append(told)

    def _told(self, order: Order) -> Order:
        """Tell the device; return the order with what became of it."""
        try:
            written = self.device.command(order.setpoint, order.value)
        except KeyError:
            return replace(order, bench="no_register")
        except (Forbidden, ValueError):  # the latter: no number
            return replace(order, bench="forbidden")
        except LineError as error:
            self._failures[way_of(error)] += 1
            return replace(order, bench=way_of(error))
        cut = next((w.cut for w in written if w.cut), "")
        no = next((w for w in written if not w.accepted), None)
        if no is not None:
            return replace(order, bench="refused", code=no.code, cut=cut)
        return replace(order, bench="accepted", cut=cut)

    def _leave(self) -> None:
        """Tell a lost device its safe state, as far as it can still be told; refuse what waits."""
        with self._lock:
            self._done += [replace(o, bench="lost") for o in self._waiting]
            self._waiting = []
        for _ in range(SAFE_TRIES):
            try:
                self.device.to_safe_state(f"contact lost: {self._seen.lost}")
            except Forbidden:
                return
            except LineError as error:
                self._failures[way_of(error)] += 1
                self._end.wait(self.interval_s)
                continue
            return


def way_of(error: Exception) -> str:
    """Return in which way a device or an instrument failed to answer.

    >>> way_of(NoAnswer("there", "no answer within 1 s"))
    'no_answer'
    """
    return next((way for kind, way in WAYS.items() if isinstance(error, kind)), "instrument")
