"""The page on operation: each block appears with its data, vanishes without, and speaks Chinese."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "look"))
import sample

from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.exchange import Alarm, AlarmQuality, Inventory
from twin.record.fleet_states import DeviceState
from twin.record.history import History
from twin.record.orders import OrderForm
from twin.results.report import Histories
from twin.results.report.blocks import Cell, Section, Table, Text
from twin.results.report.build import render
from twin.results.report.figures_cut import chain
from twin.results.report.figures_emissions import factors
from twin.results.report.inputs import PageData, Step
from twin.results.report.plot import order_name
from twin.results.report.reported import reported
from twin.results.report.words import LANGUAGES, Words
from twin.verify.verdict import rules

ORDERS = (sample.DR, sample.LM)
QUARTER_MS = 15 * MINUTE_MS
CHARTS = {"measures-lm-1", "capability-dr-1", "fleet-states", "storage-states"}
TABLES = {
    "plans-lm-1", "market-dr-1", "baselines-dr-1", "capabilities-dr-1", "cost-dr-1", "cost-lm-1",
    "fleet-state", "storage-state", "onboarding", "alarms", "emission-totals", "spared",
}  # fmt: skip
MEASURES_MW = np.array([[0.0, 5.0, 190.0], [1.0, 6.0, 195.0]])


def report(history: History) -> None:
    """Let the logic report everything that the page shows."""
    moments = sample.LM.full_by_ms + np.arange(2) * QUARTER_MS
    history.add_events("report.measures", {
        "now_ms": np.repeat(moments, 3), "order": np.full(6, "lm-1"),
        "measure": np.tile(["shift", "avoid", "restrict"], 2), "mw": MEASURES_MW.ravel(),
    })  # fmt: skip
    names = ("circuits", "sites", "kw", "need_kw", "able_kw", "loss_cny", "gap")
    history.add_events("report.cut_plan", {
        "now_ms": moments[:1], "order": np.array(["lm-1"]), "how": np.array(["milp"]),
        **{name: np.array([0.001]) for name in names},
    })  # fmt: skip
    n = 4
    history.add_events("report.fleet_state", {
        "now_ms": np.repeat(moments, n), "kind": np.full(2 * n, "storage"),
        "district": np.tile(np.arange(n), 2), "devices": np.full(2 * n, 10),
        **{s.name.lower(): np.full(2 * n, 10 * (s is DeviceState.STANDBY)) for s in DeviceState},
        **{f"{way}_{span}_mwh": np.ones(2 * n) for way in ("drawn", "fed")
           for span in ("today", "to_date")},
        "power_mw": np.zeros(2 * n), "soc": np.full(2 * n, 0.5),
    })  # fmt: skip
    history.add_events("report.onboarding", {
        "now_ms": np.zeros(2, np.int64), "kind": np.full(2, "swap"), "state": np.array([3, 4]),
        "count": np.array([2, 8]),
    })  # fmt: skip
    history.add_events("report.capability", {
        "time_ms": np.full(3, sample.DR.notice_ms), "kind": np.full(3, "icestore"),
        "horizon_min": np.array([30, 60, 120]), "up_mw": np.array([3.0, 2.0, 1.0]),
        "down_mw": np.zeros(3),
    })  # fmt: skip
    history.alarms += [
        Alarm("storage", 1, "stale", 0),
        Alarm("storage", 2, "stale", 0, None, AlarmQuality.DOUBTFUL),
        Alarm("storage", 1, "stale", 0, HOUR_MS),
    ]


def summary() -> dict[str, object]:
    errors = {"sites": 3, "bias_pct": 4.0, "mae_pct": 5.0, "overpaid_kwh": 1.0}
    vpp = {
        "aggregator": 0, "name": "Storage", "name_zh": "储能", "bid_mw": 9.0, "awarded_mw": 7.0,
        "answer": "accepted", "ordered_kwh": 9.0, "delivered_kwh": 8.0,
    }  # fmt: skip
    small = {"aggregator": 1, "name": "Tiny", "name_zh": "微型", "bid_mw": 0.0, "awarded_mw": 0.0,
             "answer": "below the least size"}  # fmt: skip
    held = {"connected_mw": 20.0, "said_mw": 8.0, "held_mw": 4.0, "signed_error_pct": 100.0}
    spared = {"average_t": 1.0, "marginal_t": 2.0, "import_mwh": 3.0}
    made: dict[str, object] = sample.summary() | {
        "warnings": ["data: fleet: synthetic"],
        "figures": {
            "orders": {
                "dr-1": {
                    "energy_mwh": 90.0,
                    "market": {
                        "vpps": [vpp, small],
                        "clearings": [{"cleared_ms": HOUR_MS, "asked_mw": 9.0, "awarded_mw": 7.0,
                                       "short_mw": 2.0, "price_cny_kwh": 1.5}],
                    },
                    "baselines": {"mean_10": errors | {"honest": errors, "gaming": errors,
                                                       "gaming.0": errors}},
                    "flexibility": {"up": {"60": {"storage": held}}},
                }
            },
            "emissions": {"undisturbed_t": 9.0, "ordered_t": 8.0, "all_orders": spared,
                          "by_order": {"dr-1": spared, "lm-1": spared}},
        },
    }  # fmt: skip
    costs = [
        sample.verdict(f"{o[:2]}.{name}", o, "cost", "成本", 5.0, None, "figure", unit="CNY")
        for o in ("dr-1", "lm-1")
        for name in ("cost", "cost_compensation", "cost_production")
    ]
    none = [
        sample.verdict(f"dr.none_{i}", "dr-1", "none", "无", None, None, "figure", reason=reason)
        for i, reason in enumerate(("no history", "no history", "no graph"))
    ]
    plain = [v for v in sample.VERDICTS if v["id"] != "dr.baseline_error"]
    return made | {"verdicts": [*plain, *costs, *none]}


@pytest.fixture(scope="module")
def pages() -> Mapping[str, str]:
    histories = sample.histories()
    report(histories.ordered)
    histories.ordered.incidents.clear()  # made up, in no words of the engine's
    return {
        lang: render(summary(), histories, sample.inventory(), orders=ORDERS,
                     districts=sample.DISTRICTS, lang=lang)
        for lang in LANGUAGES
    }  # fmt: skip


def figures_in(page: str) -> dict[str, dict[str, list[dict[str, object]]]]:
    found = re.search(r'id="figure-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1].replace("<\\/", "</"))  # type: ignore[no-any-return]


def words_of(page: str) -> str:
    """Return what a reader sees: text without tags, scripts and styles, and the charts' texts."""
    body = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.DOTALL)
    drawn = [str(t.get("name", "")) for f in figures_in(page).values() for t in f["data"]]
    return re.sub(r"<[^>]+>", "\n", body) + "\n".join(drawn)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_block_stands_where_its_data_is(pages: Mapping[str, str], lang: str) -> None:
    assert set(figures_in(pages[lang])) >= CHARTS
    ids = re.findall(r'<[a-z]+[^>]* id="([^"]+)"', pages[lang])
    assert set(ids) >= TABLES
    assert len(ids) == len(set(ids))


