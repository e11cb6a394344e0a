"""What an import inferred, what it will not decide, and what the user chose."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from twin.errors import InputProblems, Problem

__all__ = ["OPTIONS", "Choices", "Doubt", "Finding", "Notes", "Option", "Place", "read_choices"]


@dataclass(frozen=True, slots=True)
class Finding:
    """An inference.

    Attributes
    ----------
    place : sheet and rows, or the file
    what : that was taken to be so
    evidence : for it
    alternatives : readings that were set aside
    """

    place: str
    what: str
    evidence: str
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One reading of a doubt.

    Attributes
    ----------
    value : for the field of `Choices`
    text : on the command line, such as ``--base 1``
    reading : what the table would then say, by an example; empty where none could be made
    """

    value: str
    text: str
    reading: str = ""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A question that the table leaves open; `field` of `Choices` answers it."""

    field: str
    place: str
    what: str
    evidence: str
    options: tuple[Option, ...]

    def problem(self, file: str) -> Problem:
        """Return the doubt as a problem whose allowed values are the options."""
        allowed = [o.text + (f" ({o.reading})" if o.reading != "" else "") for o in self.options]
        return Problem(
            file, self.place, f"{self.what} ({self.evidence})", "choose " + " or ".join(allowed)
        )


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user states about a table, each None or empty where the table shall speak.

    Attributes
    ----------
    kind, name : of the map; the kind is one of the twin's
    base : ``0``, ``1``, or ``modicon`` (40001 is the first holding register)
    notation : ``decimal`` or ``hex``, of addresses without a mark
    scale : what a column of coefficients or of precision holds: ``factor`` (value = raw x it),
        ``divisor`` (value = raw / it) or ``decimals`` (value = raw / 10^it)
    order : byte order of values wider than a register
    encoding : of a text file
    sheets : to read, by name; other sheets are left out
    unit : rows of this station number only
    tables : pairs (class, table) for points whose table is not stated, the first that fits
    access : ``r`` or ``rw`` of holding registers of which nothing is said
    type : of points of one register without a type
    int_bits : ``16`` or ``32``, what a bare INT is
    sign : ``unsigned`` or ``signed``, of whole numbers of which nothing is said
    length : ``registers`` or ``bytes``, what a column of lengths counts
    bit_base : ``0`` or ``1``, the number of the least bit
    limits : ``value`` (in the point's unit) or ``raw``
    """

    kind: str | None = None
    name: str | None = None
    base: str | None = None
    notation: str | None = None
    scale: str | None = None
    order: str | None = None
    encoding: str | None = None
    sheets: tuple[str, ...] = ()
    unit: str | None = None
    tables: tuple[tuple[str, str], ...] = ()
    access: str | None = None
    type: str | None = None
    int_bits: str | None = None
    sign: str | None = None
    length: str | None = None
    bit_base: str | None = None
    limits: str | None = None

    def table(self, cls: str, allowed: Container[str]) -> str | None:
        """Return the first table chosen for a class that a point may lie in, or None.

        A class may have several: numbers in registers, bits in a table of bits.
        """
        return next((t for c, t in self.tables if c == cls and t in allowed), None)


# Field: option of the command line, allowed values (none: free text).
OPTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "kind": ("--kind", ()),
    "name": ("--name", ()),
    "base": ("--base", ("0", "1", "modicon")),
    "notation": ("--notation", ("decimal", "hex")),
    "scale": ("--scale", ("factor", "divisor", "decimals")),
    "order": ("--order", ("ABCD", "CDAB", "BADC", "DCBA")),
    "encoding": ("--encoding", ("utf-8", "gb18030", "gbk", "big5", "utf-16", "cp1252")),
    "sheets": ("--sheet", ()),
    "unit": ("--unit", ()),
    "tables": ("--table", ()),
    "access": ("--access", ("r", "rw")),
    "type": ("--type", ("u16", "i16")),
    "int_bits": ("--int-bits", ("16", "32")),
    "sign": ("--sign", ("unsigned", "signed")),
    "length": ("--length", ("registers", "bytes")),
    "bit_base": ("--bit-base", ("0", "1")),
    "limits": ("--limits", ("value", "raw")),
}
CLASSES = ("yc", "yx", "yk", "yt")
TABLES = ("coil", "discrete", "input", "holding")


