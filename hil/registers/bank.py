"""The bank: the registers of all devices, written once a tick, read by servers without a copy.

Devices are numbered through all kinds. Each has an image as its map says; images lie one after
the other in two buffers, of which one is served while the other is written (`Bank`). What
clients write is checked by the server, queued with its moment, and taken from here by the
simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.kernels import image as im
from hil.kernels import pack, turn
from hil.kernels.image import Bank
from hil.registers.layout import GAPS, Compiled
from hil.registers.schema import RegisterMap, WirePoint

__all__ = ["Group", "KindValues", "RegisterBank", "Writes"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
GATEWAY = 11  # exception: the target device does not respond


@dataclass(frozen=True, slots=True)
class Group:
    """Devices that share a map.

    Attributes
    ----------
    map : number in `Compiled.maps`
    kind : of the twin
    rows : int64[n]  rows within the kind
    devices : int64[n]  numbers within the bank
    """

    map: int
    kind: str
    rows: I8
    devices: I8


@dataclass(frozen=True, slots=True)
class KindValues:
    """What is registered of a kind, as far as registers show it.

    Attributes
    ----------
    rated_kw : float64[n]
    nameplate : columns by name
    low, high : float64[setpoints, n]  what the twin accepts
    """

    rated_kw: F8
    nameplate: Mapping[str, NDArray[np.generic]]
    low: F8
    high: F8


@dataclass(frozen=True, slots=True)
class Writes:
    """Points that clients wrote, in the order in which they came.

    Attributes
    ----------
    time_ns : int64[n]  monotonic; device : int64[n]; point : int64[n]  row of the layout
    raw : uint64[n]  as written; value : float64[n]  in the point's own unit
    """

    time_ns: I8
    device: I8
    point: I8
    raw: NDArray[np.uint64]
    value: F8


class RegisterBank:
    """The registers of all devices.

    Parameters
    ----------
    compiled : the maps in use
    groups : which devices have which map; device numbers are 0 .. n-1, each once
    kinds : what is registered, by kind
    serials : text[n]  each device's own number, for text sources and function 43/14
    units : uint8[n]  unit identifiers
    lanes : serving threads, each with a queue of its own
    queue_rows : writes a lane holds between two ticks, a power of two

    Attributes
    ----------
    arrays : what kernels work on
    held : by group float64[held points, n]  what is kept as written
    """

    def __init__(
        self,
        compiled: Compiled,
        groups: Sequence[Group],
        kinds: Mapping[str, KindValues],
        serials: Sequence[str],
        units: NDArray[np.uint8],
        lanes: int = 1,
        queue_rows: int = 1 << 16,
    ) -> None:
        self.compiled, self.groups, self.kinds = compiled, tuple(groups), kinds
        n = len(serials)
        map_of = np.zeros(n, np.int64)
        for group in groups:
            map_of[group.devices] = group.map
        size = compiled.layout.size[map_of]
        base = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        identity = [_identity(compiled.maps[m], s) for m, s in zip(map_of, serials, strict=True)]
        bound_first, bound = self._bounds(n)
        self.arrays = Bank(
            words=np.zeros((2, max(int(base[-1]), 1)), np.uint8),
            front=np.zeros(1, np.int64),
            version=np.zeros(2, np.int64),
            applied_ns=np.zeros(2, np.int64),
            base=base[:-1].copy(),
            map=map_of,
            unit=np.asarray(units, np.uint8),
            gaps=_by_map(compiled, map_of, lambda m: GAPS[m.gaps]),
            refusal=np.zeros(n, np.uint8),
            silent=np.zeros(n, np.uint8),
            far=_by_map(compiled, map_of, lambda m: GATEWAY * (m.unknown_unit == "gateway")),
            rated=self._rated(n),
            bound_first=bound_first,
            bound=bound,
            identity_first=np.concatenate([[0], np.cumsum([len(i) for i in identity])]).astype(
                np.int64
            ),
            identity=np.frombuffer(b"".join(identity), np.uint8).copy(),
            overlay=np.zeros(max(int(base[-1]), 1), np.uint8),
            written=np.zeros(max(int(base[-1]), 1), np.uint8),
            latch=np.zeros(max(int(base[-1]), 1), np.uint8),
            latched=np.zeros(max(int(base[-1]), 1), np.uint8),
            pending_ns=np.full(n, -1, np.int64),
            reads=np.zeros((lanes, n), np.int64),
            writes=np.zeros((lanes, n), np.int64),
            refused=np.zeros((lanes, n), np.int64),
            answered_ns=np.zeros(n, np.int64),
            queue_count=np.zeros((lanes, 2), np.int64),
            queue=np.zeros((lanes, queue_rows, im.QUEUE_COLUMNS), np.int64),
            queue_value=np.zeros((lanes, queue_rows)),
        )
        self.held = [self._held(group) for group in self.groups]
        self.trim: list[F8] = [np.empty((0, 0)) for _ in self.groups]
        for group in self.groups:
            self._fill(group, serials)

    # -- once a tick ---------------------------------------------------------------------------

    def write(self, shown: Mapping[str, F8], in_force: Mapping[str, F8], applied_ns: int) -> None:
        """Write the next tick into the buffer that is not served; `publish` then shows it.

        Parameters
        ----------
        shown : by kind float64[points, n], as devices measure
        in_force : by kind float64[setpoints, n]
        applied_ns : writes up to this moment are in these values, but for those not taken yet
        """
        a = self.arrays
        back = 1 - int(a.front[0])
        turn.begin(a.version, back)
        nothing = np.empty((0, 0))
        for number, group in enumerate(self.groups):
            first = self.compiled.layout.point_first
            known = self.kinds.get(group.kind)
            pack.encode(
                a.words[back],
                a.base[group.devices],
                group.rows,
                (
                    shown.get(group.kind, nothing),
                    in_force.get(group.kind, nothing),
                    self.held[number],
                    np.ones(1) if known is None else known.rated_kw,
                ),
                self.trim[number],
                self.compiled.layout,
                (int(first[group.map]), int(first[group.map + 1])),
            )
        # What waits is shown as written until a later tick has it.
        for count, queue in zip(a.queue_count, a.queue, strict=True):
            applied_ns = turn.oldest(count, queue, applied_ns + 1) - 1
        a.applied_ns[back] = applied_ns
        turn.end(a.version, back)

    def publish(self) -> None:
        """Serve what `write` wrote."""
        turn.show(self.arrays.front)

    def take(self, until_ns: int) -> Writes:
        """Take what was written up to `until_ns`, all lanes together, in the order of time."""
        a = self.arrays
        parts, values = [], []
        for lane in range(len(a.queue_count)):
            rows = turn.taken(a.queue_count[lane], a.queue[lane], until_ns)
            parts.append(a.queue[lane][rows].copy())
            values.append(a.queue_value[lane][rows].copy())
            turn.forget(a.queue_count[lane], len(rows))
        queue, value = np.concatenate(parts), np.concatenate(values)
        order = np.argsort(queue[:, im.Q_NS], kind="stable")
        queue, value = queue[order], value[order]
        return Writes(
            queue[:, im.Q_NS],
            queue[:, im.Q_DEVICE],
            queue[:, im.Q_POINT],
            queue[:, im.Q_RAW].astype(np.uint64),
            value,
        )

    def reset(self) -> None:
        """Forget what was written: held values are the maps' own, queues and overlays empty."""
        self.held = [self._held(group) for group in self.groups]
        for lane in range(len(self.arrays.queue_count)):
            count = self.arrays.queue_count[lane]
            turn.forget(count, int(count[im.PUT] - count[im.TAKEN]))
        self.arrays.pending_ns[:] = -1
        self.arrays.written[:] = 0
        self.arrays.latched[:] = 0

    # -- single values -------------------------------------------------------------------------

    def group_of(self, kind: str, map_name: str | None = None) -> int:
        """Return the number of the group of `kind` (and map); KeyError where there is none."""
        for number, group in enumerate(self.groups):
            name = self.compiled.maps[group.map].name
            if group.kind == kind and map_name in (None, name):
                return number
        raise KeyError(f"no group of kind {kind}, map {map_name}")

    def hold(self, group: int, name: str, values: F8 | float) -> None:
        """Set what held point `name` of a group shows from the next tick on."""
        held = self.compiled.held[self.groups[group].map]
        self.held[group][held.index(name)] = values

    def shown(self, group: int, name: str) -> float | F8:
        """Return what held point `name` of a group holds."""
        held = self.compiled.held[self.groups[group].map]
        row: F8 = self.held[group][held.index(name)]
        return row

    # -- made once -----------------------------------------------------------------------------

    def _rated(self, n: int) -> F8:
        rated = np.ones(n)
        for group in self.groups:
            known = self.kinds.get(group.kind)
            if known is not None:
                rated[group.devices] = known.rated_kw[group.rows]
        return rated

    def _bounds(self, n: int) -> tuple[I8, F8]:
        first = np.zeros(n, np.int64)
        parts: list[F8] = []
        count = 0
        for group in self.groups:
            known = self.kinds.get(group.kind)
            if known is None or len(known.low) == 0:
                continue
            pairs = np.stack([known.low[:, group.rows].T, known.high[:, group.rows].T], axis=2)
            first[group.devices] = count + np.arange(len(group.rows)) * len(known.low)
            parts.append(pairs.reshape(-1, 2))
            count += len(parts[-1])
        return first, np.concatenate(parts) if parts else np.zeros((1, 2))

    def _held(self, group: Group) -> F8:
        names = self.compiled.held[group.map]
        one = self.compiled.maps[group.map]
        held = np.zeros((len(names), len(group.devices)))
        for i, name in enumerate(names):
            source = one.point(name).source
            held[i] = 0.0 if source is None or source.held is None else source.held
        return held

    def _fill(self, group: Group, serials: Sequence[str]) -> None:
        """Write what never changes into both buffers."""
        one, a = self.compiled.maps[group.map], self.arrays
        base = a.base[group.devices]
        for row, point in zip(self.compiled.points(group.map), one.points, strict=True):
            if int(self.compiled.layout.point[row, im.SOURCE]) != im.STATIC:
                continue
            if point.type == "string":
                for at, device in zip(base, group.devices, strict=True):
                    _text(a.words, int(at + self.compiled.layout.point[row, im.BYTE]), point,
                          serials[int(device)])  # fmt: skip
                continue
            values = self._static(group, point)
            for buffer in a.words:
                turn.put(buffer, base, values, int(row), self.compiled.layout)

    def _static(self, group: Group, point: WirePoint) -> F8:
        """Return float64[n], a static point's values in its own unit; NaN: not implemented."""
        n, source = len(group.devices), point.source
        if source is None:
            return np.full(n, np.nan)
        if source.constant is not None:
            return np.full(n, source.constant)
        known = self.kinds[group.kind]
        values = np.asarray(known.nameplate[str(source.nameplate)], np.float64)[group.rows]
        if source.per_rating:
            values = values / known.rated_kw[group.rows]
        return np.asarray(source.gain * values + source.offset)


def _by_map(compiled: Compiled, map_of: I8, value: object) -> NDArray[np.uint8]:
    call = value if callable(value) else None
    each = [0 if call is None else int(call(m)) for m in compiled.maps]
    return np.array(each, np.uint8)[map_of]


def _identity(one: RegisterMap, serial: str) -> bytes:
    """Return the objects of function 43/14, each as id, length, bytes."""
    identity = one.identity
    objects = (
        (0, identity.vendor),
        (1, identity.product),
        (2, identity.revision),
        (4, one.title),
        (5, identity.model or identity.product),
        (6, serial),
    )
    encoded = [(number, text.encode("utf-8")[:200]) for number, text in objects]
    return b"".join(bytes([number, len(text)]) + text for number, text in encoded)


def _text(words: NDArray[np.uint8], at: int, point: WirePoint, serial: str) -> None:
    source = point.source
    text = "" if source is None or source.text is None else source.text
    room = 2 * point.width
    given = text.replace("{serial}", serial).encode("utf-8")[:room].ljust(room, b"\0")
    words[:, at : at + room] = np.frombuffer(given, np.uint8)
