"""A person at a terminal who does not answer, or answers nonsense."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hil.bench.drivers.person_terminal import PersonTerminal
from hil.bench.roles import NobodyAnswered


@contextmanager
def terminal(
    answers: bytes, timeout_s: float = 0.2
) -> Iterator[tuple[PersonTerminal, io.StringIO]]:
    reading, writing = os.pipe()
    os.write(writing, answers)
    shown = io.StringIO()
    try:
        yield PersonTerminal("tester", reading, shown, timeout_s), shown
    finally:
        os.close(writing)
        os.close(reading)


def test_nobody_answers_in_time() -> None:
    with terminal(b"") as (person, _), pytest.raises(NobodyAnswered, match=r"within 0\.2 s"):
        person.confirm("ready?")


def test_nonsense_is_asked_again_a_few_times() -> None:
    with terminal("嗯\n是\n".encode()) as (person, shown):
        assert person.confirm("ready?")
        assert shown.getvalue().count("ready?") == 2
    with terminal(b"maybe\n" * 9) as (person, _), pytest.raises(NobodyAnswered, match="no yes"):
        person.confirm("ready?")
    answers = b"inf\nnan\nten\n\n1e400\n"
    with terminal(answers) as (person, _), pytest.raises(NobodyAnswered, match="no number"):
        person.number("power", "kW")


def test_a_terminal_that_has_gone() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    person = PersonTerminal("tester", reading, io.StringIO(), 5.0)
    with pytest.raises(NobodyAnswered, match="nobody is there"):
        person.number("power", "kW")
    os.close(reading)
