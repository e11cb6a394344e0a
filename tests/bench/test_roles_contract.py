"""One suite for every driver of a role: fake, person at a pseudo-terminal, Modbus, SCPI."""

from __future__ import annotations

import math
import os
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from pydantic import TypeAdapter

from hil.bench import roles
from hil.bench.drivers.entries import InstrumentEntry
from hil.bench.drivers.opening import DRIVERS, Means, open_instrument, role_of
from hil.bench.drivers.person_terminal import PersonTerminal
from hil.bench.roles import (
    About,
    GridSource,
    Instrument,
    InstrumentError,
    Meter,
    Person,
    Relay,
)  # fmt: skip
from tests.bench.boxes import LOOPBACK, Registers, ScpiSource, Time, modbus_box, scpi_box

ROLES = {"meter": Meter, "source": GridSource, "relay": Relay, "person": Person}
POWER_KW = -12.5
ENTRIES = TypeAdapter(InstrumentEntry)
REACH = {
    "nominal_v": 230.0, "low_pu": 0.9, "high_pu": 1.1, "low_hz": 49.0, "high_hz": 51.0,
    "ramp_pu_s": 0.1, "ramp_hz_s": 1.0, "class_pct": 0.2, "frequency_error_hz": 0.01,
}  # fmt: skip


@contextmanager
def somebody(answer: Callable[[str], str]) -> Iterator[PersonTerminal]:
    """A person at a pseudo-terminal, in a thread, who answers what is shown."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)

    def work() -> None:
        seen = ""
        while True:
            try:
                seen += os.read(ours, 1024).decode()
            except OSError:
                return
            if seen.endswith("] "):
                os.write(ours, (answer(seen) + "\n").encode())
                seen = ""

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    with open(theirs, "w", encoding="utf-8", closefd=False) as shown:
        yield PersonTerminal("tester", theirs, shown, 5.0)
    os.close(theirs)
    thread.join(5.0)
    os.close(ours)


@dataclass
class Hand:
    """What a person does at a bench without any automatic instrument."""

    on: bool = True
    volts: float = 230.0
    hertz: float = 50.0

    def answer(self, text: str) -> str:
        if "[kW]" in text:
            return str(POWER_KW)
        if "[V]" in text:
            return str(self.volts)
        if "[Hz]" in text:
            return str(self.hertz)
        if "set " in text:
            volts, hertz = text.split("set ")[1].split(" (")[0].split(", ")
            self.volts, self.hertz = float(volts.split()[0]), float(hertz.split()[0])
            return "是"
        if "closed?" in text:
            return "y" if self.on else "n"
        self.on = "close the switch" in text
        return "y"


def _meter_registers() -> Registers:
    """Return meter-own's power, +12.5 kW of demand: -12.5 kW into the grid."""
    return Registers({("input", 0): 0, ("input", 1): 125})


def open_driver(driver: str, stack: ExitStack, clock: Time) -> Instrument:
    """Open an instrument from its entry, with whatever it needs behind it."""
    person = stack.enter_context(somebody(Hand().answer))
    entry: dict[str, object] = {"name": "it", "driver": driver}
    if driver == "meter_fake":
        entry["power_kw"] = POWER_KW
    if driver == "meter_manual":
        entry |= {"class_pct": 0.5, "range_kw": 100.0, "resolution_kw": 0.1}
    if driver == "meter_modbus":
        port = stack.enter_context(modbus_box(_meter_registers()))
        entry |= {
            "class_pct": 0.5, "range_kw": 100.0, "host": LOOPBACK, "port": port,
            "map": "meter-own", "point": "demand_kw", "positive": "from_grid",
        }  # fmt: skip
    if driver in ("source_scpi", "source_manual"):
        entry |= REACH
    if driver == "source_scpi":
        entry |= {"host": LOOPBACK, "port": stack.enter_context(scpi_box(ScpiSource()))}
    if driver == "relay_modbus":
        port = stack.enter_context(modbus_box(Registers({("coil", 4): 1})))
        entry |= {"host": LOOPBACK, "port": port, "table": "coil", "address": 4}
    if driver == "person_terminal":
        return person
    return open_instrument(ENTRIES.validate_python(entry), Means(clock, person))


