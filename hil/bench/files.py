"""Reads a bench file and says everything that is wrong with it at once."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from hil.bench.checks import Read, among_devices, of_device
from hil.bench.drivers.entries import InstrumentEntry
from hil.bench.drivers.opening import instrument_problems, role_of
from hil.bench.faults import partly, schema_problems
from hil.bench.schema import BenchFile, DeviceEntry, Interlock
from hil.registers.files import shipped_maps
from twin.city.spelling import did_you_mean
from twin.errors import InputProblems, Problem

__all__ = ["load_bench", "read_bench"]

P = TypeVar("P")
# Keys of devices and instruments that name files beside the bench file.
FILES = ("map", "parameters", "ca", "certificate", "key")
INSTRUMENTS: TypeAdapter[InstrumentEntry] = TypeAdapter(InstrumentEntry)
QUANTITIES = {
    "meter": ("power_kw",), "meter_auxiliary": ("power_kw",), "relay": ("is_on",),
    "source": ("voltage_pu", "frequency_hz"),
}  # fmt: skip


def load_bench(path: Path) -> BenchFile:
    """Return a bench; names of files in it start at its folder, and are absolute afterwards.

    No line is opened. Raises InputProblems with all that is wrong.
    """
    problems: list[Problem] = []
    data, sha256 = _read(path, problems)
    if problems:
        raise InputProblems(problems)
    return read_bench(data, str(path), path.parent).of_file(str(path), sha256)


def read_bench(data: dict[str, Any], file: str, folder: Path) -> BenchFile:
    """Return the bench that `data` describes.

    Parameters
    ----------
    data : as TOML has it
    file : named in problems
    folder : where names of files start

    Raises InputProblems; what cannot be read takes no part in the rules that hold entries
    against each other.
    """
    data = _placed(data, folder)
    problems: list[Problem] = []
    bench: BenchFile | None = None
    try:
        bench = BenchFile.model_validate(data)
    except ValidationError as error:
        problems += schema_problems(error, BenchFile, data, file)
    devices = list(_devices(data))
    for read in devices:
        problems += [Problem(file, *fault) for fault in of_device(read)]
    problems += [Problem(file, *fault) for fault in among_devices(devices)]
    instruments = [entry for _, entry in _readable(data, "instruments", INSTRUMENTS)]
    problems += instrument_problems(instruments, [d.name for d in devices], file)
    problems += _unread_instruments(data, [d.name for d in devices], file)
    locks = list(_readable(data, "interlock", TypeAdapter(Interlock)))
    problems += _interlock(locks, devices, instruments, data, file)
    if problems or bench is None:
        # A rule that pydantic came to as well is told once.
        raise InputProblems(dict.fromkeys(problems))
    return bench


def _read(path: Path, problems: list[Problem]) -> tuple[dict[str, Any], str]:
    """Return what a file says and its SHA-256; what cannot be read is noted."""

    def wrong(place: str, value: object, allowed: str) -> None:
        problems.append(Problem(str(path), place, str(value), allowed))

    try:
        raw = path.read_bytes()
        return tomllib.loads(raw.decode("utf-8-sig")), hashlib.sha256(raw).hexdigest()
    except OSError as error:
        wrong("file", error.strerror or error, "a bench file such as bench.toml")
    except UnicodeDecodeError as error:
        wrong("file", error, "UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        message, _, at = str(error).partition(" (at ")
        wrong(at.rstrip(")") or "syntax", message, "valid TOML")
    return {}, ""


def _placed(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the data with absolute names of files."""
    found = dict(data)
    for key in ("devices", "instruments"):
        rows = data.get(key)
        if isinstance(rows, list):
            found[key] = [
                _placed_row(row, folder) if isinstance(row, dict) else row for row in rows
            ]
    return found


def _placed_row(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    found = dict(row)
    for key in FILES:
        name = row.get(key)
        if isinstance(name, str) and name and not (key == "map" and name in shipped_maps()):
            there = folder / name
            # A misspelt name of a shipped map is told as such.
            if key != "map" or there.suffix or there.exists():
                found[key] = str(there.absolute())
    return found


def _devices(data: dict[str, Any]) -> Iterator[Read]:
    """Yield every device as far as it can be read."""
    rows = data.get("devices", [])
    for number, row in enumerate(rows if isinstance(rows, list) else []):
        if isinstance(row, dict):
            entry, lost = partly(DeviceEntry, row)
            name = row.get("name")
            yield Read(number, entry, lost, name if isinstance(name, str) else "?")


def _unread_instruments(
    data: dict[str, Any], devices: Sequence[str], file: str
) -> Iterator[Problem]:
    """Yield unknown devices that instruments name which cannot be read as a whole."""
    rows = data.get("instruments", [])
    read = {number for number, _ in _readable(data, "instruments", INSTRUMENTS)}
    for number, row in enumerate(rows if isinstance(rows, list) else []):
        if number not in read and isinstance(row, dict):
            device = row.get("device", "")
            if isinstance(device, str) and device not in ("", *devices):
                place = f"instruments.{number} ({row.get('name', '?')}).device"
                yield _unknown(file, place, device, devices)


def _readable(data: dict[str, Any], key: str, adapter: TypeAdapter[P]) -> Iterator[tuple[int, P]]:
    """Yield the entries of a list that could be read, with their numbers."""
    rows = data.get(key, [])
    for number, row in enumerate(rows if isinstance(rows, list) else []):
        try:
            yield number, adapter.validate_python(row)
        except ValidationError:
            continue


def _interlock(
    locks: Sequence[tuple[int, Interlock]],
    devices: Sequence[Read],
    instruments: Sequence[InstrumentEntry],
    data: dict[str, Any],
    file: str,
) -> Iterator[Problem]:
    by_name = {d.name: d for d in devices}
    roles = {i.name: role_of(i) for i in instruments}
    rows = data.get("instruments")
    named = [r.get("name") for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []
    seen: dict[str, int] = {}
    for number, lock in locks:
        place = f"interlock.{number} ({lock.name})"
        before = seen.setdefault(lock.name, number)
        if before != number:
            yield Problem(file, f"{place}.name", f"as interlock.{before}", "a name of its own")
        if lock.device and lock.device not in by_name:
            yield _unknown(file, f"{place}.device", lock.device, list(by_name))
        elif lock.instrument and lock.instrument not in (*roles, *named):
            yield _unknown(file, f"{place}.instrument", lock.instrument, list(roles))
        else:
            known = (
                _readings(by_name[lock.device])
                if lock.device
                else QUANTITIES.get(roles.get(lock.instrument, ""))
            )
            if known is not None and lock.point not in known:
                yield _unknown(file, f"{place}.point", lock.point, known)


def _readings(read: Read) -> list[str] | None:
    """Return the numbers that a device shows; None where its map cannot be read."""
    one = read.register_map()
    if one is None:
        return None
    return [p.name for p in one.points if "r" in p.access and p.type != "string"]


def _unknown(file: str, place: str, given: str, known: Sequence[str]) -> Problem:
    allowed = f"one of {', '.join(known) or 'none'}{did_you_mean(given, known)}"
    return Problem(file, place, repr(given), allowed)
