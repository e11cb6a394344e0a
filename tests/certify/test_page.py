"""The page of a certificate: whole, in two languages, and honest about what it rests on."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from hil.certify.measurement import Outcome
from hil.certify.page import render, write_page
from hil.certify.page_plots import read_series, thinned
from hil.certify.page_texts import MARKS, both
from tests.certify.finished import finished_run
from tests.look.browser import Browser, find_chromium


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    return render(finished_run(folder), folder)


def without_scripts(page: str) -> str:
    return re.sub(r"<script\b.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)


def test_it_says_on_what_it_rests_in_both_languages(page: str) -> None:
    shown = without_scripts(page)
    for text in (
        "储能检测记录（仿真设备）", "不代表任何实物设备", "speaks for no hardware",
        "Storage, tested on an emulated device", "Time was compressed",
    ):  # fmt: skip
        assert text in shown


def test_a_device_that_was_left_unsafe_is_said_first(tmp_path: Path) -> None:
    shown = without_scripts(render(finished_run(tmp_path, safe="not confirmed: silence"), tmp_path))
    head = shown.partition("</header>")[0]
    assert "The device was not seen at its safe state: response" in head
    assert '<div class="card fail">' in head


def test_every_measurement_is_shown_with_limit_path_source_and_grade(page: str) -> None:
    shown = without_scripts(page)
    for text in ("测量量 quick", "quick &amp; more", "1.20 ± 0.1 s", "≤ 2 s", "0.98 … 1.02 pu",
                 "instrument meter, ±0.2, every 0.1 s", "a report &lt;of ours&gt;", "assumed",
                 "无法判定", "inconclusive", "no instrument: analyser", "−91.2 ± 0.5 %",
                 "began at half charge", "2026-07-15 10:00:00", "2026-01-31"):  # fmt: skip
        assert text in shown, text


def test_it_asks_no_network_for_anything(page: str) -> None:
    shown = without_scripts(page)
    links = re.findall(r"""(?:src|href)=["']?([^"'>\s]*)""", shown)
    assert "#summary" in links
    assert [link for link in links if not link.startswith(("#", "data:,"))] == []
    assert "@import" not in page.partition("</style>")[0]


def test_its_pictures_are_the_evidence(page: str) -> None:
    data = re.search(r'id="figure-data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    (figure,) = json.loads(data[1]).values()
    power, soc = figure["data"]
    assert power["y"] == [5.0 * i for i in range(20)]
    assert soc["y"][3] is None
    assert (power["yaxis"], soc["yaxis"]) == ("y", "y2")


def test_no_text_can_end_the_script(tmp_path: Path) -> None:
    record = finished_run(tmp_path)
    step = tmp_path / "steps/response/rise/power.csv"
    step.write_text("time_s,</script><b>_kw\n0,1\n1,2\n2,3\n")
    assert "</script><b>" not in render(record, tmp_path)


def test_a_long_line_keeps_its_extremes() -> None:
    y = np.zeros(100_000)
    y[12_345], y[77_777] = 9.0, -9.0
    x, thin = thinned(np.arange(100_000.0), y)
    assert len(thin) <= 1_200
    assert (thin.max(), thin.min()) == (9.0, -9.0)
    assert x[thin.argmax()] == 12_345.0
    assert (np.diff(x) > 0).all()


@pytest.mark.parametrize(
    "text", ["", "time_s,power_kw\n", "time_s,power_kw\n0,1\n", "a,b\nx,y\nx,y\n", "a\n1\n2\n"]
)
def test_what_is_no_time_series_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert read_series(tmp_path / "a.csv") is None


def test_every_outcome_has_words_and_a_mark() -> None:
    assert set(MARKS) == {o.value for o in Outcome}
    for outcome in Outcome:
        assert both(f"outcome.{outcome.value}").zh


def test_both_languages_have_the_same_fields() -> None:
    text = resources.files("hil.certify").joinpath("templates/texts.toml").read_text("utf-8")
    for table in tomllib.loads(text).values():
        for zh, en in table.values():
            assert set(re.findall(r"{(\w+)}", zh)) == set(re.findall(r"{(\w+)}", en))


@pytest.mark.browser
def test_a_browser_draws_it_without_complaint(tmp_path: Path) -> None:
    page = write_page(finished_run(tmp_path), tmp_path)
    program = find_chromium()
    assert program is not None
    with Browser(program) as browser:
        browser.open(page, 1280)
        browser.wait_for("document.documentElement.dataset.drawn === '1'")
        seen = browser.seen()
        assert (seen.errors, seen.requests) == ([], [])
        wide = browser.evaluate("document.documentElement.scrollWidth")
        assert isinstance(wide, int)
        assert wide <= 1280
