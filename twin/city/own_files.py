"""Reads the user's own sites, fleet and load curve: CSV, every problem at once."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twin.city.aggregators import OFFER
from twin.city.columns import KIND_FIELDS, LOAD_FIELDS, SITE_FIELDS, Field, fleet_fields
from twin.city.districts import SECTORS, Districts
from twin.city.sites import SiteBook, rounds_of
from twin.city.spelling import did_you_mean
from twin.city.tables import periodic_minutes
from twin.clock import MINUTE_MS, parse_time_of_day
from twin.errors import InputProblems, Problem
from twin.record.columns import Columns

_SITE_NAMES = tuple(spec.name for spec in SITE_FIELDS)
_COMMON = ("site", "rated_kw", "circuit", "enrolled", OFFER)  # of every kind
DEFAULT_CONTRACT = 1.3  # contracted over registered demand where the file is silent (assumed)


@dataclass(slots=True)
class OwnCsv:
    """One CSV file of the user while it is being checked."""

    path: Path
    rows: list[dict[str, str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, place: str, value: object, allowed: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(str(self.path), place, str(value), allowed))

    def finish(self) -> None:
        """Raise InputProblems if any were noted."""
        if self.problems:
            raise InputProblems(self.problems)

    def number(self, row: int, spec: Field) -> float:
        """Return one value (the field's default where the cell is empty), noting problems."""
        text = (self.rows[row].get(spec.name) or "").strip()
        place = f"line {self.lines[row]}, {spec.name}"
        if text == "":
            if spec.default is None:
                self.add(place, "empty", spec.allowed)
                return math.nan
            return spec.default
        try:
            value = float(text)
        except ValueError:
            self.add(place, text, f"a number, {spec.allowed}")
            return math.nan
        whole = not spec.whole or value == np.floor(value)
        if not (spec.low <= value <= spec.high and whole):
            self.add(place, text, spec.allowed)
            return math.nan
        return value

    def column(self, spec: Field) -> NDArray[np.float64]:
        """Return a column as float64, noting problems."""
        return np.array([self.number(row, spec) for row in range(len(self.rows))])


def open_csv(path: Path, required: Sequence[str], optional: Sequence[str]) -> OwnCsv:
    """Return the rows of a CSV file with its header checked.

    Raises InputProblems at once where the file cannot be read or the header is wrong: nothing
    further could be said about the rows then.
    """
    own = OwnCsv(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        own.add("file", error, "a readable CSV file in UTF-8")
        own.finish()
        raise AssertionError from error  # finish() has raised
    reader = csv.DictReader(text.splitlines())
    header = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = header
    known = [*required, *optional]
    for name in header:
        if name not in known:
            near = did_you_mean(name, [k for k in known if k not in header])
            own.add("header", name or "(empty)", f"one of {', '.join(known)}{near}")
        elif header.count(name) > 1:
            own.add("header", f"{name} stands twice", "each column once")
    for name in required:
        if name not in header:
            own.add("header", f"{name} is missing", "required: " + ", ".join(required))
    for row in reader:
        own.rows.append(row)
        own.lines.append(reader.line_num)
        if None in row or None in row.values():
            given = sum(1 for v in row.values() if v is not None)
            own.add(f"line {reader.line_num}", f"{given} fields", f"{len(header)} fields")
    if not own.rows:
        own.add("file", "no rows", "at least one row")
    own.finish()
    return own


def read_sites(path: Path, districts: Districts, book: SiteBook) -> dict[str, int]:
    """Add the user's sites to `book`; return the row of each site by its name.

    Required: name, district, sector, demand_kw. Optional columns see `SITE_FIELDS`; where they
    are silent a site has no terminal, no circuits, and 1.3 times its demand contracted.

    Raises InputProblems with every problem of the file.
    """
    own = open_csv(path, ("name", "district", "sector", "demand_kw"), [f.name for f in SITE_FIELDS])
    names: dict[str, int] = {}
    district, sector = [], []
    for row, line in zip(own.rows, own.lines, strict=True):
        name = row["name"].strip()
        if name == "" or name in names:
            own.add(f"line {line}, name", name or "empty", "a name that no other site has")
        names[name] = book.n + len(names)
        place = row["district"].strip()
        known = place in districts.names + districts.names_en
        if not known:
            allowed = "one of " + ", ".join(districts.names_en)
            allowed += did_you_mean(place, districts.names_en)
            own.add(f"line {line}, district", place or "empty", allowed)
        district.append(districts.row(place) if known else 0)
        kind = row["sector"].strip()
        if kind not in SECTORS:
            own.add(f"line {line}, sector", kind or "empty", "one of " + ", ".join(SECTORS))
        sector.append(SECTORS.index(kind) if kind in SECTORS else 0)
    demand_kw = own.column(Field("demand_kw", 1e-6, 1e7, None, "kW above 0"))
    given: dict[str, object] = {f.name: own.column(f) for f in SITE_FIELDS}
    shares = sum(
        np.asarray(given[name], dtype=np.float64)
        for name in ("security_share", *(f"circuit_share_{k}" for k in range(1, 5)))
    )
    for row_number in np.flatnonzero(np.asarray(shares) > 1.0 + 1e-9):
        place = f"line {own.lines[int(row_number)]}"
        own.add(place, f"shares sum to {np.asarray(shares)[row_number]:g}", "at most 1 in all")
    own.finish()
    contracted = np.asarray(given["contracted_kw"], dtype=np.float64)
    given["contracted_kw"] = np.where(contracted > 0.0, contracted, DEFAULT_CONTRACT * demand_kw)
    book.append(len(own.rows), district=district, sector=sector, demand_kw=demand_kw, **given)
    return names


def read_fleet(
    path: Path, book: SiteBook, names: Mapping[str, int] | None = None
) -> dict[str, Columns]:
    """Return registered nameplates by kind from one table with a column ``kind``.

    ``site`` is a name of the user's sites file, or the row number where sites are synthetic.
    ``circuit`` is 1 to 4, or 0 and empty for none. A device needs the columns of its kind and
    leaves those of other kinds empty.

    Raises InputProblems with every problem of the file.
    """
    own = _open_fleet(path)
    made = _fleet_rows(own, book.n, names, rounds_of(book))
    own.finish()
    return {kind: _nameplate(columns, book) for kind, columns in made.items()}


def fleet_problems(path: Path, names: Mapping[str, int] | None, sites: int | None) -> list[Problem]:
    """Return what is wrong with a fleet file as far as can be said without the sites' circuits.

    `names` and `sites` as far as they are known; None leaves out the check of the sites.
    """
    try:
        own = _open_fleet(path)
    except InputProblems as error:
        return list(error.problems)
    _fleet_rows(own, sites, names, None)
    return own.problems


def _open_fleet(path: Path) -> OwnCsv:
    return open_csv(
        path, ("kind", "site", "rated_kw"), [n for n in fleet_fields() if n != "rated_kw"]
    )


def _fleet_rows(
    own: OwnCsv,
    sites: int | None,
    names: Mapping[str, int] | None,
    rounds: NDArray[np.int64] | None,
) -> dict[str, dict[str, list[float]]]:
    """Return the columns of each kind, noting problems; `rounds` are the sites' circuits."""
    known = fleet_fields()
    made: dict[str, dict[str, list[float]]] = {
        kind: {n: [] for n in (*_COMMON, *fields)} for kind, fields in KIND_FIELDS.items()
    }
    for row, cells in enumerate(own.rows):
        place = f"line {own.lines[row]}"
        kind = cells["kind"].strip()
        if kind not in made:
            own.add(f"{place}, kind", kind, f"one of {', '.join(made)}{did_you_mean(kind, made)}")
            continue
        site = site_row(own, place, cells["site"].strip(), sites, names)
        circuit = own.number(row, known["circuit"])
        if site is not None and rounds is not None and circuit > rounds[site]:
            own.add(f"{place}, circuit", f"{circuit:g}", f"at most {rounds[site]} at this site")
        columns = made[kind]
        columns["site"].append(-1 if site is None else site)
        columns["circuit"].append(circuit - 1)
        columns["rated_kw"].append(own.number(row, known["rated_kw"]))
        enrolled = own.number(row, known["enrolled"])
        columns["enrolled"].append(0.0 if kind == "solar" else enrolled)
        columns[OFFER].append(own.number(row, known[OFFER]))
        for name, spec in KIND_FIELDS[kind].items():
            columns[name].append(own.number(row, spec))
        for name in cells:
            foreign = name in known and name not in columns and name not in ("kind", "site")
            if foreign and (cells[name] or "").strip() != "":
                own.add(f"{place}, {name}", cells[name], f"empty: {kind} has no such column")
    return made


def site_row(
    own: OwnCsv, place: str, text: str, sites: int | None, names: Mapping[str, int] | None,
    column: str = "site",
) -> int | None:  # fmt: skip
    """Return the row of the site that a cell names, or None after noting that there is none.

    With neither names nor a number of sites nothing can be said.
    """
    if names is not None:
        if text in names:
            return names[text]
        allowed = f"a name of the sites file{did_you_mean(text, names)}"
        own.add(f"{place}, {column}", text or "empty", allowed)
        return None
    if sites is None:
        return None
    if text.isdecimal() and int(text) < sites:
        return int(text)
    allowed = f"a row of the synthetic sites, 0 to {sites - 1}"
    own.add(f"{place}, {column}", text or "empty", allowed)
    return None


def _nameplate(columns: Mapping[str, list[float]], book: SiteBook) -> Columns:
    """Return the columns of one kind in the types of the contract."""
    n = len(columns["site"])
    made: dict[str, NDArray[np.generic]] = {
        name: np.array(values, dtype=np.float64) for name, values in columns.items()
    }
    made["site"] = np.array(columns["site"], dtype=np.int64)
    made["circuit"] = np.array(columns["circuit"], dtype=np.int8)
    made["enrolled"] = np.array(columns["enrolled"], dtype=np.float64) > 0.5
    made["district"] = book.i8("district")[np.asarray(made["site"], dtype=np.int64)]
    for name in ("use", "posts", "packs"):
        if name in made:
            made[name] = np.array(columns[name], dtype=np.int64)
    return Columns(made, n)


def read_load_shape(path: Path) -> tuple[NDArray[np.float64], float]:
    """Return (float64[1440] curve with maximum 1, maximum in MW) of ``time,load_mw`` rows.

    Times rise through one day, 4 rows or more; minutes between are interpolated and the day is
    a ring. Raises InputProblems with every problem of the file.
    """
    own = open_csv(path, ("time", "load_mw"), ())
    load_mw = own.column(LOAD_FIELDS["load_mw"])
    minutes: list[int] = []
    for row, line in zip(own.rows, own.lines, strict=True):
        text = row["time"].strip()
        try:
            minute = parse_time_of_day(text) // MINUTE_MS
        except ValueError:
            own.add(f"line {line}, time", text, "a time of day such as 13:15")
            continue
        if minute >= 1440 or (minutes and minute <= minutes[-1]):
            own.add(f"line {line}, time", text, "later than the line before, before 24:00")
        minutes.append(minute)
    if len(own.rows) < 4:
        own.add("file", f"{len(own.rows)} rows", "4 rows or more")
    own.finish()
    curve = periodic_minutes(np.array(minutes, dtype=np.int64), load_mw)
    most_mw = float(curve.max())
    return curve / most_mw, most_mw


def site_names(path: Path) -> dict[str, int] | None:
    """Return the names in a sites file by row, or None where it has no such column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
            found = [row.get("name") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    names = [name.strip() for name in found if name is not None]
    return {name: row for row, name in enumerate(names)} if len(names) == len(found) else None


def check_busbars(path: Path, sites: Columns, busbars: int) -> None:
    """Raise InputProblems for every site whose busbar the network does not have."""
    busbar = sites.i8("busbar")
    wrong = np.flatnonzero(busbar >= busbars)
    if len(wrong) > 0:
        lines = open_csv(path, (), ("name", "district", "sector", "demand_kw", *_SITE_NAMES)).lines
        raise InputProblems(
            Problem(
                str(path),
                f"line {lines[row]} = row {row + 1}, busbar",
                str(busbar[row]),
                f"0 to {busbars - 1}",
            )
            for row in wrong.tolist()
        )
