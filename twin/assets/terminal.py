"""Load-management terminals: rigid customers whose circuits can be opened in rounds.

A terminal (负荷管理终端) stands at a customer's meter and opens or closes up to four branch
circuits (轮次). The rest of the customer's host load, the security load (保安负荷) in it, is
behind no circuit. What is switched off comes back with cold-load pick-up.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twin.assets.environment import Environment
from twin.assets.kind import COMMON_ROWS, Kind
from twin.record.columns import Columns
from twin.record.exchange import Point
from twin.record.table import Table

CIRCUITS = 4
# Cold-load pick-up: a circuit that was open for an hour or more comes back with 25 % on top,
# decaying with 15 minutes (assumed; 1.2 to 2 times in IEEE cold-load literature for hours-long
# outages, less for the short rounds here).
PICKUP_MAX = 0.25
PICKUP_FULL_MS = 3_600_000.0
PICKUP_DECAY_S = 900.0


def _exact(power_kw: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.round(power_kw * 1024.0) / 1024.0


def _numbered(stem: str) -> tuple[str, ...]:
    return tuple(f"{stem}_{i}" for i in range(1, CIRCUITS + 1))


class Terminal(Kind):
    """Host load of the sites with a terminal.

    Powers are kept to 1/1024 kW, so that their sums over seconds are exact and a minute may be
    cut at will.

    Energy ledger: ``host_kws`` is what the customer would draw, ``unserved_kws`` what open
    circuits kept from him, ``pickup_kws`` what came on top afterwards:
    ``energy + host - unserved + pickup = 0``.
    """

    name = "terminal"
    nameplate: ClassVar[tuple[str, ...]] = (*_numbered("circuit_share"), "security_share")
    setpoints = (
        *(
            Point(f"circuit_{i}", "1", f"Circuit {i} closed", f"第{i}轮合闸", 0, 1)
            for i in range(1, CIRCUITS + 1)
        ),
        Point("warning", "1", "Warning", "跳闸预告", 0, 1),
    )
    points = (
        Point("power_kw", "kW", "Power", "有功功率", accuracy=0.005, resolution=0.1),
        Point("demand_kw", "kW", "Demand", "用电负荷", accuracy=0.005, resolution=0.1),
        *(
            Point(f"demand_circuit_{i}_kw", "kW", f"Demand of circuit {i}", f"第{i}轮负荷",
                  accuracy=0.005, resolution=0.1)
            for i in range(1, CIRCUITS + 1)
        ),
        *(
            Point(f"closed_{i}", "1", f"Circuit {i} closed", f"第{i}轮合位", 0, 1)
            for i in range(1, CIRCUITS + 1)
        ),
        Point("warning", "1", "Warning", "跳闸预告", 0, 1),
    )  # fmt: skip

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        self.share = np.stack([nameplate.f8(name) for name in _numbered("circuit_share")])
        rows = (
            *COMMON_ROWS, "host_kw", "warning", *_numbered("open"), *_numbered("opened_ms"),
            *_numbered("pickup"), "host_kws", "unserved_kws", "pickup_kws",
        )  # fmt: skip
        self.state = Table(rows, self.n, self.extras(self.n))
        self.state["supplied"] = 1.0

    def _rows(self, stem: str) -> NDArray[np.float64]:
        """Return float64[4, n], a view of the four rows of `stem`."""
        first = len(COMMON_ROWS) + 2 + CIRCUITS * ("open", "opened_ms", "pickup").index(stem)
        rows: NDArray[np.float64] = self.state.block[first : first + CIRCUITS]
        return rows

    @property
    def open(self) -> NDArray[np.float64]:
        """float64[4, n]: 1 where a circuit is open by command."""
        return self._rows("open")

    def warm(self, env: Environment) -> None:
        """All circuits closed."""

    def security_cut_kw(self) -> float:
        """Return the security load that is interrupted by a command [kW].

        A circuit may carry security load only where the shares of a site's circuits and its
        security load overlap, that is where they exceed one together.
        """
        security = self.registered.f8("security_share")
        share_open = np.einsum("ij,ij->j", self.share, self.open)
        return float((np.maximum(share_open + security - 1.0, 0.0) * self.state["host_kw"]).sum())

    def minute(self, env: Environment) -> None:
        """Let cold-load pick-up decay."""
        self._rows("pickup")[...] *= np.exp(-60.0 / PICKUP_DECAY_S)

    def supplied_share(self) -> NDArray[np.float64]:
        """Return float64[n], the part of the nominal host load that is drawn now."""
        factor = (1.0 - self.open) * self._rows("pickup") - self.open
        return np.asarray(1.0 + np.einsum("ij,ij->j", self.share, factor))

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Draw the host load of the closed circuits."""
        state, is_open = self.state, self.open
        host = _exact(state["host_kw"])
        unserved = _exact(host * np.einsum("ij,ij->j", self.share, is_open))
        pickup = _exact(
            host * np.einsum("ij,ij->j", self.share, (1.0 - is_open) * self._rows("pickup"))
        )
        state["power_kw"] = -(host - unserved + pickup)
        state["energy_kws"] += state["power_kw"] * seconds
        state["host_kws"] += host * seconds
        state["unserved_kws"] += unserved * seconds
        state["pickup_kws"] += pickup * seconds

    def read(self, out: NDArray[np.float64]) -> None:
        """Write the points; circuit demand is what flows behind each circuit now."""
        closed = 1.0 - self.open
        out[0] = self.state["power_kw"]
        out[1] = -self.state["power_kw"]
        out[2:6] = self.state["host_kw"] * self.share * closed * (1.0 + self._rows("pickup"))
        out[6:10] = closed
        out[10] = self.state["warning"]

    def in_force(self, out: NDArray[np.float64]) -> None:
        """Write which circuits are closed, and the warning; see `Kind.in_force`."""
        out[:CIRCUITS] = 1.0 - self.open
        out[CIRCUITS] = self.state["warning"]

    def obey(
        self, point: int, rows: NDArray[np.int64], values: NDArray[np.float64], now_ms: int
    ) -> None:
        """Open or close a circuit, or show the warning.

        The terminal obeys: that protected customers stay untouched is the platform's duty and
        is judged.
        """
        if point == CIRCUITS:
            self.state["warning"][rows] = values
            return
        is_open, opened_ms = self._rows("open")[point], self._rows("opened_ms")[point]
        wanted = np.where(values >= 0.5, 0.0, 1.0)
        closing = rows[(wanted == 0.0) & (is_open[rows] == 1.0)]
        fraction = np.minimum((now_ms - opened_ms[closing]) / PICKUP_FULL_MS, 1.0)
        self._rows("pickup")[point][closing] = PICKUP_MAX * fraction
        opened_ms[rows[(wanted == 1.0) & (is_open[rows] == 0.0)]] = now_ms
        is_open[rows] = wanted
