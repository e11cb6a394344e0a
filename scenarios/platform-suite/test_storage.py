"""What we ask of a storage device before it may join the platform.

The same file runs on an emulated device, in seconds, and on the bench (`--bench bench.toml`). The
limits are ours, not a standard's: the certificate of `hil certify` is another matter.
"""

import math

import pytest

pytestmark = pytest.mark.device("storage")

DEVIATION = 0.02  # of the rating
SETTLED_S = 5.0


@pytest.fixture
def ready(device):
    """Return the device neither full nor empty, so that it can go both ways."""

    def soc():
        return device.readings("soc")["soc"]

    if not 0.2 <= soc() <= 0.8:
        way = 1.0 if soc() > 0.5 else -1.0
        device.order("power_kw", way * device.rated_kw, within_s=60.0)
        if device.wait_until(lambda: 0.2 <= soc() <= 0.8, 2 * 3600.0, every_s=10.0) == math.inf:
            pytest.skip("neither full nor empty: it did not come there within two hours")
    return device


def test_it_shows_itself(device):
    seen = device.readings("power_kw", "soc")
    device.figure("soc", seen["soc"])
    assert abs(seen["power_kw"]) <= 1.05 * device.rated_kw
    assert 0.0 <= seen["soc"] <= 1.0


@pytest.mark.parametrize("share", [0.5, -0.5, 0.0])
def test_it_does_what_it_is_told(ready, share):
    device = ready
    wanted_kw = share * device.rated_kw

    def there():
        return abs(device.power_kw().value - wanted_kw) <= DEVIATION * device.rated_kw

    ordered = device.order("power_kw", wanted_kw, within_s=60.0)
    assert ordered.accepted, f"refused with exception {ordered.code}"
    if ordered.cut:
        pytest.skip(f"the bench allows less: {ordered.cut}")
    took_s = device.wait_until(there, within_s=30.0)
    device.figure("settled", took_s, "s")
    assert took_s <= SETTLED_S
    device.wait(10.0)
    assert there(), "it does not stay where it was told to go"


def test_three_times_its_rating_is_never_delivered(device):
    ordered = device.order("power_kw", 3.0 * device.rated_kw, within_s=60.0)
    device.wait(10.0)
    power_kw = device.power_kw().value
    device.figure("power", power_kw, "kW")
    device.figure("answer", ordered.cut or ("accepted" if ordered.accepted else "refused"))
    assert power_kw <= 1.05 * device.rated_kw


def test_an_order_that_nobody_renews_ends(device):
    """The owner's own control comes back when the platform falls silent."""
    commands = device.subject.device.meanings.commands
    if "revert_s" not in commands:
        pytest.skip(f"map {device.map.name} has no revert timer")
    seen = device.subject.device.meanings.readings
    if "remote" not in seen:
        pytest.skip(f"map {device.map.name} does not show who controls the device")
    assert device.order("revert_s", 20.0).accepted
    assert device.order("power_kw", 0.25 * device.rated_kw, within_s=15.0).accepted
    assert device.wait_until(lambda: device.readings("remote")["remote"] == 1.0, 5.0) < math.inf
    took_s = device.wait_until(lambda: device.readings("remote")["remote"] == 0.0, 60.0)
    device.figure("reverted", took_s, "s")
    assert took_s <= 30.0


@pytest.mark.simulated
def test_a_full_discharge_ends_by_itself(device):
    """Hours of the device's time: on the bench that is `hil certify --suite storage`'s work."""
    device.order("power_kw", device.rated_kw)
    device.wait(10.0)
    took_s = device.wait_until(lambda: device.power_kw().value <= 0.01 * device.rated_kw,
                               within_s=6 * 3600.0, every_s=60.0)  # fmt: skip
    device.figure("lasted", took_s / 3600.0, "h")
    assert took_s < math.inf
    assert device.readings("soc")["soc"] >= 0.0


@pytest.mark.hardware
def test_it_is_the_firmware_that_was_agreed(device):
    """Only hardware has a firmware; put the agreed revision here."""
    revision = device.subject.device.identity().get("revision", "")
    device.figure("revision", revision)
    assert revision != ""
