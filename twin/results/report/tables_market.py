"""The market of one order, the baselines it may be settled by, and what the order cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twin.clock import format_time_of_day
from twin.record.orders import OrderKind
from twin.results.report.blocks import Cell, Table
from twin.results.report.inputs import PageData, Step
from twin.results.report.lookup import mapping, real, text, verdict_of
from twin.results.report.words import Words, number

__all__ = ["baselines", "cost", "market", "order_figures"]

COST_PARTS = ("compensation", "production", "interruption", "discomfort", "charging")
_SUMS = ("bid_mw", "awarded_mw", "ordered_kwh", "delivered_kwh", "paid_cny", "penalty_cny")
_NOTHING_KWH = 0.5


def order_figures(data: PageData, step: Step, name: str) -> Mapping[str, object]:
    """Return ``figures.orders.<id>.<name>`` of the summary, empty where there is none."""
    orders = mapping(mapping(data.summary, "figures"), "orders")
    return mapping(mapping(orders, step.order.id), name)


def _listed(tree: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    value = tree.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [entry for entry in value if isinstance(entry, Mapping)]


def market(data: PageData, step: Step, words: Words) -> Table | None:
    """Return bids, awards, delivery and money by VPP, with the clearings in the note."""
    told = order_figures(data, step, "market")
    vpps = _listed(told, "vpps")
    if not vpps:
        return None
    vpps.sort(key=lambda v: -_or_zero(real(v, "awarded_mw")))
    rows: list[Sequence[Cell]] = []
    totals = dict.fromkeys(_SUMS, 0.0)
    refused: dict[str, list[Mapping[str, object]]] = {}
    for vpp in vpps:
        values = {name: real(vpp, name) for name in _SUMS}
        answer = text(vpp, "answer")
        totals["bid_mw"] += _or_zero(values["bid_mw"])
        if max(_or_zero(values[k]) for k in ("awarded_mw", "ordered_kwh", "paid_cny")) > 0.0:
            for key in _SUMS[1:]:  # what was not called has delivered nothing
                totals[key] += _or_zero(values[key])
            answer = words.get(f"answers.{answer}", answer)
            rows.append(_market_row(data, Cell(_name(vpp, words)), answer, values))
        else:
            refused.setdefault(answer, []).append(vpp)
    for answer, several in refused.items():
        rows.append(_refused_row(data, answer, several, words))
    rows.append(_market_row(data, Cell(words("market.total"), "total"), "", totals))
    head = [Cell(words("market.vpp"))]
    head += [Cell(words(f"market.{k}"), "num") for k in ("bid", "awarded")]
    head += [Cell(words("market.answer"))]
    columns = ("ordered", "delivered", "ratio", "paid", "penalty")
    head += [Cell(words(f"market.{k}"), "num") for k in columns]
    lines = [_clearing(data, entry, words) for entry in _listed(told, "clearings")]
    note = words.together(*lines, words("market.text"))
    return Table(f"market-{step.order.id}", words("market.title"), note, head, rows)


def _or_zero(value: float | None) -> float:
    return 0.0 if value is None else value


def _name(vpp: Mapping[str, object], words: Words) -> str:
    name = text(vpp, "name_zh" if words.lang == "zh" else "name")
    return name or f"VPP {text(vpp, 'aggregator')}"


def _refused_row(
    data: PageData, answer: str, several: Sequence[Mapping[str, object]], words: Words
) -> list[Cell]:
    """Return one row for all VPPs that got nothing for one reason."""
    names = ("、" if words.lang == "zh" else ", ").join(_name(vpp, words) for vpp in several)
    bid = sum(_or_zero(real(vpp, "bid_mw")) for vpp in several)
    blank = [Cell("", "num")] * 5
    return [
        Cell(names, "soft wrap"),
        Cell(data.mw(bid, 1), "num"),
        Cell(data.mw(0.0, 1), "num"),
        Cell(words.get(f"answers.{answer}", answer), "soft"),
        *blank,
    ]


def _market_row(
    data: PageData, name: Cell, answer: str, values: Mapping[str, float | None]
) -> list[Cell]:
    ordered, delivered = values["ordered_kwh"], values["delivered_kwh"]
    ratio = (
        100.0 * delivered / ordered
        if ordered is not None and delivered is not None and ordered > _NOTHING_KWH
        else None
    )
    return [
        name,
        Cell(data.mw(values["bid_mw"], 1), "num"),
        Cell(data.mw(values["awarded_mw"], 1), "num strong"),
        Cell(answer, "soft"),
        *(Cell(data.mw(None if v is None else v / 1e3, 1), "num") for v in (ordered, delivered)),
        Cell(number(ratio, 0), "num"),
        Cell(number(values["paid_cny"], 0), "num"),
        Cell(number(values["penalty_cny"], 0), "num"),
    ]


def _clearing(data: PageData, entry: Mapping[str, object], words: Words) -> str:
    at_ms, short = real(entry, "cleared_ms"), real(entry, "short_mw")
    lacking = short is not None and short > 0.0
    key = "clearing_short" if lacking else "clearing"
    if not _or_zero(real(entry, "awarded_mw")) > 0.0:
        key = "clearing_none"
    return words(
        f"market.{key}",
        at="–" if at_ms is None else format_time_of_day(int(at_ms)),
        asked=data.mw(real(entry, "asked_mw")),
        awarded=data.mw(real(entry, "awarded_mw")),
        short=data.mw(short),
        price=number(real(entry, "price_cny_kwh"), 3),
    )


def baselines(data: PageData, step: Step, words: Words) -> Table | None:
    """Return bias and mean absolute error by method, honest and gaming owners apart."""
    told = order_figures(data, step, "baselines")
    methods = {name: mapping(told, name) for name in told if mapping(told, name)}
    if not methods:
        return None
    first = next(iter(methods.values()))
    groups = [name for name in first if name.startswith("gaming.")]
    rows: list[Sequence[Cell]] = []
    for name, method in methods.items():
        cells = [Cell(words.get(f"baselines.{name}", name)), *_errors(data, method)]
        if groups:
            honest = mapping(method, "honest")
            cells += [_signed(real(honest, "bias_pct")), _energy(data, honest)]
            cells += [_signed(real(mapping(method, group), "bias_pct")) for group in groups]
            cells.append(_energy(data, mapping(method, "gaming")))
        rows.append(cells)
    head = [Cell(words("baselines.method"))]
    head += [Cell(words(f"baselines.{k}"), "num") for k in ("bias", "mae", "site", "over")]
    note = words("baselines.text")
    if groups:
        head += [Cell(words(f"baselines.honest_{k}"), "num") for k in ("bias", "over")]
        for i in range(len(groups)):
            group = number(i + 1) if len(groups) > 1 else ""
            head.append(Cell(words("baselines.gaming_bias", group=group), "num"))
        head.append(Cell(words("baselines.gaming_over"), "num"))
        count = [number(real(mapping(first, g), "sites"), 0) for g in ("honest", "gaming")]
        told_apart = words("baselines.gamers", honest=count[0], gaming=count[1])
        note = words.together(note, told_apart)
    title = words("baselines.title")
    return Table(f"baselines-{step.order.id}", title, note, head, rows)


def _errors(data: PageData, method: Mapping[str, object]) -> list[Cell]:
    return [
        _signed(real(method, "bias_pct")),
        Cell(number(real(method, "mae_pct"), 1), "num strong"),
        Cell(number(real(method, "site_mae_pct"), 1), "num"),
        _energy(data, method),
    ]


def _signed(value: float | None) -> Cell:
    return Cell(("+" if value is not None and value >= 0.05 else "") + number(value, 1), "num")


def _energy(data: PageData, found: Mapping[str, object]) -> Cell:
    kwh = real(found, "overpaid_kwh")
    return Cell(data.mw(None if kwh is None else kwh / 1e3, 1), "num")


def cost(data: PageData, step: Step, words: Words) -> Table | None:
    """Return the total cost of one order by part, at the prices fixed in data."""
    prefix = "lm" if step.order.kind is OrderKind.LOAD_MANAGEMENT else "dr"
    found = verdict_of(data.summary, f"{prefix}.cost", step.order.id)
    if found is None or found.get("order") != step.order.id:
        return None
    total = real(found, "value")
    rows: list[Sequence[Cell]] = []
    for part in COST_PARTS:
        verdict = verdict_of(data.summary, f"{prefix}.cost_{part}", step.order.id)
        value = None if verdict is None else real(verdict, "value")
        about = "" if verdict is None else words.reason(text(verdict, "reason"))
        share = None if value is None or total is None or not total > 0.0 else 100 * value / total
        name = Cell(words(f"cost.{part}"), sub=about)
        rows.append([name, Cell(number(value, 0), "num"), Cell(number(share, 1), "num")])
    if total is None and all(row[1].text == "–" for row in rows):
        return None
    rows.append(
        [Cell(words("cost.total"), "total"), Cell(number(total, 0), "num strong"), Cell("", "num")]
    )
    head = [Cell(words("cost.part")), Cell(words("cost.cny"), "num"), Cell("%", "num")]
    orders = mapping(mapping(data.summary, "figures"), "orders")
    mwh = real(mapping(orders, step.order.id), "energy_mwh")
    note = words("cost.text")
    if total is not None and mwh is not None and mwh > 0.0:
        note = words.together(
            note, words("cost.per_mwh", cny=number(total / mwh, 0), mwh=data.mw(mwh, 1))
        )
    return Table(f"cost-{step.order.id}", words("cost.title"), note, head, rows, wide=False)
