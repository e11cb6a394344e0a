"""libmodbus's client on every map, in C."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from hil.registers import codec
from hil.registers.files import shipped_maps
from hil.registers.schema import WirePoint
from tests.witness.contract import READ_FROM, reads_every_point, writes_every_point
from tests.witness.fleet import OWN_ADDRESS, WITNESS, Fleet, Spot
from tests.witness.values import Words

pytestmark = pytest.mark.wiretools

MAPS = tuple(shipped_maps())
SOURCE = Path(__file__).with_name("libmodbus_client.c")
PATIENCE_S = 10.0


class Program:
    """The C client as a process; one line asks, one answers."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, *words: object) -> tuple[list[str], int]:
        """Return what came back and 0, or nothing and the exception."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(*words, file=self.process.stdin, flush=True)
        mark, *found = self.process.stdout.readline().split()
        assert mark in "=!", (words, found)
        return (found, 0) if mark == "=" else ([], int(found[0]))

    def stop(self) -> None:
        self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    path = tmp_path_factory.mktemp("witness") / "libmodbus_client"
    command = ["cc", "-Wall", "-Wextra", "-Werror", "-o", str(path), str(SOURCE), "-lmodbus"]
    subprocess.run(command, check=True, timeout=60.0)
    program = Program(path)
    yield program
    program.stop()


class Libmodbus:
    """The program as the contract wants it."""

    def __init__(self, program: Program, spot: Spot) -> None:
        self.program, self.spot = program, spot
        assert program.ask("open", spot.address, spot.port, spot.unit) == ([], 0)

    def read(self, table: str, first: int, count: int) -> Sequence[int]:
        found, refusal = self.program.ask("read", table, first, count)
        assert refusal == 0, (self.spot, table, first, count)
        return [int(text) for text in found]

    def write(self, table: str, first: int, words: Words) -> int:
        return self.program.ask("write", table, first, *words)[1]

    def value(self, point: WirePoint) -> object:
        """Return numbers of more than one register as the library has them, others as it reads."""
        order = point.order or self.spot.one.order
        where = (point.table, point.address)
        if point.type == "f32":
            # Nine digits are a 32-bit float again.
            raw = float(np.float32(self.program.ask("float", order, *where)[0][0]))
            return None if math.isnan(raw) else raw * point.scale
        if point.type in ("u32", "i32", "u64") and order == "ABCD":
            raw = int(self.program.ask("whole", point.width, *where)[0][0])
            unsigned = raw % (1 << 16 * point.width)
            if unsigned == codec.not_implemented(point):
                return None
            return (raw if point.type == "i32" else unsigned) * point.scale
        return codec.decode(point, self.spot.one.order, self.read(*where, point.width))


@pytest.mark.parametrize("name", MAPS)
def test_reads_every_point(fleet: Fleet, program: Program, name: str) -> None:
    for row in READ_FROM:
        spot = fleet.spots[name][row]
        reads_every_point(fleet, spot, Libmodbus(program, spot))


@pytest.mark.parametrize("name", MAPS)
def test_writes_every_point(fleet: Fleet, program: Program, name: str) -> None:
    for row in (OWN_ADDRESS, WITNESS):
        spot = fleet.spots[name][row]
        writes_every_point(fleet, spot, Libmodbus(program, spot))


def test_writes_of_many_points_masks_and_writes_with_a_read(fleet: Fleet, program: Program) -> None:
    """Functions 15, 16 over several points, 22 and 23."""
    spot = fleet.spots["terminal-own"][OWN_ADDRESS]
    client = Libmodbus(program, spot)
    assert client.write("coil", 0, (0, 1, 0, 1, 0)) == 0
    fleet.tick()
    assert client.read("coil", 0, 5) == [0, 1, 0, 1, 0]
    spot = fleet.spots["storage-own"][OWN_ADDRESS]
    client = Libmodbus(program, spot)
    assert client.write("holding", 0, (0xFFFF, 0xFE0C, 17, 0, 900)) == 0
    assert program.ask("mask", 2, 0x00F0, 0x0A0A) == ([], 0)
    both = program.ask("both", 0, 5, 3, 0, 1200)
    assert both == ([str(w) for w in (0xFFFF, 0xFE0C, 0x0A1A, 0, 1200)], 0)
    fleet.tick()
    assert fleet.device(spot).setpoints["power_kw"] == -50.0
    assert fleet.device(spot).setpoints["revert_s"] == 1200.0


def test_what_is_not_there_is_refused(fleet: Fleet, program: Program) -> None:
    Libmodbus(program, fleet.spots["storage-own"][OWN_ADDRESS])
    assert program.ask("read", "holding", 4, 2)[1] == 2
    assert program.ask("write", "holding", 0, 1)[1] == 2
    assert program.ask("mask", 0, 0, 1)[1] == 2
    assert program.ask("both", 0, 5, 100, 1)[1] == 2
