"""A platform of somebody else's, in plain pymodbus: reads the inventory, obeys the dispatcher.

It shares an order over storage stations by rating, keeps them idle after it, and reports what it
sees. With ``--mistake`` it takes the order's MW for kW, as a wrong factor in a point table does.
"""

from __future__ import annotations

import argparse
import csv
import struct
import time
from pathlib import Path

from pymodbus.client import ModbusTcpClient

IN_FORCE, ENDED = 3, 4


def words(*values: float, kind: str) -> list[int]:
    """Return registers of big-endian values (struct letters)."""
    raw = struct.pack(f">{kind}", *values)
    return list(struct.unpack(f">{len(raw) // 2}H", raw))


def numbers(registers: list[int], kind: str) -> tuple[float, ...]:
    """Return values from registers; `kind` as for struct."""
    return struct.unpack(f">{kind}", struct.pack(f">{len(registers)}H", *registers))


class Station:
    """One storage station on the own public table."""

    def __init__(self, row: dict[str, str]) -> None:
        self.client = ModbusTcpClient(row["address"], port=int(row["port"]), timeout=1.0)
        self.unit = int(row["unit"])
        self.client.connect()
        plate = self.client.read_input_registers(256, count=4, device_id=self.unit)
        self.rated_kw, self.capacity_kwh = (v * 0.1 for v in numbers(plate.registers, "II"))
        self.power_kw = self.soc = self.energy_kwh = 0.0

    def read(self) -> None:
        found = self.client.read_input_registers(0, count=14, device_id=self.unit)
        power, soc, _, charged, discharged = numbers(found.registers[:8], "iHhII")
        self.power_kw, self.soc = power * 0.1, soc * 0.001
        self.energy_kwh = (charged + discharged) * 0.1

    def command(self, power_kw: float) -> None:
        registers = words(round(power_kw * 10.0), kind="i")
        answer = self.client.write_registers(0, registers, device_id=self.unit)
        if answer.isError():
            raise SystemExit(f"refused: {answer}")


class Dispatcher:
    """The dispatcher's unit: the first order, and the platform's report."""

    def __init__(self, row: dict[str, str]) -> None:
        self.client = ModbusTcpClient(row["address"], port=int(row["port"]), timeout=1.0)
        self.client.connect()
        self.sequence = 0

    def order(self) -> tuple[int, int, float, int]:
        """Return number, revision, MW and state of the first order."""
        found = self.client.read_input_registers(256, count=8, device_id=1).registers
        (mw,) = numbers(found[4:6], "f")
        return found[0], found[1], mw, found[7]

    def acknowledge(self, revision: int) -> None:
        self.client.write_register(0, revision + 1, device_id=1)

    def report(self, stations: list[Station]) -> None:
        power = sum(s.power_kw for s in stations)
        capacity = sum(s.capacity_kwh for s in stations)
        soc = sum(s.soc * s.capacity_kwh for s in stations) / capacity
        energy = sum(s.energy_kwh for s in stations)
        self.sequence = self.sequence % 65_535 + 1
        first = words(-power / 1_000.0, soc, energy, kind="fff")
        registers = [*first, *words(len(stations), kind="I"), *words(power, kind="f")]
        self.client.write_registers(256, registers, device_id=1)
        self.client.write_register(284, self.sequence, device_id=1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("inventory", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--mistake", action="store_true")
    chosen = parser.parse_args()
    limit = time.monotonic() + chosen.seconds
    while not chosen.inventory.exists() and time.monotonic() < limit:
        time.sleep(0.1)
    with chosen.inventory.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    stations = [Station(row) for row in rows if row["kind"] == "storage"]
    dispatcher = Dispatcher(next(row for row in rows if row["kind"] == "dispatcher"))
    rated = sum(s.rated_kw for s in stations)
    known = 0
    try:
        while time.monotonic() < limit:
            number, revision, mw, state = dispatcher.order()
            if number != 0 and known != revision + 1:
                known = revision + 1
                dispatcher.acknowledge(revision)
            for station in stations:
                station.read()
                if state == IN_FORCE:
                    factor = 1.0 if chosen.mistake else 1_000.0
                    station.command(mw * factor * station.rated_kw / rated)
                elif state == ENDED:
                    station.command(0.0)
            dispatcher.report(stations)
            time.sleep(0.2)
    except (ConnectionError, AttributeError, OSError):
        pass  # the other side has ended
    except Exception as error:  # pymodbus's own words for a connection that is gone
        parser.exit(0, f"ended: {error}\n")


if __name__ == "__main__":
    main()
