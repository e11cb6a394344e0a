"""From truth to readings: class error, resolution, loss, dead and mis-wired sensors.

The same distortion serves direct runs and the wire. Readings are those of the last finished
tick; a poll that is lost leaves the old value with its old time stamp.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twin.assets.kind import Kind
from twin.assets.manners import Active
from twin.chance import generator
from twin.clock import HOUR_MS, MINUTE_MS
from twin.engine.busbars import busbar_scale
from twin.engine.world import World
from twin.record.exchange import PSEUDO_KINDS, Inventory, Point, Quality, Reading
from twin.record.table import Table

NEVER_MS = -(10**15)
GOOD, STALE, MISSING = int(Quality.GOOD), int(Quality.STALE), int(Quality.MISSING)


@dataclass(frozen=True, slots=True)
class Distortion:
    """Shares of what goes wrong between a device and the platform (see telemetry.toml)."""

    dead_share: float
    reversed_share: float
    loss_share: float
    offline_share: float
    terminal_answer_industry: float
    terminal_answer_tertiary: float

    @classmethod
    def from_data(cls) -> Distortion:
        """Return the shipped data."""
        text = files("twin.engine").joinpath("telemetry.toml").read_text(encoding="utf-8")
        return cls(**{name: float(row["value"]) for name, row in tomllib.loads(text).items()})


class Channel:
    """The readings of one kind.

    Parameters
    ----------
    kind : name, part of the key of every draw
    points : what is read
    scale : float64[n] (rating, kW), or float64[points, n]  span to which class errors refer
        where a point has none
    answers : bool[n]  devices that have contact at all
    """

    def __init__(
        self,
        kind: str,
        points: Sequence[Point],
        scale: NDArray[np.float64],
        answers: NDArray[np.bool_],
        distortion: Distortion,
        seed: int,
    ) -> None:
        n, self.kind, self.seed, self.answers = len(answers), kind, seed, answers
        self.names = tuple(point.name for point in points)
        # Whose poll is not lost in a minute: the memory of a pure function, no state.
        self._kept: tuple[int | None, NDArray[np.bool_]] = (None, np.ones(n, np.bool_))
        self.loss_share = distortion.loss_share
        draw = generator(seed, f"telemetry.{kind}")
        fault = draw.random(n)
        self.dead = np.flatnonzero(fault < distortion.dead_share)
        reverse = fault >= 1.0 - distortion.reversed_share
        spread = draw.uniform(-1.0, 1.0, (len(points), n))
        whole = np.broadcast_to(scale, (len(points), n))
        span = np.stack(
            [
                own
                if p.per_rating or p.unit == "kW" or not np.isfinite(p.high - p.low)
                else np.full(n, p.high - p.low)
                for p, own in zip(points, whole, strict=True)
            ]
        )
        accuracy = np.array([p.accuracy for p in points])
        # A class error is a slope and an offset of which half each (assumed); a value of zero
        # stays near zero, as meters have a starting threshold.
        self.gain = 1.0 + 0.5 * accuracy[:, None] * spread
        self.offset = 0.5 * accuracy[:, None] * span * draw.uniform(-1.0, 1.0, (len(points), n))
        if points and points[0].name in ("power_kw", "demand_kw"):
            self.gain[0, reverse] *= -1.0
        resolution = np.array([p.resolution for p in points])
        self.stepped = np.flatnonzero(resolution > 0.0)
        self.resolution = resolution[self.stepped, None]
        self.state = Table(
            (),
            0,
            {
                "value": np.full((len(points), n), np.nan),
                "time_ms": np.full(n, NEVER_MS, np.int64),
                "quality": np.full(n, MISSING, np.uint8),
                "contact": np.ones(n, np.uint8),
                "frozen": np.full(len(self.dead), np.nan),
                # Manners: a sensor that stands still, and one that wanders; -1: none.
                "stuck_point": np.full(n, -1, np.int64),
                "stuck_at": np.zeros(n),
                "drift_point": np.full(n, -1, np.int64),
                "drift_per_h": np.zeros(n),
                "drift_from_ms": np.zeros(n, np.int64),
            },
        )

    def show(self, true: NDArray[np.float64], now_ms: int) -> NDArray[np.float64]:
        """Return float64[points, n], what the devices' own registers hold.

        Parameters
        ----------
        true : float64[points, n]

        A dead sensor stands at what it showed at the first moment at which its device could
        have been read, however often it is looked at.
        """
        state = self.state
        seen = true * self.gain
        seen += self.offset
        drifts = np.flatnonzero(state["drift_point"] >= 0)
        if len(drifts) > 0:
            hours = (now_ms - state["drift_from_ms"][drifts]) / HOUR_MS
            seen[_rows(state["drift_point"])[drifts], drifts] += (
                state["drift_per_h"][drifts] * hours
            )
        stepped = seen[self.stepped]
        stepped /= self.resolution
        seen[self.stepped] = np.rint(stepped, out=stepped) * self.resolution
        if len(self.dead):
            seen[0, self.dead] = self._frozen(seen[0, self.dead], now_ms)
        stuck = np.flatnonzero(state["stuck_point"] >= 0)
        if len(stuck) > 0:
            seen[_rows(state["stuck_point"])[stuck], stuck] = state["stuck_at"][stuck]
        return seen

    def _frozen(self, seen: NDArray[np.float64], now_ms: int) -> NDArray[np.float64]:
        """Return float64[dead], `seen` of the dead sensors until they freeze."""
        frozen, dead = self.state["frozen"], self.dead
        alive = np.isnan(frozen) & self.reachable()[dead]
        if alive.any():
            alive &= ~self.silent(now_ms)[dead]
            frozen[alive] = seen[alive]
        return np.where(np.isnan(frozen), seen, frozen)

    def behave(self, active: Active, true: NDArray[np.float64], now_ms: int) -> None:
        """Take the manners of sensors that are in force from now on.

        One that freezes stands at what it shows now; one that wanders begins to.
        """
        state, n = self.state, len(self.answers)
        stuck, drift = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
        per_h = np.zeros(n)
        for manner, rows in active:
            at = 0 if manner.point is None else self.names.index(manner.point)
            if manner.frozen:
                stuck[rows] = at
            if manner.drift_per_h is not None:
                drift[rows], per_h[rows] = at, manner.drift_per_h
        begins = np.flatnonzero((stuck != state["stuck_point"]) & (stuck >= 0))
        if len(begins) > 0:
            state["stuck_at"][begins] = self.show(true, now_ms)[stuck[begins], begins]
        state["stuck_point"] = stuck
        changed = (drift != state["drift_point"]) | (per_h != state["drift_per_h"])
        state["drift_from_ms"][changed] = now_ms
        state["drift_point"], state["drift_per_h"] = drift, per_h

    def silent(self, now_ms: int) -> NDArray[np.bool_]:
        """Return bool[n]: no answer in the minute of `now_ms`, or never."""
        minute = now_ms // MINUTE_MS
        if self._kept[0] != minute:
            lost = generator(self.seed, f"telemetry.loss.{self.kind}", minute)
            self._kept = minute, lost.random(len(self.answers)) >= self.loss_share
        return ~(self.reachable() & self._kept[1])

    def hear(self, seen: NDArray[np.float64], heard: NDArray[np.bool_], now_ms: int) -> None:
        """File what was read of the devices `heard`; the others' values grow old."""
        state = self.state
        quality = state["quality"]
        np.copyto(state["value"], seen, where=heard)
        state["time_ms"][heard] = now_ms
        quality[heard] = GOOD
        quality[~heard & (quality == GOOD)] = STALE

    def reading(self) -> Reading:
        """Return what was heard so far, as the platform has it."""
        state = self.state
        value, time_ms, quality = state["value"], state["time_ms"], state["quality"]
        return Reading(value.copy(), time_ms.copy(), quality.copy())  # type: ignore[arg-type]

    def sample(self, true: NDArray[np.float64], now_ms: int) -> Reading:
        """Read every device once; `true` is float64[points, n]."""
        self.hear(self.show(true, now_ms), ~self.silent(now_ms), now_ms)
        return self.reading()

    def reachable(self) -> NDArray[np.bool_]:
        """Return bool[n]: a write would arrive."""
        return np.asarray(self.answers & (self.state["contact"] == 1))

    def fork(self) -> Self:
        """Return a twin with its own state."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.state = self.state.copy()
        return other


def _rows(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return an extra array of whole numbers as what it is (tables are typed float64)."""
    return numbers.view(np.int64)


