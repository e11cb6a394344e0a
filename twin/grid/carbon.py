"""Where the CO2 of each bus's electricity comes from: tracing a solved load flow upstream.

Proportional sharing: what flows into a bus is mixed, and everything that leaves it, the demand
there included, has the mean factor of what came in (Bialek 1996; in terms of CO2 the carbon
emission flow of Zhou, Kang et al. 2012). With ``G`` what sources give at bus i, ``F`` what
branches deliver there, the factors ``e`` solve, bus by bus,

    e_i (G_i + sum_j F_ji) - sum_j F_ji e_j = sum_s G_s e_s                                 (1)

which is one sparse linear system. Net method: the CO2 of what is lost on a branch has the factor
of the bus that sent it and is counted as the network's own, so that every factor lies between
the smallest and the largest of the sources, and CO2 of all sources = CO2 of all demand + CO2 of
the losses. A loop needs no care: (1) is solved as a whole, not bus by bus in an order.

Conventions: batteries at customers' are demand when they charge and less demand when they give
back. The pumped storage is demand at its bus when it pumps, and a source of the mean factor of
its stock when it generates; CO2 of the city counts what burns, not what is stored.

References
----------
J. Bialek, Tracing the flow of electricity, IEE Proc. Gener. Transm. Distrib. 143(4), 1996.
周天睿, 康重庆, 徐乾耀, 陈启鑫, 电力系统碳排放流的计算方法初探, 电力系统自动化 36(11), 2012.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from twin.clock import HOUR_MS, MINUTE_MS, minute_of_day, parse_time_of_day
from twin.grid.equipment import read_table
from twin.grid.network import Network
from twin.record.table import Table

__all__ = ["EmissionMeter", "Footprint", "Trace", "marginal_kg_kwh", "trace"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

# Fed into every bus at the sources' mean factor, so that a bus (or a loop) without any flow has
# a factor too [MW]; a watt, far below what a load flow resolves.
_WATT_MW = 1e-6
_KG_PER_T = 1_000.0


@dataclass(frozen=True, slots=True)
class Trace:
    """Factors of one load flow.

    Attributes
    ----------
    factor : float64[buses]  kgCO2/kWh of what leaves each bus
    source_t_h : CO2 of all sources [t/h]
    loss_t_h : of it, what goes with the losses on branches [t/h]
    """

    factor: F8
    source_t_h: float
    loss_t_h: float


def trace(
    ends: I8, into_branch_mw: F8, source_bus: I8, source_mw: F8, source_factor: F8, n_bus: int
) -> Trace:
    """Trace a load flow upstream.

    Parameters
    ----------
    ends : int64[2, branches]  from and to bus
    into_branch_mw : float64[2, branches]  active power into each branch at both ends
    source_bus, source_mw, source_factor : of each source: bus, power into the grid (a negative
        one is demand and no source) and kgCO2/kWh
    n_bus : number of buses

    A branch that takes power at both ends loses all of it. One that gives power at both ends
    (an equivalent with negative resistance) is a source of the sources' mean factor.
    """
    given = np.maximum(source_mw, 0.0)
    total = float(given.sum())
    mean = float(given @ source_factor) / total if total > 0.0 else 0.0
    sent, got = np.maximum(into_branch_mw, 0.0), np.maximum(-into_branch_mw, 0.0)
    # A branch with a sender delivers from it; a part of `got` that nobody sent is made there.
    sender = (into_branch_mw[1] > into_branch_mw[0]).astype(np.int64)
    at = np.arange(len(sender))
    tail, head = ends[sender, at], ends[1 - sender, at]
    delivered = np.minimum(got[1 - sender, at], sent[sender, at])
    made_at_head = got[1 - sender, at] - delivered
    made_at_tail = got[sender, at]

    bus = np.concatenate([source_bus, head, tail, np.arange(n_bus)])
    mw = np.concatenate([given, made_at_head, made_at_tail, np.full(n_bus, _WATT_MW)])
    made = float(made_at_head.sum() + made_at_tail.sum())
    factors = np.concatenate([source_factor, np.full(2 * len(sender) + n_bus, mean)])
    through = np.bincount(bus, mw, n_bus) + np.bincount(head, delivered, n_bus)
    right = np.bincount(bus, mw * factors, n_bus)
    matrix = sparse.diags_array(through, format="csc") - sparse.csc_array(
        (delivered, (head, tail)), shape=(n_bus, n_bus)
    )
    factor = splu(matrix.tocsc()).solve(right)
    lost = sent[0] + sent[1] - delivered
    both = sent[1 - sender, at]  # what the far end adds where both ends only take
    loss = float((lost - both) @ factor[tail] + both @ factor[head])
    source = float(given @ source_factor) + made * mean
    return Trace(np.asarray(factor, dtype=np.float64), source, loss)


@dataclass(frozen=True, slots=True)
class Footprint:
    """CO2 of the city at one moment.

    Attributes
    ----------
    district_factor : float64[districts]  kgCO2/kWh of what is drawn from the network there
    burnt_t_h : CO2 of imports and plants, without what the storage passes on [t/h]
    loss_t_h : CO2 of the network's losses [t/h]
    storage_kg_kwh : factor of the pumped storage's stock
    """

    district_factor: F8
    burnt_t_h: float
    loss_t_h: float
    storage_kg_kwh: float


class EmissionMeter:
    """Emission factors of a run; its `state` evolves and is forked.

    Parameters
    ----------
    network : whose sources they are; plants by their fuel, infeeds by their name
    n_district : number of districts
    """

    def __init__(self, network: Network, n_district: int) -> None:
        self.network = network
        table = read_table("emissions")
        self.source_factor = _source_factors(network, table)
        self.feed_back = float(table["feed_back"]["kg_kwh"])
        self.n_district = n_district
        storage = table["storage"]
        self._efficiency = float(storage["efficiency"])
        self._start_factor = float(storage["start_kg_kwh"])
        self.state = Table(("stock_mwh", "stock_t"), 1, {"now_ms": np.full(1, -1, np.int64)})
        self.state["stock_mwh"] = float(storage["start_mwh"])
        self.state["stock_t"] = float(storage["start_mwh"]) * self._start_factor

    def fork(self) -> EmissionMeter:
        """Return a meter that continues from here."""
        twin = EmissionMeter.__new__(EmissionMeter)
        twin.__dict__.update(self.__dict__)
        twin.state = self.state.copy()
        return twin

    @property
    def storage_kg_kwh(self) -> float:
        """Mean factor of the stock; that of the beginning where the stock is used up."""
        stock = float(self.state["stock_mwh"][0])
        return float(self.state["stock_t"][0]) / stock if stock > 1e-6 else self._start_factor

    def burnt_t_h(self, infeed_mw: F8, plant_mw: F8, demand_mw: F8) -> float:
        """Return CO2 of imports, plants and what busbars feed back [t/h].

        Parameters
        ----------
        infeed_mw, plant_mw : float64[infeeds], float64[plants]  into the grid
        demand_mw : float64[busbars]
        """
        network, factor = self.network, self.source_factor
        own = np.maximum(infeed_mw, 0.0) @ factor[network.infeed_rows]
        own += np.maximum(plant_mw, 0.0) @ factor[network.plant_rows]
        return float(own + np.maximum(-demand_mw, 0.0).sum() * self.feed_back)

    def take(
        self,
        now_ms: int,
        into_branch_mw: F8,
        infeed_mw: F8,
        plant_mw: F8,
        pumped_mw: float,
        demand_mw: F8,
    ) -> Footprint:
        """Trace the load flow of now and let the storage's stock evolve since the last time.

        Parameters
        ----------
        into_branch_mw : float64[2, branches]  active power into each branch at both ends
        infeed_mw, plant_mw, pumped_mw : into the grid
        demand_mw : float64[busbars]
        """
        network = self.network
        busbars, sources = network.busbars, network.sources
        source_mw, factor = np.zeros(len(sources.bus)), self.source_factor.copy()
        source_mw[network.infeed_rows], source_mw[network.plant_rows] = infeed_mw, plant_mw
        source_mw[network.pumped_rows] = pumped_mw
        factor[network.pumped_rows] = self.storage_kg_kwh
        fixed = network.fixed_mva.real
        bus = np.concatenate([sources.bus, busbars.bus, np.arange(network.n_bus)])
        given = np.concatenate([source_mw, np.maximum(-demand_mw, 0.0), np.maximum(fixed, 0.0)])
        own = np.full(len(busbars.bus) + network.n_bus, self.feed_back)
        ends = np.vstack([network.branches.from_bus, network.branches.to_bus])
        found = trace(
            ends, into_branch_mw, bus, given, np.concatenate([factor, own]), network.n_bus
        )
        if len(network.pumped_rows) > 0:
            at = int(sources.bus[network.pumped_rows[0]])
            self._store(now_ms, pumped_mw, float(found.factor[at]))
        return Footprint(
            self._by_district(found.factor[busbars.bus], np.maximum(demand_mw, 0.0)),
            self.burnt_t_h(infeed_mw, plant_mw, demand_mw),
            found.loss_t_h,
            self.storage_kg_kwh,
        )

    def _store(self, now_ms: int, pumped_mw: float, factor: float) -> None:
        """Charge or draw the stock with the power of now since the last time."""
        last = int(self.state["now_ms"][0])
        self.state["now_ms"] = now_ms
        if last < 0:
            return
        mwh = pumped_mw * (now_ms - last) / HOUR_MS
        stock = self.state["stock_mwh"]
        if mwh < 0.0:
            stock -= mwh * self._efficiency
            self.state["stock_t"] -= mwh * factor
        else:
            part = min(mwh / stock[0], 1.0) if stock[0] > 0.0 else 1.0
            self.state["stock_t"] *= 1.0 - part
            stock *= 1.0 - part

    def _by_district(self, factor: F8, demand_mw: F8) -> F8:
        """Return the mean factor of each district, by what its busbars draw."""
        at, n = self.network.busbars.district, self.n_district
        drawn = np.bincount(at, demand_mw, n)
        plain = np.bincount(at, factor, n) / np.maximum(np.bincount(at, minlength=n), 1)
        weighted = np.bincount(at, demand_mw * factor, n)
        return np.where(drawn > 0.0, weighted / np.where(drawn > 0.0, drawn, 1.0), plain)


def _source_factors(network: Network, table: Mapping[str, Mapping[str, Mapping[str, float]]]) -> F8:
    """Return float64[sources], kgCO2/kWh; the storage's own is not in it."""
    fuels, imports = table["fuel"], table["import"]
    sources = network.sources
    return np.array(
        [
            fuels.get(str(fuel), fuels["other"])["kg_kwh"]
            if kind != "infeed"
            else imports.get(str(name), imports["other"])["kg_kwh"]
            for kind, fuel, name in zip(sources.kind, sources.plant_kind, sources.name, strict=True)
        ],
        dtype=np.float64,
    )


def marginal_kg_kwh(now_ms: I8) -> F8:
    """Return kgCO2/kWh of what gives way when the city imports less at each time.

    Shares of hydro, gas and coal by time of day stand in ``data/emissions.toml``.
    """
    table = read_table("emissions")
    rows = sorted(table["margin"], key=lambda row: parse_time_of_day(row["from"]))
    begin = np.array([parse_time_of_day(row["from"]) // MINUTE_MS for row in rows])
    fuels = {name: float(row["kg_kwh"]) for name, row in table["fuel"].items()}
    mix = np.array([row["gas"] * fuels["gas"] + row["coal"] * fuels["coal"] for row in rows])
    minute = np.array([minute_of_day(int(t)) for t in now_ms], dtype=np.int64)
    return np.asarray(mix[np.searchsorted(begin, minute, side="right") - 1])
