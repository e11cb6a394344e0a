"""What instruments on Modbus have in common: their errors, and who they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hil.bench.errors import Garbage, LineDown, LineError, NoAnswer, Refused
from hil.bench.identity import identity_of
from hil.bench.line import Speaking
from hil.bench.roles import About, InstrumentGarbage, InstrumentRefused, InstrumentSilent

__all__ = ["heard", "identified"]


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


def identified(about: About, line: Speaking) -> About:
    """Return what a report says of an instrument, with what it says of itself by 43/14.

    Few meters do; one that does not, or is not there, stays without an identity.
    """
    try:
        told = identity_of(line)
    except LineError:
        return about
    words = (told.get(key, "") for key in ("vendor", "product", "revision", "model"))
    return replace(about, identity=" ".join(w for w in dict.fromkeys(words) if w))
