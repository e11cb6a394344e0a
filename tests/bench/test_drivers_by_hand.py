"""Fakes record what they were asked, people may say no, and a bench file is held to sense."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest
from pydantic import TypeAdapter, ValidationError

from hil.bench.drivers.asked import Asked
from hil.bench.drivers.entries import InstrumentEntry
from hil.bench.drivers.meter_fake import MeterFake
from hil.bench.drivers.opening import Means, open_instrument
from hil.bench.drivers.person_fake import PersonFake
from hil.bench.drivers.person_terminal import PersonTerminal
from hil.bench.drivers.relay_fake import RelayFake
from hil.bench.drivers.source_fake import SourceFake
from hil.bench.errors import Forbidden
from hil.bench.roles import (
    GridSource,
    InstrumentRefused,
    InstrumentSilent,
    Meter,
    NobodyAnswered,
    Person,
    Relay,
)
from tests.bench.boxes import LOOPBACK, Registers, Time, modbus_box

ENTRIES = TypeAdapter(InstrumentEntry)
METER = {"name": "m", "driver": "meter_manual", "class_pct": 1.0, "range_kw": 10.0}
SOURCE = {
    "name": "s", "driver": "source_manual", "nominal_v": 230.0, "low_pu": 0.9, "high_pu": 1.1,
    "low_hz": 49.0, "high_hz": 51.0, "ramp_pu_s": 0.1, "ramp_hz_s": 1.0, "class_pct": 1.0,
    "frequency_error_hz": 0.1,
}  # fmt: skip
RELAY = {"name": "r", "driver": "relay_modbus", "table": "holding", "address": 1}


def test_fakes_record_what_they_were_asked() -> None:
    clock = Time()
    meter, source, relay = MeterFake("f", clock), SourceFake("f", clock), RelayFake("f", clock)
    meter.power_kw()
    clock.sleep(2.0)
    source.apply(1.01, 50.0)
    relay.switch(False)
    meter.energy_kwh_shown = 3.0, 4.0
    energy = meter.energy_kwh()
    assert energy is not None
    assert (energy.into_grid.value, energy.from_grid.value) == (3.0, 4.0)
    assert meter.asked == [Asked(0.0, "power_kw"), Asked(2.0, "energy_kwh")]
    assert source.asked == [Asked(2.0, "apply", (1.01, 50.0))]
    assert [step.voltage_pu for step in source.sent] == [1.01]
    assert relay.asked == [Asked(2.0, "switch", (False,))]


def test_a_broken_fake_is_silent() -> None:
    clock = Time()
    meter, source, relay = MeterFake("f", clock), SourceFake("f", clock), RelayFake("f", clock)
    meter.broken = source.broken = relay.broken = True
    calls: list[Callable[[], object]] = [meter.power_kw, source.voltage_pu, relay.is_on]
    for call in calls:
        with pytest.raises(InstrumentSilent, match="f: no answer"):
            call()


def test_a_fake_person_answers_in_order_and_then_not() -> None:
    person = PersonFake("p", Time(), [True, 2.5])
    assert isinstance(person, Person)
    person.tell("look")
    assert person.confirm("ready?")
    assert person.number("how much", "kW") == 2.5
    with pytest.raises(NobodyAnswered, match="no answer to 'again"):
        person.confirm("again?")
    person.release()
    assert person.about().driver == "person_fake"
    assert [a.method for a in person.asked] == ["tell", "confirm", "number", "confirm", "release"]


def test_a_display_with_counters_is_read_out() -> None:
    means = Means(Time(), PersonFake("p", Time(), [7.0, 8.0]))
    meter = open_instrument(ENTRIES.validate_python(METER | {"counters": True}), means)
    assert isinstance(meter, Meter)
    energy = meter.energy_kwh()
    assert energy is not None
    assert (energy.into_grid.value, energy.from_grid.value) == (7.0, 8.0)
    assert energy.from_grid.accuracy == pytest.approx(0.08)


def test_what_a_person_did_not_do_is_refused() -> None:
    clock = Time()
    person = PersonFake("p", clock, [230.0, 50.0, False, 300.0, 50.0, False])
    source = open_instrument(ENTRIES.validate_python(SOURCE), Means(clock, person))
    assert isinstance(source, GridSource)
    with pytest.raises(InstrumentRefused, match="was not done"):
        source.apply(1.02, 50.0)
    # It is asked again where it stands, and it stands outside its limits now.
    with pytest.raises(InstrumentRefused, match="stands outside"):
        source.apply(1.02, 50.0)
    relay = open_instrument(
        ENTRIES.validate_python({"name": "r", "driver": "relay_manual"}), Means(clock, person)
    )
    assert isinstance(relay, Relay)
    with pytest.raises(InstrumentRefused, match="分闸"):
        relay.switch(False)


def test_on_a_dry_bench_nobody_is_asked_to_move_anything() -> None:
    def forbid(name: str, command: str) -> None:
        raise Forbidden(f"{name}: {command}: dry run")

    clock = Time()
    person = PersonFake("p", clock, [230.0, 50.0, True, True])
    means = Means(clock, person, before=forbid)
    source = open_instrument(ENTRIES.validate_python(SOURCE), means)
    relay = open_instrument(ENTRIES.validate_python({"name": "r", "driver": "relay_manual"}), means)
    assert isinstance(source, GridSource)
    assert isinstance(relay, Relay)
    with pytest.raises(Forbidden, match=r"s: set 234\.6 V"):
        source.apply(1.02, 50.0)
    with pytest.raises(Forbidden, match="r: close the switch"):
        relay.switch(True)
    assert "confirm" not in [a.method for a in person.asked]


def test_a_meter_on_modbus_shows_its_counters() -> None:
    registers = Registers({("input", a): w for a, w in enumerate((0, 0, 0, 0, 0, 1234, 1, 0))})
    entry = {
        "name": "m", "driver": "meter_modbus", "host": LOOPBACK, "class_pct": 1.0,
        "range_kw": 10.0, "map": "storage-own", "point": "power_kw", "positive": "into_grid",
        "into_grid": "discharged_today_kwh", "from_grid": "charged_today_kwh",
    }  # fmt: skip
    with modbus_box(registers) as port:
        meter = open_instrument(ENTRIES.validate_python(entry | {"port": port}), Means(Time()))
        assert isinstance(meter, Meter)
        energy = meter.energy_kwh()
        assert energy is not None
        assert energy.from_grid.value == pytest.approx(123.4)
        assert energy.from_grid.accuracy == pytest.approx(1.234 + 0.05)
        assert energy.into_grid.value == pytest.approx(6553.6)
        meter.release()


def test_a_register_that_shows_no_value_is_no_measurement() -> None:
    registers = Registers({("input", 0): 0x8000, ("input", 1): 0})
    entry = {
        "name": "m", "driver": "meter_modbus", "host": LOOPBACK, "class_pct": 1.0,
        "range_kw": 10.0, "map": "meter-own", "point": "demand_kw", "positive": "from_grid",
    }  # fmt: skip
    with modbus_box(registers) as port:
        meter = open_instrument(ENTRIES.validate_python(entry | {"port": port}), Means(Time()))
        assert isinstance(meter, Meter)
        with pytest.raises(Exception, match="shows no value"):
            meter.power_kw()
        meter.release()


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(NobodyAnswered, match="no terminal to ask at"):
        open_instrument(ENTRIES.validate_python(METER), Means(Time()))
    monkeypatch.setattr(sys, "stdin", sys.__stdin__)
    entry = ENTRIES.validate_python({"name": "p", "driver": "person_terminal", "timeout_s": 3.0})
    person = open_instrument(entry, Means(Time()))
    assert isinstance(person, PersonTerminal)
    assert person.timeout_s == 3.0
    assert isinstance(Means(Time()).asking(), PersonTerminal)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"on": 5, "off": 5}, "on and off are both 5"),
        ({"table": "coil", "on": 2}, "a coil is 0 or 1"),
        ({"shown_table": "discrete"}, "belong together"),
        ({"shown_table": "discrete", "shown_address": 3, "shown_on": 4}, "a discrete is 0 or 1"),
        ({"transport": "rtu"}, "serial belongs to transport rtu"),
        ({"serial": "/dev/ttyUSB0"}, "serial belongs to transport rtu"),
    ],
)
def test_a_relay_that_makes_no_sense(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ENTRIES.validate_python(RELAY | change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"into_grid": "x"}, "belong together"),
        ({"class_pct": 0.0}, "greater than 0"),
        ({"positive": "up"}, "into_grid"),
    ],
)
def test_a_meter_that_makes_no_sense(change: dict[str, object], said: str) -> None:
    entry = {"name": "m", "driver": "meter_modbus", "class_pct": 1.0, "range_kw": 10.0,
             "map": "meter-own", "point": "demand_kw", "positive": "from_grid"}  # fmt: skip
    with pytest.raises(ValidationError, match=said):
        ENTRIES.validate_python(entry | change)


def test_words_that_take_no_number() -> None:
    entry = SOURCE | {"driver": "source_scpi", "host": LOOPBACK}
    for text in ("VOLT {", "VOLT {} {}", "VOLT {name}"):
        with pytest.raises(ValidationError, match="needs one"):
            ENTRIES.validate_python(entry | {"words": {"set_voltage": text}})
