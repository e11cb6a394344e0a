"""The register map suite: whether every point of the table is there, as the table says.

Addresses, gaps and access are told from the device's answers, limits and read-back from writes;
scales, signs and word orders from physics: nameplate, meter, and what an order should do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.bench.blocks import blocks
from hil.bench.errors import Forbidden
from hil.certify.limits import measurements
from hil.certify.measurement import Path
from hil.certify.procedure import Context, Procedure, Step, Suite
from hil.certify.subject import Subject
from hil.certify.suites import asking
from hil.certify.suites.counters import CHANGES, changes
from hil.certify.suites.readings import READINGS, STATED, levels, stated
from hil.certify.suites.writing import limits, read_back
from hil.registers.schema import RegisterMap, TableName, WirePoint

__all__ = ["SUITE"]

TABLE = Path("wire", "answers of the device")
AS_TABLE = "as in the point table"
ENOUGH = 5  # findings of one sort
MOST_GAPS = 10
# What comes of a read over the edge of a gap, and of one inside it, by the table's policy.
POLICY = {
    ("refused", "refused"): "any", ("shown", "refused"): "all", ("shown", "shown"): "zero",
}  # fmt: skip


def procedures(subject: Subject) -> Sequence[Procedure]:
    """Return the procedures for a subject."""
    del subject
    m = measurements("register-map")
    addresses = ("points_missing", "blocks_refused", "beyond_table")
    access = ("not_readable", "not_writable", "read_only_written")
    bounds = ("limits_refused", "limits_passed")
    back = ("read_back_wrong", "read_back_time")
    return [
        Procedure("addresses", "Addresses", "地址", [m[i] for i in addresses],
                  [Step("points", _points, addresses[:2]), Step("ends", _ends, addresses[2:])]),
        Procedure("gaps", "Gaps", "空寄存器", [m["gap_policy"]],
                  [Step("gaps", _gaps, ("gap_policy",))]),
        Procedure("access", "Access", "读写权限", [m[i] for i in access],
                  [Step("writable", _writable, access[:2]),
                   Step("read-only", _read_only, access[2:])]),
        Procedure("limits", "Limits", "限值", [m[i] for i in bounds],
                  [Step("limits", limits, bounds)]),
        Procedure("read-back", "Read-back", "回读", [m[i] for i in back],
                  [Step("read-back", read_back, back)]),
        Procedure("readings", "Readings", "读数", [m[i] for i in (*STATED, *READINGS, *CHANGES)],
                  [Step("stated", stated, STATED), Step("levels", levels, READINGS),
                   Step("changes", changes, CHANGES)]),
    ]  # fmt: skip


SUITE = Suite("register-map", "Register map", "点表", procedures)


# -- addresses -----------------------------------------------------------------------------------


def _points(c: Context) -> None:
    """Read every read-only point in blocks, and alone what a block does not give."""
    one = c.subject.map
    only = [p for p in one.points if p.access == "r"]
    found = asking.read(c.subject, [p.name for p in only])
    missing = [n for n, sample in found.items() if sample.code != 0]
    series = c.series("points", "time_s", "point", "table", "address", "words", "value")
    for point in only:
        sample = found[point.name]
        words = " ".join(f"{w:04x}" for w in sample.words)
        series.add(round(sample.at_s, 3), point.name, point.table, point.address, words,
                   sample.value)  # fmt: skip
    refused = []
    if not missing:
        for block in blocks(only, one.longest_read):
            if asking.refusal(c.subject, block.table, block.address, block.count) != 0:
                refused.append(
                    f"{block.table} {block.address} to {block.address + block.count - 1}"
                )
    c.take("points_missing", float(len(missing)), 0.0, TABLE, _named(missing))
    c.take("blocks_refused", float(len(refused)), 0.0, TABLE, _named(refused))


def _ends(c: Context) -> None:
    """Read the address behind the last of each table."""
    answered = []
    for table, points in _by_table(c.subject.map):
        end = max(p.address + p.width for p in points)
        if end > 0xFFFF or _reserved(c.subject.map, table, end, end):
            continue
        if asking.refusal(c.subject, table, end, 1) == 0:
            answered.append(f"{table} {end}")
    c.take("beyond_table", float(len(answered)), 0.0, TABLE, _named(answered))


def _gaps(c: Context) -> None:
    """Read over the edge of holes between two points, and inside them, narrow ones first."""
    one = c.subject.map
    holes = [
        (table, first, last)
        for table, points in _by_table(one)
        if table in ("input", "holding")
        for first, last in _holes(points)
        if not _reserved(one, table, first, last)
    ]
    if one.gaps != "any":  # what one read cannot span is no gap in the table's sense
        holes = [h for h in holes if h[2] - h[1] + 3 <= one.longest_read]
    if not holes:
        c.leave("gap_policy", "the table has no gap between two points")
        return
    holes.sort(key=lambda h: h[2] - h[1])
    other, judged = [], 0
    for table, first, last in holes[:MOST_GAPS]:
        middle = (first + last) // 2
        over, inside = _met(c, table, first - 1, first), _met(c, table, middle, middle)
        if _met(c, table, first, first) != inside:
            c.note(f"gap in {table} from {first} to {last}: begins elsewhere, see the addresses")
            continue
        said = POLICY.get((over, inside), f"{over} over it, {inside} inside it")
        c.note(f"gap in {table} from {first} to {last}: {said}; the table says {one.gaps}")
        judged += 1
        if said != one.gaps:
            other.append(said)
    if judged == 0:
        c.doubt("gap_policy", "no gap is where the table has it")
        return
    c.take("gap_policy", other[0] if other else AS_TABLE, 0.0, TABLE)


def _met(c: Context, table: TableName, first: int, last: int) -> str:
    return "refused" if asking.refusal(c.subject, table, first, last - first + 1) else "shown"


def _holes(points: Sequence[WirePoint]) -> Iterator[tuple[int, int]]:
    """Yield first and last address of each hole between points."""
    end = 0
    for number, point in enumerate(sorted(points, key=lambda p: p.address)):
        if number > 0 and point.address > end:
            yield end, point.address - 1
        end = max(end, point.address + point.width)


def _by_table(one: RegisterMap) -> list[tuple[TableName, list[WirePoint]]]:
    tables = dict.fromkeys(p.table for p in one.points if "r" in p.access)
    return [(t, [p for p in one.points if p.table == t]) for t in tables]


def _reserved(one: RegisterMap, table: TableName, first: int, last: int) -> bool:
    return any(r.table == table and r.first <= last and first <= r.last for r in one.reserved)


# -- access --------------------------------------------------------------------------------------


def _writable(c: Context) -> None:
    """Read what can be read and written, and write the value that it shows."""
    device = c.subject.device
    both = [p for p in c.subject.map.points if p.access == "rw"]
    shown = asking.read(c.subject, [p.name for p in both])
    deaf, closed = [n for n, s in shown.items() if s.code != 0], []
    for point in c.subject.map.points:
        if "w" not in point.access:
            continue
        sample = shown.get(point.name)
        if sample is not None and sample.value is not None:
            value = sample.value
        elif point.name in device.safe_state:
            value = device.safe_state[point.name]
        else:
            continue
        try:
            done = asking.write(c.subject, point.name, value)
        except Forbidden as kept:
            c.note(str(kept))
            continue
        if not done.accepted:
            closed.append(f"{point.name} (exception {done.code})")
    c.take("not_readable", float(len(deaf)), 0.0, TABLE, _named(deaf))
    c.take("not_writable", float(len(closed)), 0.0, TABLE, _named(closed))


def _read_only(c: Context) -> None:
    """Write to read-only registers the value that they show."""
    only = [
        p for p in c.subject.map.points
        if p.table in ("coil", "holding") and p.access == "r" and p.bit is None
    ]  # fmt: skip
    taken = []
    for name, sample in asking.read(c.subject, [p.name for p in only]).items():
        point = c.subject.map.point(name)
        if not sample.words:
            continue
        try:
            code = asking.send(c.subject, point.table, point.address, sample.words)
        except Forbidden as kept:
            c.note(str(kept))
            continue
        if code == 0:
            taken.append(name)
        if len(taken) >= ENOUGH:
            break
    if not only:
        c.leave("read_only_written", "no read-only point lies where a write could reach it")
        return
    c.take("read_only_written", float(len(taken)), 0.0, TABLE, _named(taken))


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - ENOUGH} more" if len(names) > ENOUGH else ""
    return ", ".join(names[:ENOUGH]) + more
