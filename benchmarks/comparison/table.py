"""What the rows of many seeds say together: means, paired differences, shares that are met."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

# What an order asks for itself, and the limits within which it is to be met.
MEETS = {
    "5 %": ("dr.delivered", "dr.overdelivered", "dr.response_time", "dr.tracking"),
    "20 %": ("lm.shed", "lm.overshed", "lm.time", "lm.protected", "lm.protected_load"),
}
KEEPS = {
    "5 %": (
        "dr.rebound", "dr.new_peak", "dr.comfort", "dr.comfort_drift", "dr.mobility",
        "dr.mobility_short", "dr.network",
    ),
    "20 %": ("lm.restoration", "lm.restoration_peak"),
}  # fmt: skip
TOTAL, BARE = "total cost", "total cost, warmth apart"
COSTS = ("dr.cost", "lm.cost")
WARMTH = ("dr.cost_discomfort", "lm.cost_discomfort")
NO_FIGURE = ("monitor.",)  # the same supervision in all


def figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[int, float]]]:
    """Return values by verdict id, logic and seed; several orders of a kind are added up in cost.

    Of several orders the worst value of a verdict with a limit counts, the sum of a figure in CNY.
    """
    found: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        values: dict[str, list[tuple[float, Mapping[str, Any]]]] = {}
        for verdict in row["verdicts"]:
            if verdict["value"] is not None and not verdict["id"].startswith(NO_FIGURE):
                values.setdefault(verdict["id"], []).append((verdict["value"], verdict))
        for id_, held in values.items():
            numbers = [v for v, _ in held]
            one = sum(numbers) if held[0][1]["unit"] == "CNY" else max(numbers)
            if held[0][1]["comparison"] == ">=":
                one = min(numbers)
            found.setdefault(id_, {}).setdefault(row["logic"], {})[row["seed"]] = one
        if any(id_ in values for id_ in COSTS):
            total = sum(v for id_ in COSTS for v, _ in values.get(id_, []))
            warmth = sum(v for id_ in WARMTH for v, _ in values.get(id_, []))
            for name, cny in ((TOTAL, total), (BARE, total - warmth)):
                found.setdefault(name, {}).setdefault(row["logic"], {})[row["seed"]] = cny
    return found


def passed(rows: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> dict[str, list[bool]]:
    """Return by logic, seed by seed, whether all verdicts `ids` that were judged passed."""
    out: dict[str, list[bool]] = {}
    for row in rows:
        judged = [v["passed"] for v in row["verdicts"] if v["id"] in ids and v["order"] is not None]
        if judged:
            out.setdefault(row["logic"], []).append(all(p is not False for p in judged))
    return out


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half the width of its 95 % interval (t-distribution), NaN for one value.

    >>> mean_and_half([1.0, 2.0, 3.0])[0]
    2.0
    """
    array = np.asarray(values, np.float64)
    if len(array) < 2:
        return float(array.mean()), math.nan
    half = float(student.ppf(0.975, len(array) - 1)) * float(array.std(ddof=1))
    return float(array.mean()), half / math.sqrt(len(array))


def summary(rows: Sequence[Mapping[str, Any]], logics: Sequence[str]) -> dict[str, Any]:
    """Return everything the table shows; `logics[0]` is what the others are compared with."""
    by_id = figures(rows)
    out: dict[str, Any] = {
        "seeds": sorted({row["seed"] for row in rows}),
        "meets": {k: _share(passed(rows, ids)) for k, ids in MEETS.items()},
        "keeps": {k: _share(passed(rows, ids)) for k, ids in KEEPS.items()},
        "all": {k: _share(passed(rows, (*ids, *KEEPS[k]))) for k, ids in MEETS.items()},
        "figures": {},
    }
    for id_, by_logic in by_id.items():
        row: dict[str, Any] = {}
        reference = by_logic.get(logics[0], {})
        for logic in logics:
            held = by_logic.get(logic, {})
            if not held:
                continue
            mean, half = mean_and_half(list(held.values()))
            row[logic] = {"mean": mean, "half_95": half, "n": len(held)}
            both = sorted(held.keys() & reference.keys())
            if logic != logics[0] and both:
                paired = [held[s] - reference[s] for s in both]
                mean, half = mean_and_half(paired)
                row[logic] |= {"difference": mean, "difference_half_95": half}
        out["figures"][id_] = row
    return out


def _share(by_logic: Mapping[str, Sequence[bool]]) -> dict[str, list[int]]:
    """Return [seeds in which it held, seeds] by logic."""
    return {logic: [sum(held), len(held)] for logic, held in by_logic.items()}


def markdown(found: Mapping[str, Any], logics: Sequence[str], title: str) -> str:
    """Return the summary as a table to be read."""
    lines = [
        f"# {title}", "",
        f"{len(found['seeds'])} seeds: {_span(found['seeds'])}. Mean ± half of the 95 % interval; "
        f"in brackets the paired difference to the {logics[0]} with its interval, where it does "
        "not hold zero in bold.", "",
        "| | " + " | ".join(logics) + " |",
        "|---|" + "---|" * len(logics),
    ]  # fmt: skip
    for what, words in (
        ("meets", "meets the {} order"),
        ("keeps", "keeps its limits, {} order"),
        ("all", "both, {} order"),
    ):
        for order, by_logic in found[what].items():
            if by_logic:
                cells = [_count(by_logic.get(logic)) for logic in logics]
                lines.append(f"| {words.format(order)}, seeds | " + " | ".join(cells) + " |")
    names = sorted(found["figures"], key=_place)
    for id_ in names:
        row = found["figures"][id_]
        lines.append(f"| {id_} | " + " | ".join(_cell(row.get(x)) for x in logics) + " |")
    return "\n".join(lines) + "\n"


def _place(id_: str) -> tuple[bool, bool]:
    """Return where a row stands: totals, then their parts, then the rest."""
    return id_ not in (TOTAL, BARE), id_.split("_")[0] not in COSTS


def _span(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(str(s) for s in seeds)


def _count(share: Sequence[int] | None) -> str:
    return "" if share is None else f"{share[0]} of {share[1]}"


def _cell(held: Mapping[str, float] | None) -> str:
    if held is None:
        return ""
    text = _with_half(held["mean"], held["half_95"])
    if "difference" not in held:
        return text
    difference, half = held["difference"], held["difference_half_95"]
    inner = _with_half(difference, half, sign="+")
    clear = math.isfinite(half) and abs(difference) > half
    return f"{text} (**{inner}**)" if clear else f"{text} ({inner})"


def _with_half(value: float, half: float, sign: str = "") -> str:
    number = f"{value:{sign},.4g}" if abs(value) < 1e4 else f"{value:{sign},.0f}"
    if not math.isfinite(half):
        return number
    return f"{number} ± {half:,.2g}" if half < 1e4 else f"{number} ± {half:,.0f}"
