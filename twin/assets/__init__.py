"""Device kinds, one file each. `KINDS` is the literal table of them, in the order of reports."""

from twin.assets.aircon import Aircon
from twin.assets.charging import Charging
from twin.assets.hydrogen import Hydrogen
from twin.assets.icestore import Icestore
from twin.assets.industry import Industry
from twin.assets.kind import Kind
from twin.assets.shorepower import ShorePower
from twin.assets.solar import Solar
from twin.assets.storage import Storage
from twin.assets.swap import Swap
from twin.assets.terminal import Terminal

KINDS: dict[str, type[Kind]] = {
    "storage": Storage,
    "aircon": Aircon,
    "icestore": Icestore,
    "charging": Charging,
    "swap": Swap,
    "solar": Solar,
    "industry": Industry,
    "hydrogen": Hydrogen,
    "shorepower": ShorePower,
    "terminal": Terminal,
}

__all__ = ["KINDS"]
