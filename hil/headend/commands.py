"""Set-points to register writes, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hil.headend.fleet import Fleet
from hil.headend.recipes import Ask
from hil.kernels import jobs as jb
from hil.kernels import ordering
from hil.kernels.jobs import Jobs
from twin.record.exchange import Outcome, SetPoint

__all__ = ["Outcomes", "Writes"]

I8 = NDArray[np.int64]
U1 = NDArray[np.uint8]
# Codes that no device gave: there is no register for the set-point.
NO_REGISTER = -1
ILLEGAL_VALUE = 3
# A chain has room for so many requests.
CHAIN = 64


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of set-points, in their order.

    Attributes
    ----------
    outcome : a uint8[rows] a set-point: ACCEPTED, REFUSED or LOST (`twin.record.exchange.Outcome`)
    code : an int64[rows] a set-point: the exception that a refusal came with; `ILLEGAL_VALUE`
        also where no register holds the value (it is not sent then), `NO_REGISTER` where the map
        has none for the set-point
    """

    outcome: tuple[U1, ...]
    code: tuple[I8, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows were accepted, refused, lost."""
        every = np.concatenate([np.zeros(0, np.uint8), *self.outcome])
        named = (Outcome.ACCEPTED, Outcome.REFUSED, Outcome.LOST)
        return {o.name.lower(): int(np.count_nonzero(every == o)) for o in named}


@dataclass(slots=True)
class _Part:
    """Requests as they are made: jobs, their bytes, and whose rows they carry."""

    table: I8
    pdu: U1
    owner: I8
    job: I8


class Writes:
    """The requests of a batch of set-points.

    Parameters
    ----------
    line_of : int64[devices]
    suspect : bool[devices]  tried once only

    Attributes
    ----------
    jobs : for the loop, sorted by line
    """

    def __init__(
        self, fleet: Fleet, setpoints: Sequence[SetPoint], line_of: I8, suspect: NDArray[np.bool_]
    ) -> None:
        self._fleet, self._line_of, self._suspect = fleet, line_of, suspect
        self._first = np.concatenate([[0], np.cumsum([len(s.rows) for s in setpoints])])
        n = int(self._first[-1])
        self._outcome = np.full(n, Outcome.LOST, np.uint8)
        self._code = np.zeros(n, np.int64)
        parts: list[_Part] = []
        coils: list[I8] = []
        for number, setpoint in enumerate(setpoints):
            self._setpoint(number, setpoint, parts, coils)
        if coils:
            parts.append(self._coils(np.concatenate(coils)))
        self.jobs, self._owner, self._job = _sorted(parts)

    def outcomes(self) -> Outcomes:
        """Return what became of every row, once the jobs have their results."""
        result, code = self.jobs.table[:, jb.RESULT], self.jobs.table[:, jb.CODE]
        refused = (result == jb.EXCEPTION) | (result == jb.SKIPPED)
        became = np.where(result == jb.OK, Outcome.ACCEPTED, Outcome.LOST).astype(np.uint8)
        became[refused] = Outcome.REFUSED
        np.maximum.at(self._outcome, self._owner, became[self._job])
        np.maximum.at(self._code, self._owner, np.where(refused, code, 0)[self._job])
        spans = list(pairwise(self._first.tolist()))
        return Outcomes(
            tuple(self._outcome[a:b] for a, b in spans), tuple(self._code[a:b] for a, b in spans)
        )

    # -- building ------------------------------------------------------------------------------

    def _setpoint(
        self, number: int, setpoint: SetPoint, parts: list[_Part], coils: list[I8]
    ) -> None:
        fleet = self._fleet
        known = fleet.at[setpoint.kind]
        devices = known[setpoint.rows]
        owner = self._first[number] + np.arange(len(devices))
        values = np.asarray(setpoint.values, np.float64)
        here = devices >= 0
        for m in np.unique(fleet.map[devices[here]]):
            mine = np.flatnonzero(here)[fleet.map[devices[here]] == m]
            asks = fleet.recipes[m].get(setpoint.point)
            if asks is None:
                self._file(owner[mine], Outcome.REFUSED, NO_REGISTER)
                continue
            if setpoint.point == "release":  # below a half it asks for nothing
                self._file(owner[mine[values[mine] < 0.5]], Outcome.ACCEPTED, 0)
                mine = mine[~(values[mine] < 0.5)]
            fits = np.ones(len(mine), np.bool_)
            bodies = [self._bodies(ask, devices[mine], values[mine], fits) for ask in asks]
            ok = mine[fits]
            self._file(owner[mine[~fits]], Outcome.REFUSED, ILLEGAL_VALUE)
            self._file(owner[ok], Outcome.ACCEPTED, 0)
            if len(asks) == 1 and asks[0].coil:
                coils.append(
                    np.stack([
                        devices[ok], np.full(len(ok), asks[0].address), np.full(len(ok), number),
                        bodies[0][fits, 0].astype(np.int64), owner[ok],
                    ], axis=1)
                )  # fmt: skip
                continue
            for k, (ask, body) in enumerate(zip(asks, bodies, strict=True)):
                pdu = np.ascontiguousarray(_headed(ask, body[fits]))
                n, length = pdu.shape
                table = self._table(devices[ok], number, k, np.arange(n) * length, length)
                parts.append(_Part(table, pdu.reshape(-1), owner[ok], np.arange(n)))

    def _file(self, owner: I8, outcome: Outcome, code: int) -> None:
        self._outcome[owner], self._code[owner] = outcome, code

    def _bodies(
        self, ask: Ask, devices: I8, values: NDArray[np.float64], fits: NDArray[np.bool_]
    ) -> U1:
        fleet = self._fleet
        out = np.zeros((len(devices), ask.bytes), np.uint8)
        rated = fleet.rated[devices]
        for place, step in ask.steps:
            what = (step.row, step.how, float(step.number))
            ordering.put_values(out, place, what, (values, rated), fleet.compiled.layout, fits)
        return out

    def _table(self, devices: I8, number: int, k: int, begin: I8, length: int | I8) -> I8:
        table = np.zeros((len(devices), jb.COLUMNS), np.int64)
        table[:, jb.LINE], table[:, jb.DEVICE] = self._line_of[devices], devices
        table[:, jb.CHAIN] = (number * self._fleet.n + devices) * CHAIN + k
        table[:, jb.UNIT] = self._fleet.unit[devices]
        table[:, jb.BEGIN], table[:, jb.LENGTH], table[:, jb.TO] = begin, length, -1
        table[:, jb.SUSPECT] = self._suspect[devices]
        return table

    def _coils(self, coils: I8) -> _Part:
        """Return the requests of all coils; what lies side by side in one device is joined."""
        order = np.lexsort((coils[:, 2], coils[:, 1], coils[:, 0]))
        coils = coils[order]
        requests = np.zeros((len(coils), 5), np.int64)
        pdu = np.zeros(8 * max(len(coils), 1), np.uint8)
        count, size = ordering.merge_coils(coils, requests, pdu)
        requests = requests[:count]
        number = coils[requests[:, ordering.R_FIRST], ordering.C_ORDER]
        table = self._table(
            requests[:, ordering.R_DEVICE], 0, 0,
            requests[:, ordering.R_BEGIN], requests[:, ordering.R_LENGTH],
        )  # fmt: skip
        # Each coil request is a chain of its own: it depends on no other.
        table[:, jb.CHAIN] = (number * self._fleet.n + table[:, jb.DEVICE]) * CHAIN
        job = np.repeat(np.arange(count), requests[:, ordering.R_COUNT])
        return _Part(table, pdu[:size].copy(), coils[:, 4], job)


def _headed(ask: Ask, body: U1) -> U1:
    """Write function, address and quantity before the values."""
    if ask.coil:
        body = np.concatenate([np.zeros((len(body), 3), np.uint8), body, body * 0], axis=1)
        body[:, 3] *= 0xFF
    body[:, 0], body[:, 1], body[:, 2] = ask.function, ask.address >> 8, ask.address & 0xFF
    if body.shape[1] > 5:
        body[:, 3], body[:, 4], body[:, 5] = ask.count >> 8, ask.count & 0xFF, 2 * ask.count
    return body


def _sorted(parts: list[_Part]) -> tuple[Jobs, I8, I8]:
    """Return all jobs sorted by line and order, with the owners of each."""
    none = np.zeros(0, np.int64)
    if not parts:
        return Jobs(np.zeros((0, jb.COLUMNS), np.int64), np.zeros(0, np.uint8)), none, none
    start = np.cumsum([0] + [len(p.table) for p in parts])
    byte = np.cumsum([0] + [len(p.pdu) for p in parts])
    for part, at in zip(parts, byte, strict=False):
        part.table[:, jb.BEGIN] += at
    table = np.concatenate([p.table for p in parts])
    job = np.concatenate([p.job + s for p, s in zip(parts, start, strict=False)])
    order = np.lexsort((np.arange(len(table)), table[:, jb.CHAIN], table[:, jb.LINE]))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    table = np.ascontiguousarray(table[order])
    table[:, jb.CHAIN] //= CHAIN
    owner = np.concatenate([p.owner for p in parts])
    return Jobs(table, np.concatenate([p.pdu for p in parts])), owner, place[job]
