"""The page in a real browser: no console error, no request, no chart cut off."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import look as looking
from browser import Browser, BrowserError, find_chromium

pytestmark = pytest.mark.browser

CHROMIUM = find_chromium()


@pytest.fixture(scope="module")
def browser() -> object:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with Browser(CHROMIUM) as opened:
        yield opened


@pytest.mark.parametrize("lang", looking.LANGUAGES)
def test_sample_page_on_laptop_and_paper(browser: Browser, tmp_path: Path, lang: str) -> None:
    for page in looking.sample_pages(tmp_path, (lang,)):
        assert looking.look(browser, page, page.stem, tmp_path) == []
        assert (tmp_path / f"{page.stem}-laptop.png").stat().st_size > 100_000
        assert (tmp_path / f"{page.stem}-a4.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("throw new Error('broken figure')", "broken figure"),
        ("console.error('no such axis')", "no such axis"),
        ("fetch('http://example.org/data.json').catch(() => 0)", "http://example.org/data.json"),
    ],
)
def test_looking_sees_what_is_wrong(
    browser: Browser, tmp_path: Path, script: str, complaint: str
) -> None:
    page = tmp_path / "wrong.html"
    page.write_text(
        f"<html><body><script>document.documentElement.dataset.drawn = '1'; {script}</script>"
    )
    found = looking.look(browser, page, "wrong", tmp_path)
    assert any(complaint in text for text in found)


def test_looking_sees_a_chart_that_is_too_wide(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "wide.html"
    page.write_text(
        "<html data-drawn=1><body><figure style='width:300px;margin:0;overflow:hidden'>"
        "<div class=plot data-figure=far style='height:50px'>"
        "<svg class=main-svg width=900 height=40></svg></div></figure>"
    )
    found = looking.look(browser, page, "wide", tmp_path)
    assert any("far: 900 px in 300" in text for text in found)


def test_a_page_that_never_draws_is_an_error(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("browser.TIMEOUT_S", 1.0)
    page = tmp_path / "empty.html"
    page.write_text("<html><body></body></html>")
    with pytest.raises(BrowserError, match="never true"):
        looking.look(browser, page, "empty", tmp_path)
