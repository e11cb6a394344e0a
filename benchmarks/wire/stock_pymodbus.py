"""A stock pymodbus server by its documented interface: holding register k of unit 1 holds k.

Run: ``python benchmarks/wire/stock_pymodbus.py --address 127.0.0.1 --port 5020``; it prints
"ready" and serves until SIGTERM, 600 s at the latest.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import signal

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

REGISTERS = 125
LIFE_S = 600


async def serve(address: str, port: int) -> None:
    table = SimData(0, values=list(range(REGISTERS)), datatype=DataType.REGISTERS)
    server = ModbusTcpServer(SimDevice(1, [table]), address=(address, port))
    await server.serve_forever(background=True)
    print("ready", flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:
        await asyncio.wait_for(stop.wait(), LIFE_S)
    except TimeoutError:
        pass
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    if not ipaddress.ip_address(options.address).is_loopback:
        parser.error(f"--address {options.address}: a loopback address is wanted")
    asyncio.run(serve(options.address, options.port))


if __name__ == "__main__":
    main()
