"""Registered virtual power plants (虚拟电厂): who leads which site, and what its devices ask.

VPPs and asking prices are data (``aggregators.csv``, ``offers.csv``), fixed before any run.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twin.chance import generator
from twin.city.sites import SiteBook
from twin.city.tables import DataRows, Parameters
from twin.record.columns import Columns

OFFER = "offer_cny_kwh"


def join_aggregators(book: SiteBook, nameplates: Mapping[str, Columns], seed: int) -> None:
    """Give every site with enrolled devices the VPP of its largest one, and mark it enrolled."""
    kinds = DataRows("aggregators.csv").text("kind")
    largest_kw = np.zeros(book.n)
    aggregator = np.full(book.n, -1, dtype=np.int64)
    for kind in dict.fromkeys(kinds):
        columns = nameplates[kind]
        kw = np.bincount(
            columns.i8("site"), columns.f8("rated_kw") * columns.flag("enrolled"), book.n
        )
        number = kinds.count(kind)
        pick = generator(seed, f"city.aggregator.{kind}").integers(0, number, book.n)
        wins = kw > largest_kw
        aggregator[wins] = kinds.index(kind) + pick[wins]
        largest_kw = np.maximum(largest_kw, kw)
    everyone = np.arange(book.n)
    book.set("aggregator", everyone, aggregator)
    book.set("enrolled", everyone, aggregator >= 0)


def registered_aggregators(seed: int, figures: Parameters) -> Columns:
    """Return one row a VPP; ``sites["aggregator"]`` points into it.

    Columns: ``name``, ``name_zh`` (str), ``kind`` (str, what it mostly leads), ``type`` (int64, 0
    day-ahead invitation 日前响应型, 1 hour-ahead 小时响应型, 2 direct control 直控型),
    ``response_min`` from call to full response, ``hold_h`` it can hold, ``price_factor`` on the
    asking prices of ``offers.csv`` (keyed draw).
    """
    rows = DataRows("aggregators.csv")
    spread = figures["market.offer_spread"]
    draw = generator(seed, "city.aggregator.price").uniform(-spread, spread, len(rows))
    return Columns(
        {
            "name": np.array(rows.text("name")),
            "name_zh": np.array(rows.text("name_zh")),
            "kind": np.array(rows.text("kind")),
            "type": rows.i8("type"),
            "response_min": rows.f8("response_min"),
            "hold_h": rows.f8("hold_h"),
            "price_factor": 1.0 + draw,
        }
    )


def with_offers(
    nameplates: Mapping[str, Columns], book: SiteBook, aggregators: Columns
) -> dict[str, Columns]:
    """Return the nameplates with each device's asking price ``offer_cny_kwh`` [CNY/kWh].

    The kind's price times the factor of the site's VPP, where the user's file gives none.
    """
    prices = DataRows("offers.csv").by("kind")
    agent, factor = book.i8("aggregator"), aggregators.f8("price_factor")
    priced: dict[str, Columns] = {}
    for kind, columns in nameplates.items():
        mine = agent[columns.i8("site")]
        usual = float(prices[kind]["price_cny_kwh"]) * np.where(mine >= 0, factor[mine], 1.0)
        given = columns.f8(OFFER) if OFFER in columns else np.full(columns.n, np.nan)
        offer = np.where(np.isnan(given), np.round(usual, 4), given)
        priced[kind] = Columns({**columns, OFFER: offer}, columns.n)
    return priced
