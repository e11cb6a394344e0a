"""The market of demand response: VPPs bid what they can hold, the cheapest are awarded.

At the notice each VPP bids by kind: the power that its devices are estimated to sustain over
the order's window, at the devices' registered asking prices. Bids are ranked by price plus
what the reduction costs people (a building that warms above 26 °C), which rises with how much
of a building is taken; nobody is paid for that part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.baselines.habits import FLEXIBLE
from twin.control.market.aggregators import Aggregators, Answer
from twin.control.market.bids import NOTHING_KW, Bidders, Offers, bid_table, collect
from twin.control.market.clearing import Blocks, NetworkLimits, clear_blocks
from twin.record.costs import costs
from twin.record.exchange import Calendar, Inventory
from twin.record.market import MarketRules, market_rules
from twin.record.onboarding import live as live_devices
from twin.record.orders import Order, OrderForm, OrderKind
from twin.record.table import Table
from twin.units import KW_PER_MW

SHORT_SHARE = 0.02  # of the order that may be missing before bids are cleared anew (assumed)
AGAIN_MS = 2 * MINUTE_MS  # between two clearings for what is missing (assumed)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Clearing:
    """What came of one clearing.

    Attributes
    ----------
    award : by kind, float64[n], part of the capability that is accepted, 0 to 1
    price_cny_kwh : the dearest accepted bid; under pay-as-bid the mean of those accepted
    asked_mw, mw, short_mw : the order (without margin), what is awarded, what bids leave short
    refused : by VPP, why it may not take part
    bids : the table of bids by column
    """

    award: Mapping[str, Floats]
    price_cny_kwh: float
    asked_mw: float
    mw: float
    short_mw: float
    refused: Mapping[int, Answer]
    bids: Mapping[str, NDArray[np.generic]]


@dataclass(slots=True)
class Cleared:
    """What the market remembers of the last clearing beside its tables."""

    order_id: str = ""
    revision: int = -1
    now_ms: int = -(10**15)
    price_cny_kwh: float = 0.0
    asked_kw: float = 0.0
    awarded_kw: float = 0.0
    left_kw: float = 0.0  # of bids that were not refused


class Market:
    """Clears bids for one order at a time.

    Parameters
    ----------
    rules : None takes the calendar's, else the shipped ones

    Attributes
    ----------
    followed : whether the dispatch keeps to the awards; the settlement then goes by them
    memory : by kind ``award`` (0..1), ``award_kw`` and ``price_cny_kwh`` of each device
    """

    def __init__(
        self, inventory: Inventory, calendar: Calendar, rules: MarketRules | None = None
    ) -> None:
        given = calendar.market if rules is None else rules
        self.rules = market_rules() if given is None else given
        self.inventory, self.calendar = inventory, calendar
        self.kinds = tuple(k for k in FLEXIBLE if k in inventory.kinds and inventory.kinds[k].n)
        self.aggregators = Aggregators(inventory, self.kinds)
        busbar = np.full(inventory.sites.n, -1, np.int64)
        if "busbar" in inventory.sites:
            busbar = inventory.sites.i8("busbar")
        self.bidders: dict[str, Bidders] = {}
        for kind in self.kinds:
            columns = inventory.kinds[kind].columns
            self.bidders[kind] = Bidders(
                columns,
                costs().offers(kind, columns),
                self.aggregators.agent[kind],
                columns.i8("district"),
                busbar[columns.i8("site")],
            )
        self.followed = False
        self.cleared = Cleared()
        rows = ("award", "award_kw", "price_cny_kwh")
        self.memory = {k: Table(rows, b.columns.n) for k, b in self.bidders.items()}
        self._reports: dict[str, Mapping[str, NDArray[np.generic]]] = {}

    # -- what evolves ----------------------------------------------------------------------

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves but `cleared`."""
        return {f"market.{k}": t for k, t in self.memory.items()}

    def plain(self) -> object:
        """Return the numbers of the last clearing."""
        return asdict(self.cleared)

    def restore(self, plain: Mapping[str, object]) -> None:
        """Take what `plain` gave."""
        self.cleared = Cleared(**plain)  # type: ignore[arg-type]

    def take_reports(self) -> dict[str, Mapping[str, NDArray[np.generic]]]:
        """Return the tables of clearings since the last call, and forget them."""
        reports, self._reports = self._reports, {}
        return reports

    # -- clearing --------------------------------------------------------------------------

    def due(self, now_ms: int, order: Order, short_kw: float = 0.0) -> bool:
        """Return whether `order` is to be cleared now.

        That is at its notice, at its start, when it has changed, and when `short_kw` is missing
        although awards are used up (a VPP has failed, devices are out of contact) and there are
        bids left.
        """
        last = self.cleared
        if (last.order_id, last.revision) != (order.id, order.revision):
            return True
        if last.now_ms < order.start_ms <= now_ms:
            return True
        missing = short_kw > SHORT_SHARE * max(last.asked_kw, 1.0)
        return (
            missing
            and last.left_kw > NOTHING_KW
            and now_ms >= max(last.now_ms, order.start_ms) + AGAIN_MS
        )

    def more_kw(self, short_kw: float) -> float:
        """Return the reduction to clear for when `short_kw` of what was awarded is missing."""
        last = self.cleared
        return min(last.asked_kw + max(short_kw, 0.0), last.awarded_kw + last.left_kw)

    def award(self, kind: str) -> Floats:
        """Return the part of each device's capability that is awarded, float64[n]."""
        return self.memory[kind]["award"]

    def awarded(self, capability: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return by kind what is awarded of `capability` [kW]."""
        return {k: kw * self.award(k) for k, kw in capability.items() if k in self.memory}

    def asked_kw(self, now_ms: int, order: Order) -> float:
        """Return the reduction to buy for `order`, without margin; infinite for a call.

        For a cap it is what the forecast lies above it at the most in the order's window.
        """
        if order.kind is OrderKind.CAPABILITY or order.mw is None:
            return float("inf")
        if order.form is not OrderForm.CAP:
            return order.mw * KW_PER_MW
        load = self.calendar.typical_load_mw
        first = max(order.start_ms, now_ms) // MINUTE_MS
        minutes = np.arange(first, max(order.end_ms // MINUTE_MS, first + 1)) % max(len(load), 1)
        over = float(np.max(load[minutes], initial=0.0)) - order.mw if len(load) else 0.0
        return max(over, 0.0) * KW_PER_MW

    def clear(
        self,
        now_ms: int,
        order: Order,
        capability: Mapping[str, Floats],
        live: Mapping[str, Flags] | None = None,
        *,
        asked_kw: float | None = None,
        network: tuple[Floats, Floats] | None = None,
        given_kw: Mapping[str, Floats] | None = None,
        held_back: Mapping[str, float] | None = None,
    ) -> Clearing:
        """Award `order`; never raises, whatever the readings behind `capability` were.

        Parameters
        ----------
        capability : by kind what each device is estimated to sustain over the window [kW]
        live : by kind who is in service; None takes what is registered (有序接入)
        asked_kw : reduction to buy in place of the order's own
        network : (matrix[rows, busbars], room_mw[rows]), ``matrix @ reduction <= room``
        given_kw : by kind what devices give already, which the room was measured with
        held_back : by kind the part of each bid that is only taken after all others, such as
            batteries' energy that cannot be paid back in time
        """
        if live is None:
            live = {k: live_devices(b.columns, now_ms) for k, b in self.bidders.items()}
        usable = {k: self._usable(k, capability, live) for k in self.kinds}
        hours = max((order.end_ms - max(order.start_ms, now_ms)) / HOUR_MS, 0.25)
        aggregators, rules = self.aggregators, self.rules
        last = {} if held_back is None else held_back
        offers = collect(self.bidders, usable, aggregators.price_cap(rules), hours, last)
        blocks = offers.blocks
        size = np.where(offers.capped, 0.0, blocks.most_kw)
        total = np.asarray(np.bincount(offers.agent, size, aggregators.n + 1), np.float64)
        refused = aggregators.refused(order, total, rules)
        out = np.zeros(aggregators.n + 1, np.bool_)
        out[list(refused)] = True
        asked = self.asked_kw(now_ms, order) if asked_kw is None else asked_kw
        asked = asked if asked > 0.0 else 0.0  # no number: nothing
        wanted = asked * (1.0 + rules.reserve_margin)
        size = np.where(out[offers.agent], 0.0, size)
        allowed = Blocks(blocks.cost, size, blocks.district, blocks.busbar)
        limits = None
        if network is not None:
            known = NetworkLimits(*map(np.asarray, network)).usable()
            moved = (known.matrix * self._by_busbar(known.matrix, given_kw)).sum(axis=1)
            limits = NetworkLimits(known.matrix, known.room_mw + moved)
        given = clear_blocks(allowed, wanted, self._district_room(allowed, asked), limits)
        left = float(size.sum()) - float(given.sum())
        cleared = Cleared(order.id, order.revision, now_ms, 0.0, asked, float(given.sum()), left)
        return self._keep(cleared, offers, given, refused)

    def barred(self, order: Order, capability: Mapping[str, Floats]) -> dict[str, Flags]:
        """Return by kind whose VPP may not take part in `order`, bool[n].

        `capability` is by kind what each device is estimated to sustain over its window [kW].
        """
        usable = {k: self._usable(k, capability, {}) for k in self.kinds}
        refused = self.aggregators.refused(order, self.aggregators.totals_kw(usable), self.rules)
        out = np.zeros(self.aggregators.n + 1, np.bool_)
        out[list(refused)] = True
        return {k: out[self.aggregators.agent[k]] for k in self.kinds}

    def _usable(
        self, kind: str, capability: Mapping[str, Floats], live: Mapping[str, Flags]
    ) -> Floats:
        """Return what each device of `kind` can bid, 0 where that is no number."""
        n = self.bidders[kind].columns.n
        kw = np.asarray(capability.get(kind, np.zeros(n)), np.float64)
        if kw.shape != (n,):
            return np.zeros(n)
        kw = np.where(np.isfinite(kw), np.maximum(kw, 0.0), 0.0)
        if kind in live:
            kw = np.where(live[kind], kw, 0.0)
        return kw

    def _by_busbar(self, matrix: Floats, kw: Mapping[str, Floats] | None) -> Floats:
        """Return what is given at each busbar of `matrix` [MW]."""
        n = matrix.shape[1]
        total = np.zeros(n)
        for kind, known in self.bidders.items():
            if kw is not None and kind in kw:
                here = (known.busbar >= 0) & (known.busbar < n)
                total += np.bincount(known.busbar[here], kw[kind][here], n)
        return total / KW_PER_MW

    def _district_room(self, blocks: Blocks, asked_kw: float) -> Floats:
        """Return the most that each district may carry [kW]."""
        n = max(len(self.inventory.districts), int(blocks.district.max(initial=-1)) + 1, 1)
        rules = self.rules
        room = np.full(n, np.inf)
        if rules.district_bid_share < 1.0:
            bid = np.bincount(blocks.district, blocks.most_kw, n)
            room = rules.district_bid_share * bid
        if rules.district_order_share < 1.0 and np.isfinite(asked_kw):
            room = np.minimum(room, rules.district_order_share * asked_kw)
        return room

    def _keep(
        self, cleared: Cleared, offers: Offers, given: Floats, refused: Mapping[int, Answer]
    ) -> Clearing:
        """Remember the awards, report the bids, return both."""
        accepted = given > NOTHING_KW
        price = float(np.max(offers.price[accepted], initial=0.0))
        awarded, asked_kw = cleared.awarded_kw, cleared.asked_kw
        if self.rules.pricing != "uniform" and awarded > 0.0:
            price = float((offers.price * given).sum()) / awarded
        award: dict[str, Floats] = {}
        for i, kind in enumerate(self.kinds):
            table, mine = self.memory[kind], offers.kind == i
            n, row = table.n, offers.row[mine]
            bid = np.bincount(row, offers.blocks.most_kw[mine], n)
            table["award_kw"] = np.bincount(row, given[mine], n)
            part = table["award_kw"] / np.where(bid > 0.0, bid, 1.0)
            table["award"] = np.clip(part, 0.0, 1.0)
            table["price_cny_kwh"] = (
                price if self.rules.pricing == "uniform" else self.bidders[kind].offer
            )
            award[kind] = table["award"].copy()
        cleared.price_cny_kwh = price
        self.cleared = cleared
        bids = bid_table(offers, given, self.kinds, self.aggregators, refused)
        rows = len(bids["mw"])
        about = {
            "cleared_ms": np.full(rows, cleared.now_ms),
            "order": np.full(rows, cleared.order_id),
        }
        bids = {**about, **bids}
        self._report("bids", bids)
        finite = asked_kw if np.isfinite(asked_kw) else awarded
        clearing = Clearing(
            award, price, finite / KW_PER_MW, awarded / KW_PER_MW,
            max(finite - awarded, 0.0) / KW_PER_MW, refused, bids,
        )  # fmt: skip
        figures = {
            "cleared_ms": np.array([cleared.now_ms]),
            "order": np.array([cleared.order_id]),
            "asked_mw": np.array([clearing.asked_mw]),
            "awarded_mw": np.array([clearing.mw]),
            "short_mw": np.array([clearing.short_mw]),
            "price_cny_kwh": np.array([price]),
        }
        self._report("clearing", figures)
        return clearing

    def _report(self, name: str, rows: Mapping[str, NDArray[np.generic]]) -> None:
        held = self._reports.get(name)
        if held is not None:
            rows = {k: np.concatenate([held[k], v]) for k, v in rows.items()}
        self._reports[name] = rows


__all__ = ["Cleared", "Clearing", "Market"]
