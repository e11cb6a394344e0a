from __future__ import annotations

import resource

import numpy as np
import pytest

from hil.headend import DeviceEntry, HeadEnd
from hil.headend.link import Habits, Links
from tests.headend.worlds import inventory
from twin.errors import InputProblems

KINDS = {"meter": inventory("meter", 3)}


def entry(**given: object) -> DeviceEntry:
    good = {
        "kind": "meter", "row": 0, "address": "127.0.0.1", "port": 1502, "unit": 1,
        "map": "meter-own",
    }  # fmt: skip
    return DeviceEntry(**{**good, **given})  # type: ignore[arg-type]


def test_everything_wrong_with_the_inventory_is_said_at_once() -> None:
    wrong = [
        entry(), entry(unit=2), entry(row=1),
        entry(row=3, unit=3), entry(row=2, address="localhost"), entry(row=1, port=0, unit=256),
        entry(kind="boiler", unit=9), entry(row=2, unit=10, map="meter-owm"),
        entry(row=2, unit=11, map="storage-own"),
    ]  # fmt: skip
    with pytest.raises(InputProblems) as caught:
        HeadEnd(wrong, KINDS)
    text = str(caught.value)
    for part in (
        "device 1 (meter 0): the row of another; allowed: not that of device 0",
        "device 2 (meter 1): unit 1 at 127.0.0.1:1502; allowed: not that of device 0",
        "row 3; allowed: 0 to 2",
        "address localhost; allowed: an IPv4 address",
        "port 0; allowed: 1 to 65535",
        "unit 256; allowed: 0 to 255",
        "kind boiler; allowed: meter",
        "meter-owm",
        "map storage-own of kind storage; allowed: a map of kind meter",
    ):
        assert part in text


def test_too_few_open_files_are_said_with_the_fix() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        with pytest.raises(InputProblems, match="ulimit -n 114"):
            Links([entry(port=1 + i) for i in range(50)], Habits(), 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_devices_are_no_trouble() -> None:
    with HeadEnd([], KINDS) as headend:
        assert headend.connect(0.1) == 0
        reading = headend.poll(["meter"], 0, 0.1)["meter"]
        assert reading.quality.tolist() == [2, 2, 2]
        assert headend.poll([], 0, 0.1) == {}
        assert headend.figures()["last_round"]["asked"] == 0
        headend.close()  # twice is allowed


def test_pauses_double_up_to_the_longest_and_spread_by_seed() -> None:
    def pauses(seed: int) -> np.ndarray:
        links = Links([entry()], Habits(backoff_s=(1.0, 8.0)), seed)
        pause = links.pause_ns(np.array([0, 1, 2, 3, 4, 5, 60])) / 1e9
        links.close()
        return np.asarray(pause)

    pause, full = pauses(1), np.array([0.0, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0])
    assert (pause >= 0.5 * full).all()
    assert (pause <= 1.5 * full).all()
    assert pauses(1).tolist() == pause.tolist() != pauses(2).tolist()
