"""The C programs of the wire benchmarks: what they need, and their build."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
TIMEOUT_S = 60.0
FLAGS = ("-O2", "-Wall", "-Wextra")


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths of what was built."""

    load: Path
    libmodbus_server: Path
    floor: Path


def missing_tools() -> list[str]:
    """Return what has to be installed first, each with the command; empty when all is there."""
    if shutil.which("cc") is None:
        return ["a C compiler: apt-get install gcc libc6-dev libmodbus-dev"]
    header = subprocess.run(
        ["cc", "-fsyntax-only", "-include", "modbus/modbus.h", "-x", "c", "/dev/null"],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return [] if header.returncode == 0 else ["libmodbus: apt-get install libmodbus-dev"]


def build(folder: Path) -> Programs:
    """Compile the programs into `folder`; CalledProcessError shows what the compiler said."""
    folder.mkdir(parents=True, exist_ok=True)
    programs = Programs(folder / "load", folder / "libmodbus_server", folder / "floor")
    for target in (programs.load, programs.libmodbus_server, programs.floor):
        libraries = ["-lmodbus"] if target == programs.libmodbus_server else []
        source = HERE / f"{target.name}.c"
        command = ["cc", *FLAGS, "-o", str(target), str(source), *libraries]
        subprocess.run(command, check=True, timeout=TIMEOUT_S)
    return programs
