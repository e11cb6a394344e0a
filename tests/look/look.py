"""Looks at report pages in a real browser: ``python tests/look/look.py [PAGE.html ...]``.

Writes, for every page, pictures at laptop width and as on A4 paper and the printed PDF into
``out/look/``. Ends with 1 when the console showed an error, the page asked a network for
something, or a chart is wider than its place. Without arguments it looks at a made-up page in
both languages and at every ``out/*/report.html`` that is there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":  # found by pytest through its own settings
    sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import sample  # noqa: E402
from browser import Browser, find_chromium  # noqa: E402

from twin.results.report import write_report  # noqa: E402
from twin.results.report.words import LANGUAGES  # noqa: E402

LAPTOP_PX = 1366
PAPER_PX = 703  # A4 less the margins of page.css, at 96 px an inch
CUT_OFF = """
(() => {
  const bad = [];
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth + 1) bad.push('page: ' + page.scrollWidth + ' px wide');
  for (const plot of document.querySelectorAll('.plot')) {
    const svg = plot.querySelector('svg.main-svg');
    if (!svg) { bad.push(plot.dataset.figure + ': not drawn'); continue; }
    const inner = svg.getBoundingClientRect();
    const room = plot.parentElement.getBoundingClientRect();
    if (inner.right > room.right + 1 || inner.left < room.left - 1)
      bad.push(plot.dataset.figure + ': ' + inner.width + ' px in ' + room.width);
    if (inner.width < 0.9 * room.width)
      bad.push(plot.dataset.figure + ': only ' + inner.width + ' px of ' + room.width);
    if (inner.bottom > plot.getBoundingClientRect().bottom + 1)
      bad.push(plot.dataset.figure + ': runs into the text below');
  }
  return bad;
})()
"""


def sample_pages(folder: Path, langs: Sequence[str] = LANGUAGES) -> list[Path]:
    """Write the made-up page in each language and return where."""
    histories = sample.histories()
    return [
        write_report(
            folder / f"sample-{lang}.html", sample.summary(), histories, sample.inventory(),
            orders=(sample.DR, sample.LM), districts=sample.DISTRICTS, network=sample.NETWORK,
            lang=lang,
        )
        for lang in langs
    ]  # fmt: skip


def look(browser: Browser, page: Path, name: str, folder: Path) -> list[str]:
    """Take the pictures of one page and return what is wrong with it."""
    wrong: list[str] = []
    browser.open(page, LAPTOP_PX)
    wrong += [f"laptop: {text}" for text in browser.evaluate(CUT_OFF)]  # type: ignore[attr-defined]
    browser.screenshot(folder / f"{name}-top.png", full=False)
    browser.screenshot(folder / f"{name}-laptop.png")
    browser.pdf(folder / f"{name}-a4.pdf")
    wrong += _complaints(browser)
    browser.open(page, PAPER_PX, media="print")
    browser.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    wrong += [f"A4: {text}" for text in browser.evaluate(CUT_OFF)]  # type: ignore[attr-defined]
    browser.screenshot(folder / f"{name}-a4.png")
    wrong += _complaints(browser)
    return [f"{name}: {text}" for text in wrong]


def _complaints(browser: Browser) -> list[str]:
    seen = browser.seen()
    return [*seen.errors, *(f"asked the network for {url}" for url in seen.requests)]


def main(arguments: list[str]) -> int:
    """Look at the pages named, or at the made-up one and at what lies in out/."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "look")
    given = parser.parse_args(arguments)
    program = find_chromium()
    if program is None:
        sys.stderr.write("look: no Chromium found (Debian: apt-get install chromium)\n")
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder, Browser(program) as browser:
        named = {
            p.stem if p.parent == Path() else f"{p.parent.name}-{p.stem}": p for p in given.pages
        }
        if not named:
            named = {p.stem: p for p in sample_pages(Path(folder))}
            found = sorted(ROOT.glob("out/*/report*.html"))
            named |= {f"{p.parent.name}-{p.stem}": p for p in found}
        for name, page in named.items():
            wrong += look(browser, page, name, given.out)
            sys.stdout.write(f"look: {given.out}/{name}-{{top,laptop,a4}}.png, -a4.pdf\n")
    sys.stdout.writelines(f"look: WRONG {text}\n" for text in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
