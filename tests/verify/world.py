"""Small hand-made records with known answers.

::

    site      0        1        2          3         4            5
    demand    200 MW   200 MW   200 MW     200 MW    100 MW       100 MW    = 1 000 MW
    enrolled  yes      yes      -          -         -            -
    terminal  -        -        yes        yes       yes          silent
    protected -        -        -          -         yes          -

    DR order: 100 MW, notice 11:00, start 13:00, full by 13:15, end 15:00
    LM order: 300 MW, notice 15:30, start 16:30, full by 16:45, end 17:30
"""

from __future__ import annotations

import numpy as np

from twin.clock import DAY_MS, HOUR_MS, MINUTE_MS
from twin.record.columns import Columns
from twin.record.exchange import Inventory, KindInventory
from twin.record.history import History
from twin.record.orders import Order, OrderForm, OrderKind
from twin.verify import Evidence

SITE_MW = np.array([200.0, 200.0, 200.0, 200.0, 100.0, 100.0])
MAX_MW = 1000.0
BUILDINGS = 4
SCALARS = ("load_mw", "violations_bus", "violations_branch", "converged", "security_cut_kw")


def at(hour: int, minute: int = 0) -> int:
    """Minute of the day."""
    return hour * 60 + minute


def ms(hour: int, minute: int = 0) -> int:
    return hour * HOUR_MS + minute * MINUTE_MS


def dr_order(**changes) -> Order:
    fields = {
        "id": "five", "revision": 0, "kind": OrderKind.DEMAND_RESPONSE,
        "form": OrderForm.REDUCTION, "mw": 100.0, "level": 0, "notice_ms": ms(11),
        "start_ms": ms(13), "full_by_ms": ms(13, 15), "end_ms": ms(15),
    }  # fmt: skip
    return Order(**{**fields, **changes})


def lm_order(**changes) -> Order:
    fields = {
        "id": "twenty", "revision": 0, "kind": OrderKind.LOAD_MANAGEMENT,
        "form": OrderForm.REDUCTION, "mw": 300.0, "level": 1, "notice_ms": ms(15, 30),
        "start_ms": ms(16, 30), "full_by_ms": ms(16, 45), "end_ms": ms(17, 30),
        "warning_min": 15.0,
    }  # fmt: skip
    return Order(**{**fields, **changes})


def inventory() -> Inventory:
    def device(n, **more):
        columns = {
            "site": np.zeros(n, np.int64), "circuit": np.full(n, -1, np.int8),
            "district": np.zeros(n, np.int64), "rated_kw": np.full(n, 100.0),
            "enrolled": np.ones(n, bool), **more,
        }  # fmt: skip
        return Columns(columns)

    sites = Columns({
        "enrolled": np.array([1, 1, 0, 0, 0, 0], bool),
        "terminal": np.array([0, 0, 1, 1, 1, 1], bool),
        "protected": np.array([0, 0, 0, 0, 1, 0], bool),
        "security_share": np.array([0, 0, 0.2, 0.2, 0.5, 0.2]),
        **{f"circuit_share_{i}": np.array([0, 0, 0.3, 0.3, 0.25, 0.3]) for i in (1, 2)},
        **{f"circuit_share_{i}": np.zeros(6) for i in (3, 4)},
        "demand_kw": SITE_MW * 1000.0,
        "contracted_kw": SITE_MW * 1200.0,
        "export_limit_kw": np.zeros(6),
    })  # fmt: skip
    kinds = {
        "storage": device(10),
        "aircon": device(
            BUILDINGS,
            floor_m2=np.array([100.0, 100.0, 100.0, 700.0]),
            enrolled=np.array([1, 1, 1, 0], bool),
        ),
        "charging": device(3),
        "terminal": device(4, enrolled=np.zeros(4, bool)),
    }
    return Inventory(
        MAX_MW, ("a",), ("x",), sites,
        {k: KindInventory(k, (), (), c) for k, c in kinds.items()},
    )  # fmt: skip


