"""What the page draws of real devices in a run: the power of each beside its twin's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from twin.results.report import plot
from twin.results.report.blocks import Chart
from twin.results.report.figures_load import bounds
from twin.results.report.inputs import PageData
from twin.results.report.plot import COLOUR
from twin.results.report.words import Words

__all__ = ["bench_charts"]


def bench_charts(data: PageData, words: Words) -> Iterator[Chart]:
    """Yield one chart for each real device that showed its power."""
    bench = data.summary.get("bench")
    devices = bench.get("devices") if isinstance(bench, Mapping) else None
    for device in devices if isinstance(devices, Sequence) else ():
        power = device.get("power") if isinstance(device, Mapping) else None
        if isinstance(power, Mapping):
            yield _chart(device, power, data, words)


def _chart(
    device: Mapping[str, object], power: Mapping[str, object], data: PageData, words: Words
) -> Chart:
    start_ms, step_ms = int(str(power["start_ms"])), int(str(power["step_ms"]))
    twin, bench = _values(power.get("twin")), _values(power.get("bench"))
    traces = [
        plot.line(twin, start_ms, words("bench.twin"), COLOUR["without"], digits=1,
                  step_ms=step_ms, dash="dash"),
        plot.line(bench, start_ms, words("bench.real"), COLOUR["run"], digits=1, step_ms=step_ms),
    ]  # fmt: skip
    shapes, notes = plot.order_windows([s.order for s in data.steps], words)
    figure = plot.figure(
        traces, height=300, xaxis=plot.time_axis(*bounds(data.histories.ordered)),
        yaxis=plot.axis("kW", range=plot.reach(twin, bench)), shapes=shapes, notes=notes,
    )  # fmt: skip
    names = {"device": device.get("name"), "twin": device.get("replaces")}
    title, text = words("bench.power", **names), words("bench.power_text")
    return Chart(f"bench-power-{device.get('name')}", title, text, figure)


def _values(given: object) -> NDArray[np.float64]:
    """Return a series of the summary; None is a gap."""
    if not isinstance(given, Sequence):
        return np.zeros(0)
    return np.array([np.nan if v is None else float(v) for v in given])
