"""The page: complete, self-contained, honest about what is missing."""

from __future__ import annotations

import dataclasses
import json
import re
import string
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "look"))
import sample

from twin.record.history import History
from twin.results.report import Histories, write_report
from twin.results.report.build import render
from twin.results.report.figures_network import spread
from twin.results.report.inputs import steps
from twin.results.report.series import fan, quarter_means
from twin.results.report.tables import state_of
from twin.results.report.words import LANGUAGES, Words, number, number_against

ORDERS = (sample.DR, sample.LM)


@pytest.fixture(scope="module")
def histories() -> Histories:
    return sample.histories()


def page_of(histories: Histories, lang: str = "en", **more: object) -> str:
    given_: dict[str, object] = {
        "orders": ORDERS,
        "districts": sample.DISTRICTS,
        "network": sample.NETWORK,
    }
    return render(
        sample.summary(),
        histories,
        sample.inventory(),
        lang=lang,
        **(given_ | more),  # type: ignore[arg-type]
    )


def figures_in(page: str) -> Mapping[str, dict[str, object]]:
    found = re.search(r'id="figure-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1].replace("<\\/", "</"))  # type: ignore[no-any-return]


EXPECTED_CHARTS = {
    "city-load", "delivered-dr-1", "anyway-dr-1", "rebound-dr-1", "map-dr-1", "delivered-lm-1",
    "anyway-lm-1", "rebound-lm-1", "map-lm-1", "indoor", "too-warm", "stored", "departures",
    "voltages", "loadings", "moves", "tariff", "composition",
}  # fmt: skip


@pytest.mark.parametrize("lang", LANGUAGES)
def test_page_holds_every_chart_and_verdict(histories: Histories, lang: str) -> None:
    page = page_of(histories, lang)
    assert set(figures_in(page)) == EXPECTED_CHARTS
    for chart in EXPECTED_CHARTS:
        assert page.count(f'data-figure="{chart}"') == 1
    for verdict in sample.VERDICTS:
        assert str(verdict["id"]) in page
    assert page.index('id="verdict-table"') < page.index('id="city-load"')
    assert len(page.encode()) < 8_000_000
    assert "{{" not in page.split("<script")[0]


def test_page_loads_nothing_from_elsewhere(histories: Histories) -> None:
    page = page_of(histories)
    head = page.split('<script type="application/json"')[0]
    assert not re.search(r'(?:src|href)="(?!#|data:)', head)
    assert "@import" not in head
    assert "url(" not in head


def test_texts_of_a_scenario_cannot_break_out_of_the_page(histories: Histories) -> None:
    summary = sample.summary() | {"scenario": "</script><b>{{style}}", "warnings": ["<img src=x>"]}
    page = render(summary, histories, sample.inventory(), orders=ORDERS)
    assert "<b>{{style}}" not in page
    assert "&lt;b&gt;{{style}}" in page
    assert "<img" not in page.split('<script type="application/json"')[0]


def test_the_load_that_is_drawn_is_the_load_that_was_recorded(histories: Histories) -> None:
    traces = figures_in(page_of(histories))["city-load"]["data"]
    drawn = next(t for t in traces if t["name"] == "with orders")  # type: ignore[attr-defined]
    assert len(drawn["y"]) == sample.MINUTES  # every minute
    np.testing.assert_allclose(drawn["y"], histories.ordered.series("load_mw"), atol=0.05)


def test_stacked_delivery_adds_up_to_the_change_by_kind(histories: Histories) -> None:
    traces = figures_in(page_of(histories))["delivered-lm-1"]["data"]
    stacks = [t for t in traces if "stackgroup" in t]  # type: ignore[attr-defined]
    total = np.sum([np.array(t["y"], dtype=float) for t in stacks], axis=0)
    first = histories.ordered.index(sample.LM.start_ms) - 60
    rows = slice(first, first + len(total))
    run = np.asarray(histories.ordered.table("kind.power_mw"))[rows]
    without = np.asarray(histories.counterfactuals["lm-1"].table("kind.power_mw"))[rows]
    np.testing.assert_allclose(total, (run - without).sum(axis=1), atol=0.05)


def test_each_order_is_shown_against_its_own_counterfactual(histories: Histories) -> None:
    first, second = steps(histories, (sample.LM, sample.DR))
    assert (first.order.id, second.order.id) == ("dr-1", "lm-1")
    assert first.run is histories.counterfactuals["lm-1"]
    assert first.without is histories.undisturbed
    assert second.run is histories.ordered


def test_a_changed_order_is_shown_as_last_changed(histories: Histories) -> None:
    changed = dataclasses.replace(sample.LM, revision=1, mw=150.0)
    assert steps(histories, (sample.DR, changed, sample.LM))[1].order.mw == 150.0


def test_a_day_without_orders_has_a_page(histories: Histories) -> None:
    quiet = Histories(histories.undisturbed, histories.undisturbed)
    page = render(sample.summary(quiet=True), quiet, sample.inventory())
    assert {"city-load", "stored", "voltages", "tariff"} <= set(figures_in(page))
    assert "No orders were given" in page


def test_a_run_that_broke_off_says_so_and_shows_what_there_is(histories: Histories) -> None:
    whole = histories.counterfactuals["lm-1"]
    broken = History(0, sample.MINUTES, whole.scalars, whole.tables)
    for i in range(900):
        broken.put_scalars({name: whole.series(name, i, i + 1)[0] for name in whole.scalars})
        for name in whole.tables:
            broken.row(name)[:] = whole.table(name, i, i + 1)[0]
        broken.close_minute()
    runs = Histories(broken, histories.undisturbed, {"dr-1": histories.undisturbed})
    page = render(
        sample.summary() | {"complete": False}, runs, sample.inventory(), orders=(sample.DR,)
    )
    assert "broke off" in page
    assert "delivered-dr-1" in figures_in(page)


def test_what_was_not_recorded_leaves_its_chart_out() -> None:
    bare = History(0, 60, ("load_mw",), {})
    for _ in range(60):
        bare.put("load_mw", 1.0)
        bare.close_minute()
    page = render(sample.summary(), Histories(bare, bare), sample.inventory())
    assert set(figures_in(page)) == {"city-load"}


def test_gaps_stay_gaps() -> None:
    gap = History(0, 30, ("load_mw",), {})
    for i in range(30):
        gap.put("load_mw", float("nan") if i == 7 else 5.0)
        gap.close_minute()
    page = render(sample.summary(), Histories(gap, gap), sample.inventory())
    traces = figures_in(page)["city-load"]["data"]
    assert traces[0]["y"][7] is None  # type: ignore[index]
    assert traces[0]["y"][8] == 5.0  # type: ignore[index]


def test_write_report_is_whole_or_not_there(tmp_path: Path, histories: Histories) -> None:
    target = tmp_path / "report.html"
    with pytest.raises(ValueError, match="language 'fr'; allowed: en, zh"):
        write_report(target, sample.summary(), histories, sample.inventory(), lang="fr")
    assert list(tmp_path.iterdir()) == []
    write_report(target, sample.summary(), histories, sample.inventory(), lang="zh")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_both_languages_say_the_same_things() -> None:
    english, chinese = (Words(lang) for lang in LANGUAGES)
    free = ("sources.", "reasons.", "grades.", "notes.", "terms.")  # translated where known
    assert {k for k in english.keys() ^ chinese.keys() if not k.startswith(free)} == set()
    for key in english.keys() & chinese.keys():
        fields = [
            {f for _, f, _, _ in string.Formatter().parse(w.get(key, "")) if f is not None}
            for w in (english, chinese)
        ]
        assert fields[0] == fields[1], key


@pytest.mark.parametrize(
    ("given_", "state"),
    [
        ({"passed": True}, "pass"),
        ({"passed": False, "reason": "the record has gaps"}, "fail"),
        ({"passed": None, "comparison": "figure"}, "figure"),
        ({"passed": None, "comparison": "figure", "reason": "12 of 13"}, "figure"),
        ({"passed": None, "comparison": ">=", "reason": "no such order"}, "na"),
    ],
)
def test_state_of_a_verdict(given_: Mapping[str, object], state: str) -> None:
    assert state_of(given_) == state


@given(st.floats(0.001, 1e5), st.floats(0.001, 1e5))
def test_a_value_never_looks_like_its_limit(value: float, limit: float) -> None:
    shown = float(number_against(value, limit).replace("\u2009", ""))
    if abs(value - limit) > 1e-6 * max(value, limit, 1.0):
        assert (shown > limit) == (value > limit) or shown != round(limit, 6)
        assert (shown < limit) == (value < limit)


def test_numbers() -> None:
    assert number(1234567.0, 1) == "1\u2009234\u2009567.0"
    assert number(-0.0004, 1) == "0.0"
    assert number(float("nan")) == "–"


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_fan_is_the_percentiles_of_those_that_count(n: int, seed: int) -> None:
    rows = np.arange(4 * n, dtype=np.uint64).reshape(4, n) * np.uint64(2654435761) + np.uint64(seed)
    values = (rows % np.uint64(1000)).astype(np.float32) / 10
    wanted = rows % np.uint64(3) != 0
    wanted[3] = False
    found = fan(values, wanted)
    assert np.isnan(found[:, 3]).all()
    for i in range(3):
        if wanted[i].any():
            right = np.percentile(values[i][wanted[i]].astype(float), [5, 25, 50, 75, 95])
            np.testing.assert_allclose(found[:, i], right, atol=1e-4)


def test_quarter_means_follow_the_clock() -> None:
    first, means = quarter_means(np.arange(40.0), 10 * 60_000)
    assert first == 5
    np.testing.assert_allclose(means, [12.0, 27.0])


def test_districts_do_not_overlap() -> None:
    radius = np.sqrt(sample.SHARE) * 26.0
    x, y = spread(sample.DISTRICTS.x_km, sample.DISTRICTS.y_km, radius)
    for i in range(11):
        for j in range(i):
            assert np.hypot(x[i] - x[j], y[i] - y[j]) >= radius[i] + radius[j]
