"""The register map procedure that holds counters against the power they count."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hil.bench.device import Sample
from hil.bench.errors import Forbidden
from hil.bench.meanings import from_twin
from hil.certify.procedure import Context
from hil.certify.subject import Subject
from hil.certify.suites import asking
from hil.certify.suites.expecting import points_showing
from hil.certify.suites.readings import (
    APART,
    SETTLE_S,
    coded,
    give_order,
    halves_kw,
    keep_order,
    once,
    power_path,
    shown_value,
)
from hil.registers.schema import WirePoint

__all__ = ["CHANGES", "changes"]

CHANGES = ("changes",)
HOLD_S = 600.0  # in which counters move
LEAST_SHARE = 0.3  # of an order, below which nothing can be told from it


def changes(c: Context) -> None:
    """Hold half the rating and compare how counters move with what the power says."""
    subject = c.subject
    if subject.kind != "storage" or "power_kw" not in subject.device.meanings.commands:
        c.leave("changes", "no counter of this kind follows from its power")
        return
    wrong: list[str] = []
    unsure: list[str] = []
    series = c.series("changes", "time_s", "point", "value", "moved", "expected")
    powers_kw = halves_kw(subject)
    if not powers_kw:
        unsure.append("the bench's own limits leave no power to be ordered")
    for power_kw in powers_kw:
        order = {"power_kw": power_kw}
        try:
            said = give_order(c, order)
        except Forbidden as kept:
            said = str(kept)
        if said:
            unsure.append(said)
            continue
        keep_order(c, order, SETTLE_S)
        both = {**_expected(subject, 1.0), **_expected(subject, -1.0)}
        names = [p.name for p, q in points_showing(subject, _linear) if q in both]
        first, first_s = asking.read(subject, names), subject.clock.now_s()
        begun_kw = _now_kw(subject)
        keep_order(c, order, HOLD_S)
        last, ended_kw = asking.read(subject, names), _now_kw(subject)
        if begun_kw is None or ended_kw is None:
            unsure.append("no power could be read")
            continue
        mean_kw = 0.5 * (begun_kw + ended_kw)
        if mean_kw / order["power_kw"] < LEAST_SHARE:
            unsure.append(f"{mean_kw:.4g} kW for {order['power_kw']:g} kW ordered")
            continue
        energy_kwh = mean_kw * (subject.clock.now_s() - first_s) / 3600.0
        for name, text, row in _moved(subject, first, last, _expected(subject, energy_kwh)):
            series.add(subject.clock.now_s(), name, *row)
            if text:
                wrong.append(text)
    path = power_path(subject)
    if unsure and not wrong:
        c.doubt("changes", "; ".join(unsure))
        return
    c.take("changes", float(len(set(wrong))), 0.0, path, once(wrong))


def _linear(point: WirePoint) -> bool:
    return not coded(point)


def _expected(subject: Subject, energy_kwh: float) -> dict[str, float]:
    """Return by how much points of the twin move while `energy_kwh` goes into the grid."""
    found = {"soc": -energy_kwh / subject.nameplate.get("capacity_kwh", math.nan)}
    found["discharged_today_kwh"] = max(energy_kwh, 0.0)
    found["charged_today_kwh"] = max(-energy_kwh, 0.0)
    return {n: move for n, move in found.items() if move != 0.0 and math.isfinite(move)}


def _moved(
    subject: Subject, first: Mapping[str, Sample], last: Mapping[str, Sample],
    expected: Mapping[str, float],
) -> list[tuple[str, str, tuple[float, float, float]]]:  # fmt: skip
    """Return each counter with what is wrong with it, and value, move and expected move.

    A counter that does not move at all shows no other size: it is found elsewhere.
    """
    rows = []
    for name in first:
        point = subject.map.point(name)
        source = point.source
        twin = "" if source is None or source.point is None else source.point
        a, b = first[name].value, last[name].value
        if twin not in expected or not isinstance(a, float) or not isinstance(b, float):
            continue
        moved = b - a
        rated = subject.rated_kw
        should = from_twin(point, expected[twin], rated) - from_twin(point, 0.0, rated)
        text = ""
        if abs(moved) > 2.0 * point.scale and not 1.0 / APART < moved / should < APART:
            power = round(math.log10(abs(moved / should)))
            sign = ", sign turned" if moved / should < 0.0 else ""
            text = f"{name} moved by {moved:.4g} {point.unit}, not {should:.4g}"
            text += f": factor 10^{power}{sign}"
        rows.append((name, text, (b, moved, should)))
    return rows


def _now_kw(subject: Subject) -> float | None:
    if subject.meter is not None:
        return subject.meter.power_kw().value
    name = subject.device.meanings.readings.get("power_kw")
    return None if name is None else shown_value(subject, asking.read(subject, [name]), "power_kw")