def read_choices(given: Mapping[str, str | Sequence[str] | None]) -> Choices:
    """Return the choices that a command line gives.

    Parameters
    ----------
    given : by field of `Choices`; None and an empty list are not given. ``tables`` is a list of
        texts ``yc=input``

    Raises
    ------
    InputProblems  every value that is not allowed
    """
    problems = []
    found: dict[str, object] = {}
    for name, value in given.items():
        option, allowed = OPTIONS[name]
        if value is None or len(value) == 0:
            continue
        if name == "sheets":
            found[name] = (value,) if isinstance(value, str) else tuple(value)
        elif name == "tables":
            texts = [value] if isinstance(value, str) else list(value)
            pairs = [tuple(text.split("=", 1)) for text in texts]
            for text, pair in zip(texts, pairs, strict=True):
                if len(pair) != 2 or pair[0] not in CLASSES or pair[1] not in TABLES:
                    words = f"CLASS=TABLE with {', '.join(CLASSES)} and {', '.join(TABLES)}"
                    problems.append(Problem("command line", option, repr(text), words))
            found[name] = tuple(pairs)
        elif not isinstance(value, str) or (allowed and value not in allowed):
            problems.append(Problem("command line", option, repr(value), " or ".join(allowed)))
        elif name == "unit" and not (value.isdecimal() and 1 <= int(value) <= 247):
            problems.append(Problem("command line", option, repr(value), "1 to 247"))
        else:
            found[name] = value
    if problems:
        raise InputProblems(problems)
    return Choices(**found)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A row of a sheet (`sheet` is empty for text files; `row` 0 is the sheet as a whole)."""

    sheet: str
    row: int = 0

    def __str__(self) -> str:
        row = f"row {self.row}" if self.row > 0 else ""
        sheet = f"sheet {self.sheet}" if self.sheet != "" else ""
        return ", ".join(part for part in (sheet, row) if part != "") or "file"


@dataclass(slots=True)
class Notes:
    """Findings, doubts and problems as they come up; `file` is named in problems.

    A finding that holds for many rows is one finding whose place names them all.
    """

    file: str
    _problems: dict[Problem, None] = field(default_factory=dict, init=False)
    _found: dict[tuple[str, str, tuple[str, ...]], list[Place]] = field(
        default_factory=dict, init=False
    )
    _doubts: dict[str, tuple[list[Place], str, str, tuple[str, ...]]] = field(
        default_factory=dict, init=False
    )

    def find(
        self, place: Place, what: str, evidence: str, alternatives: Iterable[str] = ()
    ) -> None:
        """Note an inference."""
        self._found.setdefault((what, evidence, tuple(alternatives)), []).append(place)

    def doubt(
        self, name: str, place: Place, what: str, evidence: str, values: Iterable[str]
    ) -> None:
        """Note an open question, once a field; ``tables`` once for each set of answers."""
        allowed = tuple(values)
        key = " ".join((name, *allowed)) if name == "tables" else name
        places, _, _, before = self._doubts.setdefault(key, ([], what, evidence, allowed))
        places.append(place)
        # Only what fits every row that is in doubt is left to choose from.
        if before != allowed:
            both = tuple(v for v in before if v in allowed) or before
            self._doubts[key] = (places, what, evidence, both)

    def wrong(self, place: Place, column: str, value: object, allowed: str) -> None:
        """Note a problem in a cell; `column` may be empty."""
        where = f"{place}: {column}" if column != "" else str(place)
        self.add(Problem(self.file, where, str(value) if value != "" else "empty", allowed))

    def add(self, problem: Problem) -> None:
        """Note a problem, once."""
        self._problems.setdefault(problem)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems so far."""
        return tuple(self._problems)

    def findings(self) -> tuple[Finding, ...]:
        """Return the findings, each with all its places."""
        return tuple(
            Finding(places_text(places), what, evidence, alternatives)
            for (what, evidence, alternatives), places in self._found.items()
        )

    def doubts(self) -> tuple[Doubt, ...]:
        """Return the doubts, without readings."""
        found = []
        for key, (places, what, evidence, values) in self._doubts.items():
            name = key.split(" ")[0]
            options = tuple(Option(v, f"{OPTIONS[name][0]} {v}") for v in values)
            found.append(Doubt(name, places_text(places), what, evidence, options))
        return tuple(found)


def places_text(places: Sequence[Place]) -> str:
    """Return places as text, rows that follow each other drawn together.

    >>> places_text([Place("", 2), Place("", 3), Place("", 4), Place("", 9)])
    'rows 2..4, 9'
    """
    texts = []
    for sheet in dict.fromkeys(place.sheet for place in places):
        rows = sorted({place.row for place in places if place.sheet == sheet and place.row > 0})
        runs: list[list[int]] = []
        for row in rows:
            if runs and row == runs[-1][-1] + 1:
                runs[-1].append(row)
            else:
                runs.append([row])
        shown = [str(r[0]) if len(r) == 1 else f"{r[0]}..{r[-1]}" for r in runs]
        if len(rows) > 1:
            listed = "rows " + ", ".join(shown)
            texts.append(f"sheet {sheet}, {listed}" if sheet != "" else listed)
        else:
            texts.append(str(Place(sheet, rows[0] if rows else 0)))
    return "; ".join(texts)