class Record:
    """Arrays of one day, to be changed at will and then made a History."""

    def __init__(self, minutes: int = 1440) -> None:
        self.minutes = minutes
        self.demand_mw = np.tile(SITE_MW, (minutes, 1))
        self.interrupted = np.zeros((minutes, 6), np.uint8)
        self.temperature = np.full((minutes, BUILDINGS), 26.0)
        self.occupied = np.ones((minutes, BUILDINGS))
        self.enrolled_mw = np.zeros((minutes, 4))
        self.extra_load_mw = np.zeros(minutes)
        self.scalars = {name: np.zeros(minutes) for name in SCALARS}
        self.scalars["converged"][:] = 1.0
        self.figures: dict[str, np.ndarray] = {}
        self.sessions: list[tuple[int, int, int, float, float, int]] = []
        self.peak: dict[str, np.ndarray] = {}

    def session(self, hour, station, number, asked, got, touched=1):
        self.sessions.append((ms(hour), station, number, asked, got, touched))

    def history(self) -> History:
        tables = {
            "site.demand_kw": (6, "f4"), "site.interrupted": (6, "u1"),
            "aircon.temperature_c": (BUILDINGS, "f4"), "aircon.occupied": (BUILDINGS, "f4"),
            "kind.enrolled_power_mw": (4, "f8"),
            "kind.power_mw": (4, "f8"), "district.load_mw": (1, "f8"),
        }  # fmt: skip
        made = History(0, self.minutes, SCALARS, tables)
        self.scalars["load_mw"] = self.demand_mw.sum(axis=1) + self.extra_load_mw
        # All rows at once; the engine writes them minute by minute.
        made._series[:] = [self.scalars[k] for k in SCALARS]  # noqa: SLF001
        made._tables["site.demand_kw"][:] = self.demand_mw * 1000.0  # noqa: SLF001
        made._tables["site.interrupted"][:] = self.interrupted  # noqa: SLF001
        made._tables["aircon.temperature_c"][:] = self.temperature  # noqa: SLF001
        made._tables["aircon.occupied"][:] = self.occupied  # noqa: SLF001
        made._tables["kind.enrolled_power_mw"][:] = self.enrolled_mw  # noqa: SLF001
        made._tables["kind.power_mw"][:] = self.enrolled_mw  # noqa: SLF001
        made._tables["district.load_mw"][:, 0] = self.demand_mw.sum(axis=1)  # noqa: SLF001
        made.filled = self.minutes
        made.figures = {k: v.copy() for k, v in self.figures.items()}
        made.peak = dict(self.peak)
        if self.sessions:
            columns = list(zip(*self.sessions, strict=True))
            names = ("now_ms", "station", "number", "asked_kwh", "got_kwh", "touched")
            made.add_events(
                "charging.sessions",
                {n: np.array(c) for n, c in zip(names, columns, strict=True)},
            )
        return made


def dr_run(mw: float = 100.0) -> Record:
    """The order met exactly: full from 13:05 to 15:00, taken from sites 0 and 1."""
    record = Record()
    record.demand_mw[at(13, 5) : at(15), :2] -= mw / 2
    record.figures["delivered_mw"] = np.full(1440, mw)
    return record


def lm_run(mw: float = 300.0) -> Record:
    """The order met exactly: full from 16:35 to 17:30, restored by 18:00, from sites 2 and 3."""
    record = Record()
    record.demand_mw[at(16, 35) : at(17, 30), 2:4] -= mw / 2
    record.interrupted[at(16, 35) : at(18), 2:4] = 2
    return record


def peak_record() -> dict[str, np.ndarray]:
    """The undisturbed maximum at 13:40; site 5's terminal last answered at 13:00."""
    return {
        "index": np.array([at(13, 40)]),
        "site.demand_kw": SITE_MW * 1000.0,
        "site.circuit_kw": np.array([0, 0, 120e3, 120e3, 50e3, 60e3]),
        "site.circuit_enrolled_kw": np.array([0, 0, 20e3, 0, 0, 0]),
        "site.security_kw": np.array([0, 0, 40e3, 40e3, 50e3, 20e3]),
        "terminal.answered_ms": np.array([-(10**15)] * 2 + [ms(13, 40)] * 3 + [ms(13)]),
    }


def evidence(order, run, base=None, capability=None, **changes) -> Evidence:
    quiet = Record()
    quiet.peak = peak_record()
    fields = {
        "order": order, "run": run.history(), "counterfactual": (base or Record()).history(),
        "capability": None if capability is None else capability.history(),
        "undisturbed": quiet.history(), "inventory": inventory(), "end_ms": DAY_MS,
    }  # fmt: skip
    return Evidence(**{**fields, **changes})


def by_id(verdicts) -> dict:
    found = {v.id: v for v in verdicts}
    assert len(found) == len(verdicts), "an id stands twice"
    return found
