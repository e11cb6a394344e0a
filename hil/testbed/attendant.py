"""Stands by one real device: reads it, tells it what is ordered, says when contact is lost.

A device may take seconds to answer, or never do; the city's clock does not wait for it. So each
device has a thread of its own, and the run takes what was read last.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hil.bench.device import BenchDevice, Sample
from hil.bench.envelope import STRIDE_S
from hil.bench.errors import BenchError, Forbidden, Garbage, LineDown, LineError, NoAnswer
from hil.bench.guard_errors import GuardLost, GuardTripped
from hil.bench.lease import LeaseRefused, Timers
from hil.bench.roles import InstrumentError, Measured, Meter

__all__ = ["Attendant", "Order", "Seen"]

POWER, RELEASE = "power_kw", "release"
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
    timers : the device's own, which are kept running; None: it has none
    """

    def __init__(
        self,
        device: BenchDevice,
        points: Sequence[str],
        meter: Meter | None,
        interval_s: float,
        lost_after_s: float,
        timers: Timers | None = None,
    ) -> None:
        self.device, self.meter, self._timers = device, meter, timers
        self._points = tuple(points)
        self.interval_s, self._lost_after_s = interval_s, lost_after_s
        self._lock = threading.Lock()
        self._wake, self._end = threading.Event(), threading.Event()
        self._seen = Seen({}, None, "", {})
        self._failures: Counter[str] = Counter()
        self._powers: list[float] = []
        self._waiting: list[Order] = []
        self._done: list[Order] = []
        self._walking: dict[str, tuple[float, Order]] = {}  # cut by the ramp, told again when
        self._error: BaseException | None = None
        self._heard_s = device.clock.now_s()
        self._thread = threading.Thread(target=self._run, name=device.name, daemon=True)

    # -- the run's side ------------------------------------------------------------------------

    def start(self, armed: bool) -> None:
        """Read once, arm the device's own timers where that is wanted, then begin.

        Raises BenchError and InstrumentError where one of them fails.
        """
        self._look()
        if armed and self._timers is not None:
            self._timers.arm()
        self._thread.start()

    def end(self) -> None:
        """Tell the thread to end; what waits is not told any more.

        What is being asked of the device goes on, see `alive`.
        """
        with self._lock:
            self._done += self._waiting
            self._waiting = []
        self._end.set()
        self._wake.set()

    def give_up(self, why: str) -> None:
        """Take the device as lost from now on: somebody else has it in hand."""
        self._note_lost(why)
        self.end()

    @property
    def alive(self) -> bool:
        """Whether the thread may still speak to the device."""
        return self._thread.is_alive()

    def seen(self) -> Seen:
        """Return what is known now; raises what broke the thread off, if anything did."""
        with self._lock:
            if self._error is not None:
                raise self._error
            return self._seen

    @property
    def last(self) -> Seen:
        """What was known last, however the thread has ended."""
        with self._lock:
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
                due_s = min((at for at, _ in self._walking.values()), default=math.inf)
                self._rest(min(begun_s + self.interval_s, due_s))
        except (GuardTripped, GuardLost):
            return  # the run itself hears of it at its next beat
        except BaseException as error:
            with self._lock:
                self._error = error

    def _rest(self, until_s: float) -> None:
        """Wait for an order or the next reading; the device's own timers are kept running."""
        clock = self.device.clock
        heartbeat = None if self._timers is None else self._timers.heartbeat
        while not self._wake.is_set() and (left_s := until_s - clock.now_s()) > 0.0:
            self._wake.wait(left_s if heartbeat is None else min(left_s, heartbeat.every_s / 2.0))
            self._keep_alive()
        self._keep_alive()
        self._wake.clear()

    def _keep_alive(self) -> None:
        if self._timers is None or self._end.is_set():
            return
        try:
            self._timers.refresh()
        except LineError as error:
            self._failed(error)
        except LeaseRefused as error:
            self._note_lost(str(error))
        except Forbidden:
            return  # the guard has the device

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
        """Return the power that the device's own register shows.

        Its accuracy is that of the last digit alone: what the device itself errs by nobody knows.
        """
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
            self._failed(error)
            silent_s = self.device.clock.now_s() - self._heard_s
            if silent_s >= self._lost_after_s:
                self._note_lost(f"{silent_s:.1f} s without an answer: {error}")

    def _failed(self, error: Exception) -> None:
        self._failures[way_of(error)] += 1
        with self._lock:
            self._seen = replace(self._seen, failures=dict(self._failures))

    def _note_lost(self, why: str) -> None:
        with self._lock:
            self._seen = replace(self._seen, lost=self._seen.lost or why)

    def _tell(self) -> None:
        with self._lock:
            fresh, self._waiting = self._waiting, []
        for order in fresh:
            if order.setpoint == RELEASE:
                self._walking.clear()  # nothing is ordered any more
            told = self._told(order)
            self._walk_on(order, told)
            with self._lock:
                self._done.append(told)
        now_s = self.device.clock.now_s()
        for due_s, order in [*self._walking.values()]:
            if due_s <= now_s:
                self._walk_on(order, self._told(order))

    def _walk_on(self, order: Order, told: Order) -> None:
        """Have an order that the ramp has cut told again after the longest step of a ramp."""
        self._walking.pop(order.setpoint, None)
        if told.cut == "ramp" and told.bench == "accepted":
            self._walking[order.setpoint] = (self.device.clock.now_s() + STRIDE_S, order)

    def _told(self, order: Order) -> Order:
        """Tell the device; return the order with what became of it."""
        try:
            written = self.device.command(order.setpoint, order.value, order.twin_value)
        except KeyError:
            return replace(order, bench="no_register")
        except (Forbidden, ValueError):  # the latter: no number
            return replace(order, bench="forbidden")
        except LineError as error:
            self._failed(error)
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
            except LineError as error:
                self._failed(error)
                self._end.wait(self.interval_s)
                continue
            except BenchError:
                pass  # the guard has the device
            return


def way_of(error: Exception) -> str:
    """Return in which way a device or an instrument failed to answer.

    >>> way_of(NoAnswer("there", "no answer within 1 s"))
    'no_answer'
    """
    return next((way for kind, way in WAYS.items() if isinstance(error, kind)), "instrument")
