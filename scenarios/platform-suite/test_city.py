"""What we ask of a control logic: a whole scenario, and the judge's verdicts."""

import pytest


@pytest.mark.day
@pytest.mark.city("tiny")
def test_the_logic_delivers_and_keeps_the_network_sound(city, record_property):
    result = city.run("twin.control.platform:Platform")
    verdicts = {row["id"]: row for row in result.verdicts}
    for wanted in ("dr.delivered", "dr.network", "lm.shed", "lm.protected"):
        record_property(wanted, verdicts[wanted]["value"])
        assert verdicts[wanted]["passed"], f"{wanted}: see {result.directory / 'report.html'}"
