"""Our server over a real register bank, every check on: holding register k of unit 1 holds k.

Run: ``python benchmarks/wire/our_server.py --address 127.0.0.1 --port 5020 [--body portable]``;
it prints "ready" and serves until SIGTERM, 600 s at the latest.
"""

from __future__ import annotations

import argparse
import ipaddress
import signal
import threading

import numpy as np

from hil.registers.bank import Group, KindValues, RegisterBank
from hil.registers.layout import compile_maps
from hil.registers.schema import RegisterMap
from hil.server import Endpoint, Server
from twin.record.columns import Columns
from twin.record.exchange import KindInventory

REGISTERS = 125
LIFE_S = 600.0


def ramp() -> RegisterMap:
    """Return a map of `REGISTERS` holding registers that can be read and written."""
    points = [
        {
            "name": f"word{k}", "class": "yt", "table": "holding", "address": k, "type": "u16",
            "access": "rw", "meaning": f"word {k}", "meaning_zh": f"字 {k}", "source": {"held": 0},
        }
        for k in range(REGISTERS)
    ]  # fmt: skip
    return RegisterMap.model_validate(
        {
            "name": "ramp", "kind": "ramp", "title": "Ramp", "title_zh": "斜坡",
            "source": "benchmark", "points": points,
            "identity": {"vendor": "suitwin", "product": "ramp"},
        }
    )  # fmt: skip


def filled(one: RegisterMap) -> RegisterBank:
    """Return a bank of one device whose register k holds k, as a tick would have written it."""
    rated = np.ones(1)
    columns = Columns({"rated_kw": rated, "site": np.zeros(1, np.int64)})
    compiled = compile_maps([one], {"ramp": KindInventory("ramp", (), (), columns)})
    nothing = np.empty((0, 1))
    rows = np.zeros(1, np.int64)
    bank = RegisterBank(
        compiled, [Group(0, "ramp", rows, rows)],
        {"ramp": KindValues(rated, columns, nothing, nothing)}, ["ramp-0"],
        np.ones(1, np.uint8), lanes=2,
    )  # fmt: skip
    for k in range(REGISTERS):
        bank.hold(0, f"word{k}", k)
    bank.write({}, {}, 0)
    bank.publish()
    return bank


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--body", choices=("compiled", "portable"), default="compiled")
    parser.add_argument("--connections", type=int, help="most at a time; default: what files allow")
    chosen = parser.parse_args()
    if not ipaddress.ip_address(chosen.address).is_loopback:
        parser.error(f"--address {chosen.address}: a loopback address is wanted")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    bank = filled(ramp())
    place = [Endpoint(chosen.address, chosen.port, 0)]
    with Server(
        bank.arrays, bank.compiled.layout, place, body=chosen.body, most=chosen.connections
    ):
        print("ready", flush=True)
        stop.wait(LIFE_S)


if __name__ == "__main__":
    main()
