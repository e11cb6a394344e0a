"""Orders and disturbances of a scenario, as the engine takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from twin.assets.manners import Manner
from twin.city.spelling import did_you_mean
from twin.clock import parse_time_of_day
from twin.engine.timeline import BranchOutage, ContactLoss, Entry, MannerChange, Phase
from twin.errors import Problem
from twin.record.exchange import Inventory
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind
from twin.scenario.schema import Scenario
from twin.scenario.wire_schema import TWIN_SIDE, MannerSection


def orders_of(scenario: Scenario, max_load_mw: float) -> tuple[Order, ...]:
    """Return the scenario's orders by time of notice; percentages are of `max_load_mw`."""
    orders = [
        Order(
            id=row.id,
            revision=0,
            kind=OrderKind(row.kind),
            form=OrderForm(row.form),
            mw=row.mw if row.percent is None else row.percent / 100.0 * max_load_mw,
            level=row.level,
            notice_ms=parse_time_of_day(row.notice),
            start_ms=parse_time_of_day(row.start),
            full_by_ms=parse_time_of_day(row.full_by),
            end_ms=parse_time_of_day(row.end),
            warning_min=row.warning_min,
        )
        for row in scenario.orders
    ]
    return tuple(sorted(orders, key=lambda o: (o.notice_ms, o.id)))


def notice_entry(order: Order) -> Entry:
    """Return the timeline entry by which an order becomes known."""
    notice = Notice(order.notice_ms, NoticeKind.ORDER, order)
    return Entry(order.notice_ms, Phase.DISTURB, 0, 0, 0, notice)


def timeline_of(scenario: Scenario) -> tuple[Entry, ...]:
    """Return what goes wrong by itself; orders join when their fork is made."""
    entries: list[Entry] = []
    for number, row in enumerate(scenario.disturbances, start=1):
        for when, restored in ((row.at, False), (row.until, True)):
            if when is None:
                continue
            what: ContactLoss | BranchOutage
            if row.what == "contact_loss":
                what = ContactLoss(f"{number}", str(row.kind), row.share, restored)
            else:
                what = BranchOutage(str(row.branch), restored)
            entries.append(Entry(parse_time_of_day(when), Phase.DISTURB, 1, 0, number, what))
    for number, manner in enumerate(scenario.manners):
        entries += _manner_entries(number, manner, parse_time_of_day(scenario.start))
    return tuple(sorted(entries))


def _manner_entries(number: int, row: MannerSection, start_ms: int) -> Iterator[Entry]:
    """Yield begin and end of a manner, as far as it is of this side of the wire."""
    if not any(row.given(name) for name in TWIN_SIDE):
        return
    begin = MannerChange(
        number,
        row.kind,
        Manner(point=row.point, **{name: getattr(row, name) for name in TWIN_SIDE}),
        share=1.0 if row.share is None else row.share,
        rows=row.rows,
        map=row.map,
    )
    at_ms = start_ms if row.at is None else parse_time_of_day(row.at)
    yield Entry(at_ms, Phase.DISTURB, 2, 0, number, begin)
    if row.until is not None:
        end = replace(begin, ended=True)
        yield Entry(parse_time_of_day(row.until), Phase.DISTURB, 2, 0, number, end)


def order_problems(scenario: Scenario, file: str, max_load_mw: float) -> list[Problem]:
    """Return the orders that ask for more than there is."""
    return [
        Problem(file, f"orders.{i}.mw", f"{row.mw:g}", f"at most the maximum load, {max_load_mw:g}")
        for i, row in enumerate(scenario.orders)
        if row.mw is not None and row.mw > max_load_mw
    ]


def branch_problems(scenario: Scenario, file: str, branches: Sequence[str]) -> list[Problem]:
    """Return the branches that the timeline names and the network has not."""
    known = sorted(set(branches))
    example = f", e.g. {known[0]}" if known else ""
    return [
        Problem(
            file,
            f"disturbances.{i}.branch",
            repr(row.branch),
            f"one of the network's {len(known)} branches{example}{did_you_mean(row.branch, known)}",
        )
        for i, row in enumerate(scenario.disturbances)
        if row.branch is not None and row.branch not in known
    ]


def kind_problems(scenario: Scenario, file: str, devices: Mapping[str, int]) -> list[Problem]:
    """Return the kinds that the timeline names and of which the city has no device."""
    there = [kind for kind, number in devices.items() if number > 0]
    return [
        Problem(file, f"disturbances.{i}.kind", str(row.kind), "one of " + ", ".join(there))
        for i, row in enumerate(scenario.disturbances)
        if row.kind is not None and row.kind not in there
    ]


def manner_problems(scenario: Scenario, file: str, inventory: Inventory) -> list[Problem]:
    """Return kinds, devices and points that the manners name and that are not there."""
    there = [kind for kind, known in inventory.kinds.items() if known.n > 0]
    found: list[Problem] = []
    for i, row in enumerate(scenario.manners):
        if row.kind not in there:
            allowed = "one of " + ", ".join(there)
            found.append(Problem(file, f"manners.{i}.kind", row.kind, allowed))
            continue
        known = inventory.kinds[row.kind]
        points = [point.name for point in known.points]
        if row.point is not None and row.point not in points:
            allowed = f"one of {', '.join(points)}{did_you_mean(row.point, points)}"
            found.append(Problem(file, f"manners.{i}.point", row.point, allowed))
        for n, number in enumerate(row.rows or ()):
            if number >= known.n:
                allowed = f"a number below {known.n}, that of the {row.kind} devices"
                found.append(Problem(file, f"manners.{i}.rows.{n}", str(number), allowed))
    return found
