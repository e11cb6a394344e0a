import csv
import dataclasses
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from tests.verify.world import MAX_MW, Record, at, dr_order, dr_run, evidence, lm_order, lm_run
from twin.clock import DAY_MS
from twin.errors import InputProblems
from twin.record.exchange import Point
from twin.results.compare import compare_runs
from twin.results.metrics import PUBLISHED_MAX_LOAD_MW, RunFacts, adjustable_mw, summarise
from twin.results.store import SUMMARY_KEYS, RunDirectory, plain
from twin.verify import judge

BEGUN = {
    "scenario": "drawing", "scenario_hash": "abc", "seed": 1, "versions": {"suitwin": "0"},
    "carrier": "direct",
}  # fmt: skip
FACTS = RunFacts({"total": 10.0, "run": 8.0}, 86_400.0, 512.0, 500, 700, 4_320, 1_500.0, ("w",))


def with_commands(history):
    history.add_events(
        "commands",
        {
            "now_ms": np.array([5, 5]), "number": np.array([0, 0]),
            "kind": np.array([0, 9], np.uint8), "point": np.array([0, 7], np.uint8),
            "row": np.array([3, 4]), "value": np.array([1.5, 0.0]),
            "outcome": np.array([0, 3], np.uint8),
        },
    )  # fmt: skip
    return history


def whole_run(path, mw=100.0, seed=1, max_load_mw=None):
    """Judge, summarise and store the drawing's day, as the composition root does."""
    call = dr_run(80.0)
    call.enrolled_mw[:, 0] = 60.0
    given = [evidence(dr_order(), dr_run(mw), capability=call), evidence(lm_order(), lm_run())]
    if max_load_mw is not None:
        known = dataclasses.replace(given[0].inventory, max_load_mw=max_load_mw)
        given = [dataclasses.replace(e, inventory=known) for e in given]
    final, quiet = with_commands(given[-1].run), given[0].undisturbed
    inventory = given[0].inventory
    directory = RunDirectory(path, "name = 'drawing'\n", {**BEGUN, "seed": seed})
    directory.write_timeseries({"ordered": given[0].run, "undisturbed": quiet}, inventory)
    directory.write_orders([e.order for e in given], final, inventory)
    directory.write_settlement(final)
    summary = summarise(given, quiet, final, inventory, judge(given, final), FACTS)
    directory.finish(summary)
    return json.loads((path / "summary.json").read_text())


def test_a_finished_run_has_everything(tmp_path):
    summary = whole_run(tmp_path / "run")
    assert tuple(summary)[: len(SUMMARY_KEYS)] == SUMMARY_KEYS
    assert summary["complete"] is True
    assert summary["devices"] == {"storage": 10, "aircon": 4, "charging": 3, "terminal": 4}
    assert summary["connected_mw"]["storage"] == pytest.approx(1.0)
    assert summary["adjustable_mw"]["storage"] == pytest.approx(60.0)
    assert summary["realtime_factor"] == pytest.approx(8_640.0)
    figures = summary["figures"]
    assert figures["orders"]["five"]["mean_reduction_mw"] == pytest.approx(100.0)
    assert figures["orders"]["twenty"]["interrupted_sites"] == 2
    assert figures["writes"] == {"accepted": 1, "refused": 0, "ignored": 0, "lost": 1}
    assert figures["undisturbed_max_mw"] == pytest.approx(1000.0)
    over = figures["over_published_max_load"]["dr.capability five"]
    assert over == pytest.approx(8.0 * MAX_MW / PUBLISHED_MAX_LOAD_MW)
    assert {f.name for f in (tmp_path / "run").iterdir()} == {
        "summary.json", "scenario.toml", "settlement.csv", "orders.parquet", "timeseries",
    }  # fmt: skip


