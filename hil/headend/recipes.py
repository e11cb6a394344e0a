"""How a set-point is written to a device with a certain map, worked out once a map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hil.kernels import image as im
from hil.kernels import ordering
from hil.registers.files import commands_of
from hil.registers.layout import Compiled
from hil.registers.schema import Command

__all__ = ["Ask", "Step", "recipes"]

MOST_REGISTERS = 123  # of one write
SINGLE, MULTIPLE = 6, 16
PREPARING, VALUE, ENABLING = range(3)


@dataclass(frozen=True, slots=True)
class Step:
    """One point of a command.

    Attributes
    ----------
    row : of `layout.point`
    how, number : where the value comes from (`hil.kernels.ordering`)
    stage : what comes first must be in force before what comes later
    """

    row: int
    how: int
    number: float
    stage: int


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: points that lie side by side.

    Attributes
    ----------
    function, address, count : as on the wire
    steps : each with the byte of the request at which it lies
    coil : bits go one by one, what lies side by side is joined when they are sent
    """

    function: int
    address: int
    count: int
    steps: tuple[tuple[int, Step], ...]
    coil: bool

    @property
    def bytes(self) -> int:
        """Length from the function code on; of a coil only its value."""
        if self.coil:
            return 1
        return 5 if self.function == SINGLE else 6 + 2 * self.count


def recipes(compiled: Compiled, number: int) -> Mapping[str, tuple[Ask, ...]]:
    """Return the requests, in their order, by set-point of the kind of map `number`.

    ``release`` without a register of its own switches off every `enable`. Registers of one
    command that lie side by side are written with one request, so that the device sees all of
    them or none.
    """
    commands = commands_of(compiled.maps[number])
    found = {
        name: _asks(compiled, _steps(compiled, number, command))
        for name, command in commands.items()
    }
    enables = {c.enable: c for c in commands.values() if c.enable is not None}
    if "release" not in found and enables:
        off = [
            Step(compiled.row(number, str(c.enable)), ordering.CONSTANT, c.off, ENABLING)
            for c in enables.values()
        ]
        found["release"] = _asks(compiled, off)
    return found


def _steps(compiled: Compiled, number: int, command: Command) -> list[Step]:
    def row(name: str) -> int:
        return compiled.row(number, name)

    steps = [
        Step(row(name), ordering.CONSTANT, value, PREPARING) for name, value in command.also.items()
    ]
    if command.low is None:
        steps.append(Step(row(command.value), ordering.TWIN, 0.0, VALUE))
    else:
        # A window that is one point wide: neither more nor less.
        steps.append(Step(row(command.value), ordering.PERCENT, 1.0, VALUE))
        steps.append(Step(row(command.low), ordering.PERCENT, -1.0, VALUE))
    if command.enable is not None:
        steps.append(Step(row(command.enable), ordering.CONSTANT, command.on, ENABLING))
    return steps


def _asks(compiled: Compiled, steps: list[Step]) -> tuple[Ask, ...]:
    point = compiled.layout.point

    def place(step: Step) -> tuple[int, int]:
        return int(point[step.row, im.TABLE]), int(point[step.row, im.ADDRESS])

    runs: list[list[Step]] = []
    end = (-1, -1)
    count = 0
    for step in sorted(steps, key=place):
        width = int(point[step.row, im.WIDTH])
        joins = place(step) == end and end[0] == im.HOLDING and count + width <= MOST_REGISTERS
        if joins:
            runs[-1].append(step)
            count += width
        else:
            runs.append([step])
            count = width
        end = (place(step)[0], place(step)[1] + width)
    runs.sort(key=lambda run: max(step.stage for step in run))
    return tuple(_ask(compiled, run) for run in runs)


def _ask(compiled: Compiled, run: list[Step]) -> Ask:
    point = compiled.layout.point
    first, last = point[run[0].row], point[run[-1].row]
    address = int(first[im.ADDRESS])
    count = int(last[im.ADDRESS] + last[im.WIDTH]) - address
    if int(first[im.TABLE]) == im.COIL:
        return Ask(ordering.WRITE_COIL, address, 1, ((0, run[0]),), True)
    function = SINGLE if count == 1 else MULTIPLE
    data = 3 if function == SINGLE else 6
    placed = tuple((data + 2 * (int(point[s.row, im.ADDRESS]) - address), s) for s in run)
    return Ask(function, address, count, placed, False)
