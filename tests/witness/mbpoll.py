"""mbpoll as a function: what it is asked and what it prints."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.witness.fleet import Spot
from tests.witness.values import BITS, Words

TABLES = {"coil": "0", "discrete": "1", "input": "3", "holding": "4"}
MOST = 125  # values a call
TIMEOUT_S = 30.0
# It sleeps 20 ms a call, so that calls go side by side.
AT_ONCE = 16
LINE = re.compile(r"^\[(\d+)\]: \t(\S+)", re.MULTILINE)
REFUSALS = {"Illegal function": 1, "Illegal data address": 2, "Illegal data value": 3,
            "Slave device or server failure": 4, "Slave device or server is busy": 6}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One run of mbpoll: `form` is ``hex``, ``int`` or ``float``, empty for bits."""

    table: str
    first: int
    form: str = "hex"
    big: bool = True
    count: int = 1
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What it printed, in order, and the exception that it told of (0: none)."""

    values: tuple[str, ...]
    refusal: int


def over_tcp(spot: Spot) -> list[str]:
    return ["-p", str(spot.port), "-a", str(spot.unit), spot.address]


def run(link: Sequence[str], call: Call) -> Result:
    """Run mbpoll once over a link, `over_tcp`'s or a serial one."""
    kind = TABLES[call.table] + (f":{call.form}" if call.form else "")
    asked = ["mbpoll", "-1", "-0", "-t", kind, "-r", str(call.first)]
    asked += ["-B"] if call.big else []
    asked += ["--", *call.values] if call.values else ["-c", str(call.count)]
    # Options go before the values, and the host before `--`.
    if call.values:
        at = asked.index("--")
        asked[at:at] = link
    else:
        asked += link
    done = subprocess.run(asked, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode == 0:
        return Result(tuple(value for _, value in LINE.findall(done.stdout)), 0)
    for words, code in REFUSALS.items():
        if words in done.stderr:
            return Result((), code)
    raise AssertionError(f"{asked}: {done.stdout[-300:]} {done.stderr}")


def run_all(link: Sequence[str], calls: Sequence[Call]) -> list[Result]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda call: run(link, call), calls))


def words_of(table: str, result: Result) -> list[int]:
    return [int(v, 10 if table in BITS else 16) for v in result.values]


def writing(table: str, first: int, words: Words) -> Call:
    form = "" if table in BITS else "hex"
    texts = tuple(str(w) if table in BITS else f"0x{w:04X}" for w in words)
    return Call(table, first, form, values=texts)