def test_every_block_is_left_out_without_its_data() -> None:
    page = render(sample.summary(), sample.histories(), sample.inventory(), orders=ORDERS)
    assert not CHARTS & set(figures_in(page))
    assert not [table for table in TABLES if f'id="{table}"' in page]
    assert 'id="supervision"' not in page


def test_bars_are_the_measures_as_reported(pages: Mapping[str, str]) -> None:
    traces = figures_in(pages["en"])["measures-lm-1"]["data"]
    bars = {t["name"]: t["y"] for t in traces if t["type"] == "bar"}
    assert list(bars) == ["shift", "avoid", "restrict"]
    np.testing.assert_allclose(list(bars.values()), MEASURES_MW.T)


def test_a_refused_vpp_is_named_with_its_reason(pages: Mapping[str, str]) -> None:
    table = pages["zh"].split('id="market-dr-1"')[1].split("</table>")[0]
    assert re.search(r"微型.*?低于最小调节容量", table, re.DOTALL)


def test_alarms_are_counted_once_and_by_quality(pages: Mapping[str, str]) -> None:
    row = pages["en"].split('id="alarms"')[1].split("readings stale")[1].split("</tr>")[0]
    assert re.findall(r'class="num">(\d+)', row) == ["2", "1", "1", "1"]


def test_what_does_not_apply_takes_one_row_a_reason(pages: Mapping[str, str]) -> None:
    assert "2 · no history" in pages["en"]
    assert "dr.none_0, dr.none_1" in pages["en"]
    assert pages["en"].count('class="mark na"') == 2


def test_the_chinese_page_has_no_english_sentence(pages: Mapping[str, str]) -> None:
    seen = words_of(pages["zh"])
    assert "各项措施的压降" in seen
    assert re.findall(r"[A-Za-z]{2,}(?:,? [a-z]{2,}){2,}", seen) == []


def test_every_source_of_a_limit_is_told_in_chinese() -> None:
    words = Words("zh")
    for rule in rules().values():
        chinese = any("\u4e00" <= c <= "\u9fff" for c in words.get(f"sources.{rule.source}", ""))
        assert chinese, rule.source


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("8 of 1023; 0 were raised as doubtful", "共 1023 项，其中 8 项；0 项发出时即标为存疑"),
        ("by the supply graph; paused lines ran 43836 kWh of stock dry",
         "按产业链图计；暂停产线消耗库存 43\u2009836 kWh"),
        ("least of storage: 97.8 %", "最低：储能 97.8 %"),
        ("3 of the sites slept", "3 of the sites slept"),
    ],
)  # fmt: skip
def test_reasons_are_told_with_their_numbers(said: str, told: str) -> None:
    assert Words("zh").reason(said) == told
    assert re.sub("\u2009", "", Words("en").reason(said)) == said