def test_tables_have_runs_kinds_and_outcomes(tmp_path):
    whole_run(tmp_path / "run")
    city = pq.read_table(tmp_path / "run/timeseries/city.parquet").to_pydict()
    assert len(city["run"]) == 2 * 1440
    assert city["run"][0] == "ordered"
    assert city["time"][at(13, 40)] == "13:40"
    assert city["load_mw"][at(14)] == pytest.approx(900.0)
    assert city["believed_delivered_mw"][at(14)] == pytest.approx(100.0)
    kind = pq.read_table(tmp_path / "run/timeseries/kind.parquet").to_pydict()
    assert kind["kind"][:4] == ["storage", "aircon", "charging", "terminal"]
    assert kind["now_ms"][4] == 60_000
    district = pq.read_table(tmp_path / "run/timeseries/district.parquet").to_pydict()
    assert district["district"][0] == "a"
    assert district["load_mw"][at(14)] == pytest.approx(900.0)
    log = pq.read_table(tmp_path / "run/orders.parquet").to_pylist()
    assert [r["record"] for r in log] == ["order", "order", "write", "write"]
    assert log[0]["order"] == "five"
    assert log[0]["mw"] == 100.0
    assert (log[2]["kind"], log[2]["row"], log[2]["outcome"]) == ("storage", 3, "accepted")
    assert (log[3]["kind"], log[3]["outcome"]) == ("terminal", "lost")


def test_writes_are_named_after_the_setpoints(tmp_path):
    given = evidence(dr_order(), dr_run())
    kinds = dict(given.inventory.kinds)
    points = (Point("power_kw", "kW", "", ""), Point("release", "1", "", ""))
    kinds["storage"] = dataclasses.replace(kinds["storage"], setpoints=points)
    inventory = dataclasses.replace(given.inventory, kinds=kinds)
    directory = RunDirectory(tmp_path / "run", "", BEGUN)
    directory.write_orders([], with_commands(given.run), inventory)
    log = pq.read_table(tmp_path / "run/orders.parquet").to_pylist()
    assert [r["point"] for r in log] == ["power_kw", "?"]


def test_settlement_keeps_the_logic_s_columns(tmp_path):
    history = dr_run().history()
    history.settlement = [
        {"order": "five", "site": 0, "delivered_kwh": 1.5, "valid_share": float("nan")},
        {"order": "five", "site": 1, "delivered_kwh": np.float64(2.5), "aggregator": 3},
    ]
    directory = RunDirectory(tmp_path / "run", "", BEGUN)
    directory.write_settlement(history)
    text = (tmp_path / "run/settlement.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert rows[0] == {
        "order": "five", "site": "0", "delivered_kwh": "1.5", "valid_share": "", "aggregator": "",
    }  # fmt: skip
    assert rows[1]["aggregator"] == "3"


def test_a_run_that_broke_off_says_so_and_leaves_a_readable_part(tmp_path):
    directory = RunDirectory(tmp_path / "run", "name = 'x'\n", BEGUN)
    at_once = json.loads((tmp_path / "run/summary.json").read_text())
    assert at_once["complete"] is False
    given = evidence(dr_order(), Record(200))
    directory.keep_part("interrupted by the user", {"ordered": given.run}, given.inventory)
    left = json.loads((tmp_path / "run/summary.json").read_text())
    assert left["complete"] is False
    assert left["reason"] == "interrupted by the user"
    assert left["minutes"] == {"ordered": 200}
    assert pq.read_table(tmp_path / "run/timeseries/city.parquet").num_rows == 200
    with pytest.raises(InputProblems, match="interrupted by the user"):
        compare_runs(tmp_path / "run", tmp_path / "run")


def test_a_summary_with_a_key_missing_is_not_finished(tmp_path):
    directory = RunDirectory(tmp_path / "run", "", BEGUN)
    with pytest.raises(ValueError, match="summary without wall_s"):
        directory.finish({})
    assert json.loads((tmp_path / "run/summary.json").read_text())["complete"] is False


def test_an_earlier_run_is_replaced_but_nothing_else_is_touched(tmp_path):
    whole_run(tmp_path / "run")
    (tmp_path / "run/notes.txt").write_text("mine")
    RunDirectory(tmp_path / "run", "", BEGUN)
    left = {f.name for f in (tmp_path / "run").iterdir()}
    assert left == {"summary.json", "scenario.toml", "notes.txt", "timeseries"}
    assert not list((tmp_path / "run/timeseries").iterdir())


