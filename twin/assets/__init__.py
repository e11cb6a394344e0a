"""Device kinds: one file each. `KINDS` is the literal table of them."""
from twin.assets.charging import Charging
from twin.assets.industry import Industry
from twin.assets.kind import Kind
from twin.assets.solar import Solar
from twin.assets.storage import Storage
from twin.assets.swap import Swap
from twin.assets.terminal import Terminal

KINDS: dict[str, type[Kind]] = {
    "storage": Storage,
    "charging": Charging,
    "swap": Swap,
    "solar": Solar,
    "industry": Industry,
    "terminal": Terminal,
}
