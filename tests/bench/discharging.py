"""A runner in the middle of a discharge: ``discharging.py BENCH JOURNAL HOW``.

Says ``discharging`` when the device does, and then goes on until it is told to end, or ends as
HOW says.
"""

import os
import sys
import time
from pathlib import Path

from hil.bench.files import load_bench
from hil.bench.guarded import guarded

POWER_KW = 200.0


def run(bench: Path, journal: Path, how: str) -> None:
    with guarded(load_bench(bench), journal) as here:
        name = next(iter(here.devices))
        device = here.devices[name]
        device.drive("power_kw", POWER_KW, 0.1, 10.0)
        while device.read_twin(["power_kw"])["power_kw"].value < 0.9 * POWER_KW:
            here.clock.sleep(0.1)
        sys.stdout.write(f"discharging {here.guard.pid}\n")
        sys.stdout.flush()
        if how == "exception":
            raise RuntimeError("a procedure with a mistake in it")
        if how == "exit":
            os._exit(7)
        if how == "end":
            return
        if how == "hang":
            time.sleep(60.0)
        while True:
            try:
                here.clock.sleep(0.1)
                if how != "blind":
                    device.read_twin(["power_kw"])
            except KeyboardInterrupt:
                if how != "stubborn":
                    raise
                sys.stdout.write("no\n")
                sys.stdout.flush()


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
