"""What drivers do with instruments and people that do not do what they should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from hil.bench.drivers.accuracy import Accuracy
from hil.bench.drivers.entries import InstrumentEntry, Words
from hil.bench.drivers.opening import Means, instrument_problems, open_instrument
from hil.bench.drivers.reach import Course, Reach
from hil.bench.errors import Forbidden
from hil.bench.roles import (
    GridSource,
    InstrumentGarbage,
    InstrumentRefused,
    InstrumentSilent,
    Meter,
    Relay,
)
from tests.bench.boxes import (
    LOOPBACK,
    Registers,
    ScpiSource,
    Time,
    modbus_box,
    scpi_box,
    unused_port,
)

ENTRIES = TypeAdapter(InstrumentEntry)
SOURCE = {
    "name": "grid", "driver": "source_scpi", "host": LOOPBACK, "timeout_s": 0.3,
    "nominal_v": 230.0, "low_pu": 0.9, "high_pu": 1.1, "low_hz": 49.0, "high_hz": 51.0,
    "ramp_pu_s": 0.1, "ramp_hz_s": 1.0, "class_pct": 0.2, "frequency_error_hz": 0.01,
}  # fmt: skip
METER = {
    "name": "pcc", "driver": "meter_modbus", "host": LOOPBACK, "timeout_s": 0.3,
    "map": "meter-own", "point": "demand_kw", "positive": "from_grid", "class_pct": 0.5,
    "range_kw": 100.0, "calibrated": "2026-03-01", "sampling_s": 1.0,
}  # fmt: skip
RELAY = {
    "name": "k1", "driver": "relay_modbus", "host": LOOPBACK, "timeout_s": 0.3, "table": "coil",
    "address": 4,
}  # fmt: skip


@contextmanager
def source(one: ScpiSource, means: Means | None = None, **more: object) -> Iterator[GridSource]:
    with scpi_box(one) as port:
        entry = ENTRIES.validate_python(SOURCE | {"port": port} | more)
        opened = open_instrument(entry, Means(Time()) if means is None else means)
        assert isinstance(opened, GridSource)
        try:
            yield opened
        finally:
            opened.release()


@contextmanager
def meter(registers: Registers, **more: object) -> Iterator[Meter]:
    with modbus_box(registers) as port:
        opened = open_instrument(
            ENTRIES.validate_python(METER | {"port": port} | more), Means(Time())
        )
        assert isinstance(opened, Meter)
        try:
            yield opened
        finally:
            opened.release()


@contextmanager
def relay(registers: Registers, means: Means | None = None, **more: object) -> Iterator[Relay]:
    with modbus_box(registers) as port:
        opened = open_instrument(
            ENTRIES.validate_python(RELAY | {"port": port} | more),
            Means(Time()) if means is None else means,
        )
        assert isinstance(opened, Relay)
        try:
            yield opened
        finally:
            opened.release()


def moves(one: ScpiSource) -> list[str]:
    return [line for line in one.lines if line.startswith(("VOLT ", "FREQ "))]


# -- the source ------------------------------------------------------------------------------------


def test_a_source_is_named_by_its_own_identity() -> None:
    with source(ScpiSource(), calibrated="2026-01-15") as opened:
        about = opened.about()
    assert about.identity == "Example Instruments,AC-3000,SN0042,1.7"
    assert about.calibrated == date(2026, 1, 15)


def test_an_error_in_the_queue_is_said_and_the_source_is_asked_again_where_it_stands() -> None:
    one, clock = ScpiSource(most_v=240.0), Time()
    with source(one, Means(clock)) as opened:
        opened.apply(1.04, 50.0)
        clock.sleep(1.0)
        with pytest.raises(InstrumentRefused, match=r"VOLT 253\.000: error -222") as caught:
            opened.apply(1.1, 50.0)
        assert caught.value.code == -222
        one.lines.clear()
        opened.apply(1.04, 50.0)
        assert "VOLT?" in one.lines


def test_old_errors_are_emptied_first() -> None:
    one = ScpiSource(errors=['-113,"Undefined header"', '-410,"Query INTERRUPTED"'])
    with source(one) as opened:
        assert opened.apply(1.02, 50.0).voltage_pu == 1.02


def test_an_error_queue_without_end_is_garbage() -> None:
    one = ScpiSource(hook=lambda line: b'-1,"again"\n' if line == "SYST:ERR?" else None)
    with source(one) as opened, pytest.raises(InstrumentGarbage, match="no end"):
        opened.apply(1.0, 50.0)
    assert moves(one) == []


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (b"nonsense\n", InstrumentGarbage, "no number"),
        (b"9.91E37\n", InstrumentGarbage, "no value"),
        (b"nan\n", InstrumentGarbage, "no value"),
        (b"", InstrumentSilent, "timed out"),
        (b"1" * 5000, InstrumentGarbage, "without end"),
        (b"230.0\nmore\n", InstrumentGarbage, "unasked"),
    ],
)
def test_an_answer_that_says_nothing(answer: bytes, error: type[Exception], said: str) -> None:
    one = ScpiSource(hook=lambda line: answer if line == "MEAS:VOLT?" else None)
    with source(one) as opened:
        with pytest.raises(error, match=said):  # noqa: PT012 - what is unasked shows one later
            opened.voltage_pu()
            opened.frequency_hz()
        one.hook = lambda line: None
        assert opened.voltage_pu().value == pytest.approx(1.0)


def test_a_source_that_hangs_up_or_is_not_there() -> None:
    one = ScpiSource()
    with source(one) as opened:
        opened.apply(1.0, 50.0)
        hang_up: Callable[[str], bytes | None] = lambda line: _hang_up()  # noqa: E731
        one.hook = hang_up
        with pytest.raises(InstrumentSilent, match=r"closed|reset"):
            opened.voltage_pu()
    entry = ENTRIES.validate_python(SOURCE | {"port": unused_port()})
    with pytest.raises(InstrumentSilent, match="no connection"):
        open_instrument(entry, Means(Time())).about()


def _hang_up() -> bytes:
    raise ConnectionResetError


@pytest.mark.parametrize("volts", [0.0, 300.0])
def test_a_source_that_stands_outside_its_limits_is_not_moved(volts: float) -> None:
    one = ScpiSource(volts=volts)
    with source(one) as opened:
        with pytest.raises(InstrumentRefused, match="by hand"):
            opened.apply(1.0, 50.0)
        assert moves(one) == []
        one.volts = 230.0
        assert opened.apply(1.0, 50.0).voltage_pu == 1.0


def test_what_was_turned_by_hand_is_found_after_the_line_was_cut() -> None:
    one = ScpiSource()
    with source(one) as opened:
        opened.apply(1.05, 50.0)
        opened.release()
        one.volts = 0.95 * 230.0
        found = opened.apply(1.05, 50.0)
        assert found.voltage_pu == pytest.approx(1.05)
        assert one.volts == pytest.approx(1.05 * 230.0)


def test_every_command_is_told_before_it_is_sent_and_can_be_kept_back() -> None:
    one, told = ScpiSource(), list[tuple[str, str]]()

    def before(name: str, command: str) -> None:
        assert moves(one) == []
        told.append((name, command))
        raise Forbidden("dry run")

    with source(one, Means(Time(), before=before)) as opened, pytest.raises(Forbidden):
        opened.apply(1.02, 50.0)
    assert told == [("grid", "VOLT 234.600")]
    assert moves(one) == []


@given(
    asked=st.lists(
        st.tuples(
            st.floats(0.0, 3.0), st.floats(0.0, 120.0), st.floats(0.0, 100.0)
        ),
        max_size=30,
    )
)  # fmt: skip
@settings(max_examples=60)
def test_no_step_leaves_limits_or_ramps(asked: list[tuple[float, float, float]]) -> None:
    reach = Reach(0.9, 1.1, 49.0, 51.0, 0.05, 0.5)
    course, now_s = Course(reach, 1.0, 50.0, 0.0), 0.0
    for voltage_pu, frequency_hz, wait_s in asked:
        now_s += wait_s
        here = course.voltage_pu, course.frequency_hz
        step = course.step(voltage_pu, frequency_hz, now_s)
        assert reach.holds(step.voltage_pu, step.frequency_hz)
        assert abs(step.voltage_pu - here[0]) <= 0.05 + 1e-12
        assert abs(step.frequency_hz - here[1]) <= 0.5 + 1e-12
        course.moved(step, now_s)


# -- meter and relay -------------------------------------------------------------------------------


def test_a_meters_error_follows_class_and_resolution() -> None:
    with meter(Registers({("input", 0): 0xFFFF, ("input", 1): 0x10000 - 500})) as opened:
        found = opened.power_kw()
        assert found.value == pytest.approx(50.0)
        assert found.accuracy == pytest.approx(0.005 * 50.0 + 0.05)
        assert found.sampling_s == 1.0
        assert opened.about().calibrated == date(2026, 3, 1)
    assert Accuracy(0.5, 100.0).at(1.0) == pytest.approx(0.05)  # class at a tenth of the range


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        (lambda pdu: bytes([0x84, 2]), InstrumentRefused),
        (lambda pdu: b"\x04\x04\x80\0\0\0", InstrumentGarbage),
        (lambda pdu: b"\x04\x02\x00\x01", InstrumentGarbage),
        (lambda pdu: b"\x03\x04\0\0\0\0", InstrumentGarbage),
        (lambda pdu: None, None),
    ],
)
def test_a_meter_that_does_not_show_its_power(
    hook: Callable[[bytes], bytes | None], error: type[Exception] | None
) -> None:
    registers = Registers({("input", 0): 0, ("input", 1): 0}, hook=hook)
    with meter(registers) as opened:
        if error is None:
            assert opened.power_kw().value == 0.0
        else:
            with pytest.raises(error, match="pcc"):
                opened.power_kw()


def test_a_meter_that_is_not_there() -> None:
    opened = open_instrument(
        ENTRIES.validate_python(METER | {"port": unused_port()}), Means(Time())
    )
    assert isinstance(opened, Meter)
    with pytest.raises(InstrumentSilent, match="pcc"):
        opened.power_kw()


def test_a_meter_that_says_who_it_is_and_one_that_does_not() -> None:
    told = b"\x2b\x0e\x01\x01\x00\x00\x02\x00\x03ABB\x01\x03M4M"
    asked = []

    def hook(pdu: bytes) -> bytes | None:
        if pdu[0] != 43:
            return None
        asked.append(pdu)
        return told if pdu[2] == 1 else b"\xab\x03"

    with meter(Registers({("input", 0): 0, ("input", 1): 0}, hook=hook)) as opened:
        assert opened.about().identity == "ABB M4M"
        assert opened.about().identity == "ABB M4M"
        assert len(asked) == 2  # basic and regular objects, once each
        assert opened.power_kw().value == 0.0
    with meter(Registers({("input", 0): 0, ("input", 1): 0})) as opened:
        assert opened.about().identity == ""


def test_a_relay_that_does_not_follow_is_refused() -> None:
    registers = Registers({("coil", 4): 1, ("discrete", 9): 1})
    shown = {"shown_table": "discrete", "shown_address": 9}
    with relay(registers, **shown) as opened:
        with pytest.raises(InstrumentRefused, match="told to be off"):
            opened.switch(False)
        registers.moved = lambda r: r.words.__setitem__(("discrete", 9), 0)
        opened.switch(False)
        assert registers.written == [("coil", 4, (0,)), ("coil", 4, (0,))]


def test_a_relay_that_shows_neither_state_is_garbage() -> None:
    registers = Registers({("holding", 7): 3})
    more = {"table": "holding", "address": 7, "on": 0xFF00, "off": 0}
    with relay(registers, **more) as opened, pytest.raises(InstrumentGarbage, match="neither"):
        opened.is_on()


def test_a_relay_on_a_dry_bench_is_not_moved() -> None:
    def forbid(name: str, command: str) -> None:
        raise Forbidden(f"{name}: {command}: dry run")

    registers = Registers({("coil", 4): 1})
    means = Means(Time(), before=forbid)
    with relay(registers, means) as opened, pytest.raises(Forbidden, match="coil 4 = 0"):
        opened.switch(False)
    assert registers.written == []


# -- the bench file --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"low_pu": 1.2}, "low_pu 1.2 is not below high_pu 1.1"),
        ({"ramp_pu_s": 0.0}, "greater than 0"),
        ({"words": {"set_voltage": "VOLT 230"}}, "needs one {}"),
        ({"words": {"voltage": "MEAS?\nVOLT 400"}}, "one line of ASCII"),
        ({"words": {"voltge": "x"}}, "Extra inputs"),
        ({"driver": "source_scp"}, "does not match any of the expected tags"),
        ({"high_pu": 3.0}, "less than or equal to 1.5"),
    ],
)
def test_an_entry_that_makes_no_sense(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ENTRIES.validate_python(SOURCE | change)


def test_every_problem_of_instruments_is_said_at_once() -> None:
    entries = [
        ENTRIES.validate_python(e)
        for e in (
            METER | {"map": "no-such-map"},
            METER | {"point": "demnd_kw", "device": "bess"},
            METER | {"name": "third", "device": "chiller"},
            METER | {"name": "fourth", "map": "storage-own", "point": "soc", "device": "bess"},
        )
    ]
    found = [str(p) for p in instrument_problems(entries, ["bess"], "bench.toml")]
    said = "\n".join(found)
    for words in ("no-such-map", "demnd_kw", "named as instruments.0", "chiller", "a meter where",
                  "soc is in %"):  # fmt: skip
        assert words in said
    assert len(found) == 6


def test_words_may_be_a_makers_own() -> None:
    words = Words(set_voltage="SOUR:VOLT:AC {:.1f}")
    one = ScpiSource(hook=lambda line: b"" if line.startswith("SOUR:VOLT:AC") else None)
    with source(one, words=words.model_dump()) as opened:
        opened.apply(1.02, 50.0)
    assert "SOUR:VOLT:AC 234.6" in one.lines
