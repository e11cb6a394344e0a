"""The device on OpenDER with the registers of IEEE 1547: permission, entering service, a limit.

Beside the registers of `opender_device` it has ``permit_service``, delay and ramp of entering
service, and a limit of active power; OpenDER makes of them what IEEE 1547-2018 asks for.
"""

from __future__ import annotations

from collections.abc import Mapping

from hil.registers.files import check_map, load_map
from tests.certify.opender_device import MAP, OpenDer, _bank

DELAY_S, RAMP_S = 300.0, 300.0


def _written(name: str, address: int, held: float, high: float) -> dict[str, object]:
    return {
        "name": name, "class": "yt", "table": "holding", "address": address, "type": "u16",
        "low": 0, "high": high, "access": "rw", "meaning": name, "meaning_zh": name,
        "source": {"held": held},
    }  # fmt: skip


class PermitDer(OpenDer):
    """OpenDER that can be told to stay out of service.

    Parameters
    ----------
    seed : as of `OpenDer`
    settings : of OpenDER, changed behind the back of the registers: what a broken device does
    """

    def __init__(self, seed: int = 0, settings: Mapping[str, object] | None = None) -> None:
        super().__init__(seed)
        data = load_map(MAP).model_dump(by_alias=True, exclude_none=True)
        data["points"] = [
            *data["points"],
            _written("permit_service", 2100, 1.0, 1.0),
            _written("limit_pct", 2101, 100.0, 100.0),
            _written("limit_on", 2102, 0.0, 1.0),
            _written("enter_service_delay_s", 2103, DELAY_S, 600.0),
            _written("enter_service_ramp_s", 2104, RAMP_S, 600.0),
        ]
        self.map = check_map(data, "permit")
        self.bank = _bank(self)
        self.settings = dict(settings or {})
        self._set(ES_DELAY=DELAY_S, ES_RAMP_RATE=RAMP_S)

    def _set(self, **settings: object) -> None:
        for name, value in {**settings, **self.settings}.items():
            setattr(self.der.der_file, name, value)

    def _take(self, until_ns: int) -> None:
        held = dict(zip(self.bank.compiled.held[0], self.bank.held[0], strict=True))
        writes = self.bank.take(until_ns)
        points = self.bank.compiled.maps[0].points
        for row, value in zip(writes.point.tolist(), writes.value.tolist(), strict=True):
            name = points[row].name
            if name in held:
                held[name][:] = value
            self.heard_s = float(self.second)
            if name == "set_power_kw":
                self.wanted_kw, self.remote = value, True
            elif name == "set_release" and value >= 1.0:
                self._let_go()
            elif name == "set_revert_s":
                self.revert_s = value
        self._set(
            ES_PERMIT_SERVICE=bool(held["permit_service"][0]),
            AP_LIMIT_ENABLE=bool(held["limit_on"][0]),
            AP_LIMIT=float(held["limit_pct"][0]) / 100.0,
        )
