"""An order and a release within one tick: the one that came last is in force."""

from __future__ import annotations

import numpy as np
import pytest

from hil.registers.bank import Writes
from hil.registers.commands import Commands
from tests.bank.small import bank_of, registered
from twin.record.exchange import SetPoint


def orders(written: list[tuple[int, str, float]]) -> list[SetPoint]:
    """Return what writes (device, point, value) to charging stations' own map amount to."""
    bank = bank_of("charging")
    number = [one.name for one in bank.compiled.maps].index("charging-own")
    device, names, values = zip(*written, strict=True)
    first = 3 * number
    writes = Writes(
        np.arange(len(written)),
        np.array(device) + first,
        np.array([bank.compiled.row(number, name) for name in names]),
        np.zeros(len(written), np.uint64),
        np.array(values),
    )
    return Commands(bank, {"charging": registered("charging")}).setpoints(writes)


@pytest.mark.parametrize(
    ("written", "last"),
    [
        ([(0, "set_release", 1.0), (0, "set_limit_kw", 50.0)], "limit_kw"),
        ([(0, "set_limit_kw", 50.0), (0, "set_release", 1.0)], "release"),
        (
            [(0, "set_limit_kw", 60.0), (0, "set_release", 1.0), (0, "set_limit_kw", 50.0)],
            "limit_kw",
        ),
    ],
)
def test_the_last_word_counts(written: list[tuple[int, str, float]], last: str) -> None:
    found = orders(written)
    assert [f.point for f in found][-1] == last
    assert len(found) == len(written)
    if last == "limit_kw":
        assert found[-1].values.tolist() == [50.0]


def test_other_devices_keep_to_one_batch() -> None:
    found = orders([(0, "set_release", 1.0), (1, "set_limit_kw", 40.0), (0, "set_limit_kw", 50.0),
                    (2, "set_limit_kw", 30.0)])  # fmt: skip
    rows = [(f.point, f.rows.tolist()) for f in found]
    assert rows == [("limit_kw", [1, 2]), ("release", [0]), ("limit_kw", [0])]
