"""Errors of a line as errors of an instrument."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hil.bench.errors import Garbage, LineDown, NoAnswer, Refused
from hil.bench.roles import InstrumentGarbage, InstrumentRefused, InstrumentSilent

__all__ = ["heard"]


@contextmanager
def heard(name: str) -> Iterator[None]:
    """Turn what goes wrong on the line to instrument `name` into an InstrumentError."""
    try:
        yield
    except (LineDown, NoAnswer) as error:
        raise InstrumentSilent(f"{name}: {error}") from error
    except Garbage as error:
        raise InstrumentGarbage(f"{name}: {error}") from error
    except Refused as error:
        raise InstrumentRefused(f"{name}: {error}", error.code) from error
