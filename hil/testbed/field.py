"""The field: devices of a simulation as registers, and what was written as set-points.

Once a tick the fleet's readings go into the bank, and the writes that came meanwhile into the
simulation. Registers hold what `Channel.show` gives, so that class errors, dead sensors and
silence are those of a direct run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.registers.bank import Group, KindValues, RegisterBank, Writes
from hil.registers.commands import Commands
from hil.registers.layout import compile_maps
from hil.testbed.places import DISPATCHER, Places
from twin.assets.kind import Kind
from twin.engine.simulation import Simulation
from twin.record.exchange import Inventory, KindInventory, Refusal, SetPoint

__all__ = ["Field"]

F8 = NDArray[np.float64]
BUSY = 6  # exception: the device is busy; another refusal is the map's own


@dataclass(slots=True)
class _KindPlace:
    """The devices of a kind that are served: rows within the kind, numbers within the bank."""

    rows: NDArray[np.int64]
    numbers: NDArray[np.int64]
    refusal: NDArray[np.uint8]  # the exception that each device's map refuses with


class Field:
    """A simulation's devices on registers.

    Parameters
    ----------
    run : the simulation; `attach` takes another one (a fork) in its place
    inventory : what is registered
    places : which devices are served, and by which map
    lanes : serving threads
    reliable : every device answers, whatever the scenario's chance says

    Attributes
    ----------
    bank : what servers read
    real : by kind int64[k] rows and float64[points, k] what they show instead of the twin's
        values, NaN: the twin's
    ordered : told the set-points of a tick before they enter the simulation, or None
    """

    def __init__(
        self,
        run: Simulation,
        inventory: Inventory,
        places: Places,
        lanes: int = 1,
        *,
        reliable: bool = False,
    ) -> None:
        self.run = run
        self.reliable = reliable
        self.places = places
        self.kinds: dict[str, KindInventory] = dict(inventory.kinds)
        names = list(places.maps)
        compiled = compile_maps([places.maps[n] for n in names], self.kinds)
        number = np.array([names.index(d.map) for d in places.devices], np.int64)
        rows = np.array([d.row for d in places.devices], np.int64)
        groups = [
            Group(i, places.maps[name].kind, rows[number == i], np.flatnonzero(number == i))
            for i, name in enumerate(names)
            if (number == i).any()
        ]
        self.bank = RegisterBank(
            compiled,
            groups,
            {name: self._values(name) for name in self.kinds},
            [d.name for d in places.devices],
            np.array([d.unit for d in places.devices], np.uint8),
            lanes + 2,  # one more for devices with manners, and one for a serial line
        )
        self.commands = Commands(self.bank, self.kinds)
        kind_of = np.array([d.kind for d in places.devices])
        refuses = np.array([places.maps[d.map].refusal for d in places.devices], np.uint8)
        self.served = {
            name: _KindPlace(rows[mine], np.flatnonzero(mine), refuses[mine])
            for name in dict.fromkeys(kind_of.tolist())
            if name != DISPATCHER and (mine := kind_of == name).any()
        }
        self._answered_ns = np.zeros(len(places.devices), np.int64)
        self.real: Mapping[str, tuple[NDArray[np.int64], F8]] = {}
        self.ordered: Callable[[Simulation, Sequence[SetPoint]], None] | None = None

    def _values(self, name: str) -> KindValues:
        known, kind = self.kinds[name], self.run.kinds.get(name)
        columns = known.columns
        rated = columns.f8("rated_kw") if "rated_kw" in columns else np.ones(known.n)
        bounds = [] if kind is None else [kind.bounds(i) for i in range(len(kind.setpoints))]
        low = np.array([b[0] for b in bounds]).reshape(-1, known.n)
        high = np.array([b[1] for b in bounds]).reshape(-1, known.n)
        return KindValues(rated, columns, low, high)

    def attach(self, run: Simulation) -> None:
        """Go on with another simulation, a fork of the one before."""
        self.run = run

    def reset(self) -> None:
        """Forget what was written so far: every device holds what it held at the start."""
        self.bank.reset()

    # -- once a tick ---------------------------------------------------------------------------

    def write(self, applied_ns: int) -> None:
        """Write the present of the simulation into the bank; `publish` shows it.

        Parameters
        ----------
        applied_ns : writes up to this moment are in force
        """
        shown: dict[str, F8] = {}
        in_force: dict[str, F8] = {}
        remote: dict[str, NDArray[np.bool_]] = {}
        for name, place in self.served.items():
            shown[name] = self._show(name)
            kind = self.run.kinds.get(name)
            if kind is not None:
                out = np.empty((len(kind.setpoints), kind.n))
                kind.in_force(out)
                in_force[name] = out
                if "remote" in kind.state:
                    remote[name] = kind.state["remote"] > 0.0
            self._state(name, kind, place)
        self.commands.refresh(remote)
        self.bank.write(shown, in_force, applied_ns)

    def publish(self) -> None:
        """Serve what `write` wrote."""
        self.bank.publish()

    def _show(self, name: str) -> F8:
        run = self.run
        shown = run.channels[name].show(run.true_points(name), run.now_ms)
        if name in self.real:
            rows, values = self.real[name]
            shown[:, rows] = np.where(np.isnan(values), shown[:, rows], values)
        return shown

    def _state(self, name: str, kind: Kind | None, place: _KindPlace) -> None:
        """Say who is silent, and who refuses to be written to."""
        arrays = self.bank.arrays
        if not self.reliable:
            silent = self.run.channels[name].silent(self.run.now_ms)
            arrays.silent[place.numbers] = silent[place.rows]
        if kind is None:
            return
        reason = kind.refusal()[place.rows]
        code = np.where(reason == Refusal.BUSY, BUSY, place.refusal)
        arrays.refusal[place.numbers] = np.where(reason == Refusal.NONE, 0, code)

    def hear(self) -> None:
        """File the readings of devices that answered since the last call; once a minute."""
        arrays = self.bank.arrays
        answered = arrays.answered_ns > self._answered_ns
        np.copyto(self._answered_ns, arrays.answered_ns)
        for name, place in self.served.items():
            channel = self.run.channels[name]
            heard = np.zeros(len(channel.answers), np.bool_)
            heard[place.rows] = answered[place.numbers]
            channel.hear(self._show(name), heard, self.run.now_ms)

    def apply(self, until_ns: int) -> Writes:
        """Apply what was written up to `until_ns`, now; return it."""
        writes = self.bank.take(until_ns)
        if len(writes.device) > 0:
            setpoints = self.commands.setpoints(writes)
            known: Mapping[str, KindInventory] = self.kinds
            setpoints = [s for s in setpoints if s.kind in known]
            if self.ordered is not None:
                self.ordered(self.run, setpoints)
            self.run.write(setpoints)
        return writes

    # -- counts ----------------------------------------------------------------------------------

    def counts(self) -> dict[str, NDArray[np.int64]]:
        """Return int64[devices]: reads and writes served, writes refused."""
        arrays = self.bank.arrays
        return {
            "reads": arrays.reads.sum(axis=0),
            "writes": arrays.writes.sum(axis=0),
            "refused": arrays.refused.sum(axis=0),
        }