def drivers(role: str) -> list[str]:
    return [name for name in DRIVERS if name.startswith(f"{role}_")]


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def opened(request: pytest.FixtureRequest, clock: Time) -> Iterator[Instrument]:
    with ExitStack() as stack:
        one = open_driver(request.param, stack, clock)
        stack.callback(one.release)
        yield one


@pytest.mark.parametrize("opened", DRIVERS, indirect=True)
def test_every_driver_fills_its_role_and_says_what_it_is(opened: Instrument) -> None:
    about = opened.about()
    assert isinstance(about, About)
    driver = about.driver
    assert driver in DRIVERS
    role = ROLES[driver.partition("_")[0]]
    assert isinstance(opened, role)
    methods = [name for name in dir(role) if not name.startswith("_")]
    assert len(methods) <= 5
    opened.release()
    opened.release()


@pytest.mark.parametrize("opened", drivers("meter"), indirect=True)
def test_a_meter_measures(opened: Meter, clock: Time) -> None:
    clock.sleep(3.0)
    found = opened.power_kw()
    assert found.value == pytest.approx(POWER_KW)
    assert found.at_s == 3.0
    assert found.accuracy >= 0.0
    energy = opened.energy_kwh()
    assert energy is None or math.isfinite(energy.into_grid.value)


@pytest.mark.parametrize("opened", drivers("source"), indirect=True)
def test_a_source_goes_no_faster_than_its_ramp(opened: GridSource, clock: Time) -> None:
    first = opened.apply(1.1, 50.0)
    assert first.voltage_pu <= 1.1
    steps = 1
    while first.ramping and steps < 50:
        clock.sleep(0.2)
        then = opened.apply(1.1, 50.0)
        assert then.voltage_pu - first.voltage_pu <= 0.1 * 0.2 + 1e-9
        first, steps = then, steps + 1
    assert first.voltage_pu == pytest.approx(1.1)
    assert not first.limited
    assert opened.voltage_pu().value == pytest.approx(1.1, abs=1e-3)
    assert opened.frequency_hz().value == pytest.approx(50.0, abs=1e-3)


@pytest.mark.parametrize("opened", drivers("source"), indirect=True)
def test_a_source_never_leaves_its_limits(opened: GridSource, clock: Time) -> None:
    found = opened.apply(2.0, 30.0)
    while found.ramping:
        clock.sleep(10.0)
        before, found = found, opened.apply(2.0, 30.0)
        assert found.limited
        assert found.voltage_pu <= before.voltage_pu + 0.1 + 1e-9  # a step counts 1 s at most
    assert (found.voltage_pu, found.frequency_hz) == (1.1, 49.0)
    with pytest.raises(ValueError, match="no voltage"):
        opened.apply(math.nan, 50.0)


@pytest.mark.parametrize("opened", drivers("relay"), indirect=True)
def test_a_relay_switches_and_says_so(opened: Relay) -> None:
    assert opened.is_on()
    opened.switch(False)
    assert not opened.is_on()
    opened.switch(True)
    assert opened.is_on()


def test_a_person_is_asked(clock: Time) -> None:
    with somebody(lambda text: "12.5" if "[A]" in text else "y") as person:
        person.tell("look")
        assert person.confirm("ready?")
        assert person.number("current", "A") == 12.5
        assert role_of(ENTRIES.validate_python({"name": "x", "driver": "person_terminal"})) == (
            "person"
        )


def test_every_error_of_an_instrument_is_one_tree() -> None:
    found = [getattr(roles, n) for n in roles.__all__ if n.startswith("Instrument")]
    errors = [e for e in found if isinstance(e, type) and issubclass(e, Exception)]
    assert len(errors) == 4
    assert all(issubclass(e, InstrumentError) for e in errors)
