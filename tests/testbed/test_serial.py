"""`hil serve --serial`: the devices answer on a serial line as well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pymodbus.client import ModbusSerialClient

from tests.server.line import PtyLine
from tests.wire.ports import free_port

HIL = Path(sys.executable).with_name("hil")


@pytest.mark.paced
def test_a_station_is_read_over_the_line_and_takes_a_set_point(tmp_path: Path) -> None:
    with PtyLine() as line:
        command = [
            str(HIL), "serve", "first-contact", "--kinds", "storage", "--json", "--serial",
            line.ends[0], "--rate", "60", "--duration", "15", "--out", "served",
            "--set", f"wire.port={free_port()}",
        ]  # fmt: skip
        server = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            said = json.loads(server.stdout.readline())
            assert said["serial"] == {"port": line.ends[0], "baud": 9600, "first_unit": 1}
            client = ModbusSerialClient(line.ends[1], baudrate=9600, timeout=1.0)
            assert client.connect()
            # Unit 1 is the dispatcher, unit 2 the first station: rating in 0.1 kW.
            rated = client.read_input_registers(256, count=2, device_id=2).registers
            assert rated[0] * 65_536 + rated[1] > 1_000
            assert not client.write_registers(0, [0, 100], device_id=2).isError()
            assert client.read_holding_registers(0, count=2, device_id=2).registers == [0, 100]
            client.close()
            text = server.communicate(timeout=60)[1]
        finally:
            server.kill()
            server.wait()
    assert "served 2 reads, 1 writes, 0 refused" in " ".join(text.split())


def test_what_is_no_line_is_said_before_anything_is_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(HIL), "serve", "first-contact", "--serial", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "is no serial line" in done.stderr
    assert list(tmp_path.iterdir()) == []