def test_a_directory_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputProblems, match="holds files that are no run"):
        RunDirectory(tmp_path, "", BEGUN)
    assert (tmp_path / "thesis.tex").read_text() == "mine"
    with pytest.raises(InputProblems, match="is a file"):
        RunDirectory(tmp_path / "thesis.tex", "", BEGUN)


def test_same_records_same_bytes(tmp_path):
    whole_run(tmp_path / "a")
    whole_run(tmp_path / "b")
    for name in ("timeseries/city.parquet", "orders.parquet", "summary.json", "settlement.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_plain_knows_no_nan():
    value = {"a": np.float64("nan"), "b": [np.inf, np.int64(3)], "c": np.array([1.0, np.nan])}
    assert plain(value) == {"a": None, "b": [None, 3], "c": [1.0, None]}
    assert plain(np.bool_(True)) is True


def test_adjustable_without_a_call_is_empty():
    assert adjustable_mw([evidence(dr_order(), dr_run())]) == {}


def test_compare_shows_deltas_and_curves(tmp_path):
    whole_run(tmp_path / "a", mw=100.0)
    whole_run(tmp_path / "b", mw=92.0, seed=2)
    found = compare_runs(tmp_path / "a", tmp_path / "b")
    row = next(r for r in found.rows if r.id == "dr.delivered")
    assert row.values == pytest.approx((100.0, 92.0))
    assert row.passed == (True, False)
    assert row.delta == pytest.approx((0.0, -8.0))
    assert set(found.load_mw) == {(n, r) for n in "ab" for r in ("ordered", "undisturbed")}
    assert found.load_mw["b", "ordered"][at(14)] == pytest.approx(908.0)
    assert len(found.now_ms) == DAY_MS // 60_000
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(found.table())
    console.print(found.curves())
    text = console.export_text()
    assert "dr.delivered" in text
    assert "-8" in text
    assert "b undisturbed" in text


def test_runs_of_different_bases_do_not_compare(tmp_path):
    whole_run(tmp_path / "a")
    whole_run(tmp_path / "b", max_load_mw=2000.0)
    with pytest.raises(InputProblems, match="percentages of different bases"):
        compare_runs(tmp_path / "a", tmp_path / "b")


def test_compare_lists_every_problem_at_once(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(InputProblems) as caught:
        compare_runs(tmp_path / "a", tmp_path / "b")
    assert len(caught.value.problems) == 4
    with pytest.raises(InputProblems, match="two or more"):
        compare_runs(tmp_path / "a")


def test_a_quiet_day_has_a_summary_too(tmp_path):
    quiet = Record().history()
    inventory = evidence(dr_order(), Record()).inventory
    directory = RunDirectory(tmp_path / "run", "", BEGUN)
    facts = RunFacts({}, 86_400.0, 1.0, 1, 1, 1)
    verdicts = judge([], quiet)
    directory.finish(summarise([], quiet, quiet, inventory, verdicts, facts))
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["adjustable_mw"] == {}
    assert summary["realtime_factor"] is None
    assert summary["figures"]["adjustable_total_mw"] is None
    assert summary["figures"]["undisturbed_max_at"] == "00:00"
    assert {v["reason"] for v in summary["verdicts"] if v["id"].startswith("dr.")} == {
        "no such order"
    }


def test_tariff_cut_and_cooling_share_at_the_maximum():
    record = Record()
    record.enrolled_mw[at(13, 40), 0] = 33.0
    record.extra_load_mw[at(13, 40)] = 100.0
    quiet = record.history()
    inventory = evidence(dr_order(), Record()).inventory
    figures = summarise(
        [], quiet, quiet, inventory, [], RunFacts({"total": 1.0}, 1.0, 1.0, 1, 1, 1)
    )["figures"]
    assert figures["undisturbed_max_at"] == "13:40"
    assert figures["standing_peak_cut_by_tariff_mw"] == 33.0


def test_a_run_without_a_minute_can_still_be_kept(tmp_path):
    directory = RunDirectory(tmp_path / "run", "", BEGUN)
    given = evidence(dr_order(), Record())
    directory.keep_part("broke at once", {"ordered": Record(0).history()}, given.inventory)
    directory.keep_part("broke before the city was built", {}, None)
    left = json.loads((tmp_path / "run/summary.json").read_text())
    assert left["reason"] == "broke before the city was built"
