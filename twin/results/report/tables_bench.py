"""What the page says of real devices in a run: where their power came from, how they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from twin.results.report.blocks import Block, Cell, Table, Text
from twin.results.report.figures_bench import bench_charts
from twin.results.report.inputs import PageData
from twin.results.report.words import Words, number

__all__ = ["bench_blocks"]

_SIDES = ("both", "twin_only", "bench_only")


def bench_blocks(data: PageData, words: Words) -> list[Block]:
    """Return a paragraph, charts and two tables; nothing for a run without a bench."""
    bench = data.summary.get("bench")
    devices = list(_mappings(_section(bench).get("devices")))
    if not devices:
        return []
    lines = [_path(device, words) for device in devices]
    lines += [_lost(device, words) for device in devices if _section(device.get("lost"))]
    unsafe = _section(bench).get("not_proven_safe")
    if unsafe:
        lines.append(words("bench.unsafe", why=unsafe))
    rate = _number(_section(bench).get("rate"))
    if rate is not None and rate != 1.0:
        lines.append(words("bench.hurried", rate=number(rate)))
    if _section(bench).get("dry_run") is True:
        lines.append(words("bench.dry"))
    for source in _mappings(_section(bench).get("sources")):
        keys = ("periods", "limited", "failures")
        shown = {k: number(_number(source.get(k)), 0) for k in keys}
        lines.append(words("bench.source", name=source.get("name"), **shown))
    charts = list(bench_charts(data, words))
    return [Text(lines), *charts, _devices(devices, words), _differences(devices, data, words)]


def _path(device: Mapping[str, object], words: Words) -> str:
    """Say by which way the load flow has a device's power."""
    given = _section(device.get("power_from"))
    way = "meter" if given.get("path") == "meter" else "register"
    calibrated = given.get("calibrated") or words("bench.not_stated")
    return words(
        f"bench.by_{way}",
        device=device.get("name"),
        twin=device.get("replaces"),
        name=given.get("name"),
        accuracy=number(_number(given.get("class_pct"))),
        sampling=number(_number(given.get("sampling_s"))),
        scale=number(_number(device.get("scale"))),
        calibrated=calibrated,
    )


def _lost(device: Mapping[str, object], words: Words) -> str:
    lost = _section(device.get("lost"))
    name, at = device.get("name"), lost.get("at")
    return words("bench.lost", device=name, at=at, why=lost.get("why"))


def _devices(devices: Sequence[Mapping[str, object]], words: Words) -> Table:
    heads = ("device", "orders", "cut", *_SIDES, "unsent", "reads_failed", "silent")
    head = [Cell(words(f"bench.{name}"), "" if name == "device" else "num") for name in heads]
    rows = []
    for device in devices:
        sides = _section(device.get("exceptions"))
        counts = [
            _number(device.get("orders")),
            _total(device.get("orders_cut")),
            *(_number(sides.get(side)) for side in (*_SIDES, "unsent")),
            _total(device.get("reads_failed")) + _total(device.get("registers_refused")),
            _number(device.get("twin_silent_periods")),
        ]
        cells = [Cell(number(0 if n is None else n, 0), "num") for n in counts]
        rows.append([Cell(str(device.get("name")), sub=str(device.get("map"))), *cells])
    return Table("bench", words("bench.title"), words("bench.note"), head, rows)


def _differences(devices: Sequence[Mapping[str, object]], data: PageData, words: Words) -> Table:
    heads = ("point", "mean", "p95", "mean_commanded", "p95_commanded", "unequal", "delay")
    head = [Cell(words(f"bench.{name}"), "" if name == "point" else "num") for name in heads]
    rows = []
    for device in devices:
        title = f"{device.get('name')} ↔ {device.get('replaces')}"
        rows.append([Cell(title, "group", len(heads))])
        for one in _mappings(device.get("difference")):
            unit = str(one.get("unit"))
            keys = ("mean", "p95_abs", "mean_commanded", "p95_abs_commanded", "unequal_pct")
            cells = [Cell(number(_number(one.get(key))), "num") for key in keys]
            delay = _number(one.get("delay_s"))
            near = words("bench.within", s=number(_number(one.get("resolution_s"))))
            shown = Cell(number(delay), "num", sub="" if delay is None else near)
            name = _title(data, str(device.get("replaces")), str(one.get("point")), words)
            named = name if unit in ("", "1") else f"{name}, {unit}"
            rows.append([Cell(named, sub=str(one.get("register"))), *cells, shown])
    return Table("bench-difference", words("bench.difference"), words("bench.text"), head, rows)


def _title(data: PageData, twin: str, point: str, words: Words) -> str:
    """Return a point's title in the reader's language, its name where the kind is not known."""
    known = data.inventory.kinds.get(twin.rpartition("-")[0])
    for one in () if known is None else known.points:
        if one.name == point:
            return one.title_zh if words.lang == "zh" else one.title
    return point


def _section(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from (one for one in value if isinstance(one, Mapping))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _total(value: object) -> float:
    return sum(n for n in (_number(v) for v in _section(value).values()) if n is not None)
