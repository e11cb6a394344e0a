"""What we ask of the platform itself: a fleet on Modbus, and an order to carry out.

`halve` stands for the platform. A platform that is a program of its own is started with
`fleet.inventory` (who stands where) and a fleet that goes on by itself: `fleet(rate=10)`.
"""

import csv

import pytest


def halve(fleet):
    """Bring every storage device to half its rated charging power."""
    for place in fleet.of_kind("storage"):
        device = fleet.connect(place.name)
        assert device.order("power_kw", -0.5 * device.rated_kw).accepted


@pytest.mark.fleet(kinds=["storage"], limit=4)
def test_every_storage_device_follows(fleet):
    halve(fleet)
    fleet.wait(30.0)
    for place in fleet.of_kind("storage"):
        device = fleet.connect(place.name)
        seen = device.readings("power_kw", "soc")
        if seen["soc"] < 0.95:  # a full one cannot
            assert seen["power_kw"] == pytest.approx(-0.5 * device.rated_kw, rel=0.05), place.name


@pytest.mark.fleet(limit=1)
def test_the_inventory_names_every_kind(fleet):
    with fleet.inventory.open(encoding="utf-8-sig", newline="") as file:
        kinds = {row["kind"] for row in csv.DictReader(file)}
    assert {"dispatcher", "storage", "aircon", "charging", "terminal"} <= kinds


@pytest.mark.fleet(kinds=["storage"], limit=1, rate=50)
def test_time_goes_on_by_itself_for_a_platform_in_another_process(fleet):
    before_ms = fleet.now_ms
    fleet.wait(10.0)
    assert fleet.now_ms >= before_ms + 10_000
