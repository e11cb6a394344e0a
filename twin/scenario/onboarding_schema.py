"""What a scenario file says of bringing stations in (有序接入): who, how far, and when further.

Devices that no section names are live all day.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from twin.clock import parse_time_of_day
from twin.record.onboarding import STEPS
from twin.scenario.fields import Count, KindName, Section, Share, TimeOfDay

StateName = Literal[
    "registered", "point_table_checked", "joint_tested", "certified", "live", "suspended"
]
LATER = tuple(STEPS)[1:]  # what can be given a time: everything but the registration itself


class OnboardingSection(Section):
    """How far some devices of a kind have been brought in at the start, and their next steps.

    Of several sections that mean one device the last one counts.
    """

    kind: KindName = Field(description="kind of the devices")
    share: Share | None = Field(
        default=None, description="share of them, 0 to 1; default: all, or those of rows"
    )
    rows: tuple[Count, ...] | None = Field(
        default=None, description="numbers of devices within the kind, from 0; instead of share"
    )
    district: str | None = Field(
        default=None, description="only those in this district, Chinese or English name"
    )
    state: StateName = Field(default="registered", description="state at the start of the run")
    point_table_checked: TimeOfDay | None = Field(
        default=None, description="when its point table has been checked (点表核对), HH:MM"
    )
    joint_tested: TimeOfDay | None = Field(
        default=None, description="when the joint test is passed (联调), HH:MM"
    )
    certified: TimeOfDay | None = Field(
        default=None, description="when it is certified (验收), HH:MM"
    )
    live: TimeOfDay | None = Field(
        default=None, description="when it goes live: may be commanded and counts, HH:MM"
    )
    suspended: TimeOfDay | None = Field(default=None, description="when it is suspended, HH:MM")
    resumed: TimeOfDay | None = Field(default=None, description="when it is live again, HH:MM")

    def times(self) -> dict[str, int]:
        """Return the given steps with their moments [ms], in the order of the steps."""
        given = ((step, getattr(self, step)) for step in LATER)
        return {step: parse_time_of_day(text) for step, text in given if text is not None}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = []
        if self.share is not None and self.rows is not None:
            wrong.append("give either share or rows")
        order, times = list(STEPS), self.times()
        done = order.index(self.state)
        early = [step for step in times if order.index(step) <= done]
        if early:
            wrong.append(f"at state {self.state} the run begins after {', '.join(early)}")
        elif times:
            last = order.index(list(times)[-1])
            skipped = [step for step in order[done + 1 : last] if step not in times]
            if skipped:
                wrong.append(f"no step may be skipped: give {', '.join(skipped)} as well")
        if sorted(times.values()) != list(times.values()):
            wrong.append(f"steps must come in the order {', '.join(LATER)}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self