def answering(
    kind: str, n: int, sector: NDArray[np.int64], distortion: Distortion, seed: int
) -> NDArray[np.bool_]:
    """Return bool[n]: which devices have contact today, keyed by seed and kind."""
    draw = generator(seed, f"telemetry.answers.{kind}").random(n)
    if kind == "terminal":
        share = np.where(
            sector == 0, distortion.terminal_answer_industry, distortion.terminal_answer_tertiary
        )
        return np.asarray(draw < share)
    if kind in PSEUDO_KINDS:
        return np.ones(n, np.bool_)
    return np.asarray(draw >= distortion.offline_share)


def copy_channels(channels: Mapping[str, Channel]) -> dict[str, Channel]:
    """Fork all channels."""
    return {name: channel.fork() for name, channel in channels.items()}


def open_channels(world: World, kinds: Mapping[str, Kind]) -> dict[str, Channel]:
    """Return the channels of all kinds, `PSEUDO_KINDS` included."""
    distortion = Distortion.from_data()
    clean = replace(distortion, dead_share=0.0, reversed_share=0.0)
    inventory, sector = world.inventory, world.inventory.sites.i8("sector")
    channels = {}
    for name, registered in inventory.kinds.items():
        if name not in kinds and name not in PSEUDO_KINDS:
            continue
        scale = _scale(inventory, name)
        # The grid company looks after its own meters (assumed).
        own = clean if name in ("city", "busbar") else distortion
        of_device = (
            sector[registered.columns.i8("site")] if name in kinds else np.zeros(0, np.int64)
        )
        answers = answering(name, scale.shape[-1], of_device, distortion, world.seed)
        channels[name] = Channel(name, registered.points, scale, answers, own, world.seed)
    return channels


def _scale(inventory: Inventory, name: str) -> NDArray[np.float64]:
    if name == "city":
        return np.array([inventory.max_load_mw])
    if name == "meter":
        return inventory.sites.f8("demand_kw")
    if name == "busbar":
        return busbar_scale(inventory.kinds[name].columns)
    return inventory.kinds[name].columns.f8("rated_kw")
