"""`hil poll`: live values of devices that stand on the network."""

from __future__ import annotations

import csv
import ipaddress
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.markup import escape

from hil.headend import DeviceEntry, HeadEnd
from hil.registers.kinds import catalogue
from hil.testbed.places import COLUMNS, DISPATCHER
from twin.cli import OUT
from twin.errors import InputProblems, Problem
from twin.record.columns import Columns
from twin.record.exchange import KindInventory, Quality, Reading

__all__ = ["poll_once", "read_inventory"]

LONGEST_S = 10.0  # of a round


def read_inventory(path: Path) -> list[dict[str, str]]:
    """Return the rows of an inventory file.

    Raises InputProblems with every row that names no device.
    """
    if not path.is_file():
        problem = Problem(str(path), "file", "does not exist", "a CSV of `hil serve --inventory`")
        raise InputProblems([problem])
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            fields, rows = reader.fieldnames or (), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputProblems([Problem(str(path), "file", str(error), "a CSV in UTF-8")]) from None
    missing = [c for c in COLUMNS if c not in fields]
    if missing:
        allowed = "columns " + ", ".join(COLUMNS)
        raise InputProblems([Problem(str(path), "header", f"lacks {', '.join(missing)}", allowed)])
    found = [
        Problem(str(path), f"row {number}", *wrong)
        for number, row in enumerate(rows, start=2)
        for wrong in _wrong(row)
    ]
    if found:
        raise InputProblems(found)
    return rows


def _wrong(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what of a row names no device, and what would have been right."""
    known = catalogue()
    if row["kind"] not in known:
        yield f"kind {row['kind']!r}", "one of " + ", ".join(known)
    try:
        ipaddress.IPv4Address(row["address"])
    except ValueError:
        yield f"address {row['address']!r}", "an IPv4 address"
    for name, least, most in (("port", 1, 65535), ("unit", 0, 255)):
        if not (row[name].isdecimal() and least <= int(row[name]) <= most):
            yield f"{name} {row[name]!r}", f"a whole number, {least} to {most}"


def poll_once(
    inventory: Path, kind: str | None, name: str | None, seconds: float, rounds: int, as_json: bool
) -> None:
    """Read devices and show what they say, `rounds` times (0: until interrupted).

    Raises InputProblems where the file names no such device.
    """
    rows = [
        row
        for row in read_inventory(inventory)
        if row["kind"] != DISPATCHER and kind in (None, row["kind"]) and name in (None, row["name"])
    ]
    if not rows:
        chosen = f"--kind {kind}" if name is None else f"--name {name}"
        raise InputProblems([Problem(str(inventory), chosen, "no device", "one of the file")])
    kinds, entries, names = _fleet(rows)
    with HeadEnd(entries, kinds) as headend:
        headend.connect(LONGEST_S)
        number = 0
        try:
            while True:
                number += 1
                begun = time.monotonic()
                readings = headend.poll(tuple(kinds), int(time.time() * 1000.0), LONGEST_S)
                _show(readings, kinds, names, as_json)
                if number == rounds:
                    break
                time.sleep(max(seconds - (time.monotonic() - begun), 0.0))
        except KeyboardInterrupt:
            pass  # the way in which polling ends


def _fleet(
    rows: Sequence[Mapping[str, str]],
) -> tuple[dict[str, KindInventory], list[DeviceEntry], dict[str, list[str]]]:
    """Return kinds and devices of inventory rows; ratings are not known here and taken as 1."""
    known = catalogue()
    names: dict[str, list[str]] = {}
    entries = []
    for row in rows:
        here = names.setdefault(row["kind"], [])
        entries.append(
            DeviceEntry(
                row["kind"], len(here), row["address"], int(row["port"]), int(row["unit"]),
                row["map"],
            )
        )  # fmt: skip
        here.append(row["name"])
    kinds = {
        k: KindInventory(
            k,
            tuple(known[k].points.values()),
            tuple(known[k].setpoints.values()),
            Columns({"rated_kw": np.ones(len(n))}),
        )
        for k, n in names.items()
    }
    return kinds, entries, names


def _show(
    readings: Mapping[str, Reading],
    kinds: Mapping[str, KindInventory],
    names: Mapping[str, Sequence[str]],
    as_json: bool,
) -> None:
    if as_json:
        shown = {
            name: {
                "quality": Quality(int(reading.quality[i])).name.lower(),
                **{
                    p.name: None if np.isnan(v) else round(float(v), 6)
                    for p, v in zip(kinds[kind].points, reading.value[:, i], strict=True)
                },
            }
            for kind, reading in readings.items()
            for i, name in enumerate(names[kind])
        }
        sys.stdout.write(json.dumps(shown, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    for kind, reading in readings.items():
        OUT.print(f"[bold]{kind}[/bold]", highlight=False)
        wide = max(len(n) for n in names[kind])
        for i, name in enumerate(names[kind]):
            quality = Quality(int(reading.quality[i])).name.lower()
            values = (
                f"{p.name} {'–' if np.isnan(v) else f'{v:g}'} {'' if p.unit == '1' else p.unit}"
                for p, v in zip(kinds[kind].points, reading.value[:, i], strict=True)
            )
            line = f"  {name:<{wide}}  {quality:<7}  " + ", ".join(v.rstrip() for v in values)
            OUT.print(escape(line), highlight=False, soft_wrap=True)