@pytest.mark.parametrize(
    ("mw", "form", "name"),
    [
        (50.0, OrderForm.REDUCTION, "5 % 指令"),
        (101.0, OrderForm.REDUCTION, "10.1 % 指令"),
        (900.0, OrderForm.CAP, "限负荷指令"),
    ],
)
def test_an_order_is_called_by_its_own_share(mw: float, form: OrderForm, name: str) -> None:
    order = dataclasses.replace(sample.LM, mw=mw, form=form)
    assert order_name(order, Words("zh", 1_000.0), short=True) == name


BROKEN: list[dict[str, object]] = [
    {},
    {"kind": ["storage"]},
    {"kind": ["storage"], "mw": ["much"]},
    {"kind": ["storage", "aircon"], "mw": [1.0]},
    {"kind": [], "mw": []},
    {"kind": [["storage"]], "mw": [[1.0]]},
]


@pytest.mark.parametrize("columns", BROKEN)
def test_another_logic_may_report_anything(columns: dict[str, object]) -> None:
    run = History(0, 10, ("load_mw",), {})
    run.add_events("report.odd", {k: np.array(v) for k, v in columns.items()})
    assert reported(run, "odd", texts=("kind",), numbers=("mw",)) is None


def day(scalars: Mapping[str, float], tables: Mapping[str, np.ndarray] | None = None) -> History:
    given_ = {} if tables is None else tables
    run = History(0, 60, tuple(scalars), {k: (len(v), "f8") for k, v in given_.items()})
    for _ in range(60):
        run.put_scalars(scalars)
        for name, row in given_.items():
            run.row(name)[:] = row
        run.close_minute()
    return run


def data_of(run: History, districts: tuple[str, ...], **more: object) -> PageData:
    inventory = Inventory(100.0, districts, (), sample.inventory().sites, {})
    return PageData(more, Histories(run, run), inventory, (), (), None, None)


def test_loss_of_the_chain_is_what_was_lost_beyond_the_counterfactual() -> None:
    run = day({"chain_direct_cny": 3e6, "chain_downstream_cny": 2e6, "chain_stopped": 4.0})
    base = day({"chain_direct_cny": 1e6, "chain_downstream_cny": 2e6, "chain_stopped": 0.0})
    order = dataclasses.replace(sample.LM, notice_ms=0, start_ms=0, full_by_ms=0, end_ms=HOUR_MS)
    said = [sample.verdict("lm.chain_loss", "lm-1", "", "", 120e6, None, "figure")]
    step, words = Step(order, run, base), Words("en")
    chart = chain(data_of(run, ("A",), verdicts=said), step, words)
    assert chart is not None
    direct, downstream, stopped = (t["y"] for t in chart.figure["data"])  # type: ignore[attr-defined]
    assert (direct[0], direct[-1], downstream[-1], stopped[-1]) == (2.0, 120.0, 0.0, 4.0)
    assert chain(data_of(run, ("A",), verdicts=[]), step, words) is None


def test_factors_stand_district_by_district_and_a_flat_one_is_left_out() -> None:
    words = Words("en")
    both = day({"emission_t_h": 1.0}, {"district.factor": np.array([0.6, 0.4])})
    chart = factors(data_of(both, ("A", "B")), words)
    assert chart is not None
    (strip,) = chart.figure["data"]  # type: ignore[misc]
    assert (strip["y"], strip["z"]) == (["B", "A"], [[0.4] * 4, [0.6] * 4])
    one = day({"emission_t_h": 1.0}, {"district.factor": np.array([0.4])})
    assert factors(data_of(one, ("A",)), words) is None
    unsolved = day({"emission_t_h": float("nan")}, {"district.factor": np.array([0.6, 0.4])})
    assert factors(data_of(unsolved, ("A", "B")), words) is None


@given(st.lists(st.sampled_from(["half", "wide", "text"]), max_size=12))
def test_no_half_block_stands_alone(kinds: list[str]) -> None:
    blocks = [
        Text(["x"]) if k == "text" else Table(str(i), "", "", [Cell("")], [], wide=k == "wide")
        for i, k in enumerate(kinds)
    ]
    html = Section("s", "S", blocks).html()
    shown = re.findall(r'<div class="table( half)?"|<p>', html)
    for run in "".join("h" if s else "w" for s in shown).split("w"):
        assert len(run) % 2 == 0
    assert html.count("<table>") == len(kinds) - kinds.count("text")
