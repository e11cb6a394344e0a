import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.world import Record, dr_order, evidence, lm_order
from twin.clock import DAY_MS, MINUTE_MS
from twin.record.monitor import percentile
from twin.verify import judge, rules
from twin.verify.counterfactual import Pair, quarter_means, weighted_percentile
from twin.verify.demand_response import minutes_to_reach
from twin.verify.verdict import NOT_APPLICABLE, Sheet

QUIET = evidence(dr_order(), Record())
PAIR = Pair(QUIET.run, QUIET.counterfactual, QUIET.inventory, DAY_MS)

minutes = st.integers(-100, 1600)
series = st.lists(st.integers(-1000, 1000).map(float), min_size=0, max_size=120).map(np.array)


@given(begin=st.integers(0, 1440), values=series)
def test_quarters_are_clock_aligned_and_whole(begin, values):
    found = quarter_means(np.asarray(values, float), begin * MINUTE_MS)
    by_hand = []
    for q in range(0, 2000, 15):
        if q >= begin and q + 15 <= begin + len(values):
            by_hand.append(sum(values[q - begin : q - begin + 15]) / 15.0)
    assert len(found) == len(by_hand)
    assert np.allclose(found, by_hand)


@given(first=minutes, last=minutes, shift=st.integers(0, MINUTE_MS - 1))
def test_a_span_holds_the_whole_minutes_within(first, last, shift):
    span = PAIR.span(first * MINUTE_MS + shift, last * MINUTE_MS + shift)
    inside = [
        i for i in range(1440)
        if i * MINUTE_MS >= first * MINUTE_MS + shift
        and (i + 1) * MINUTE_MS <= last * MINUTE_MS + shift
    ]  # fmt: skip
    assert span.minutes == len(inside)
    if inside:
        assert (span.first, span.stop) == (inside[0], inside[-1] + 1)


@given(first=minutes, middle=minutes, last=minutes)
def test_adjoining_spans_make_one(first, middle, last):
    first, middle, last = (m * MINUTE_MS for m in sorted((first, middle, last)))
    left, right = PAIR.span(first, middle), PAIR.span(middle, last)
    assert left.minutes + right.minutes == PAIR.span(first, last).minutes


@given(values=series, needed=st.integers(1, 500), kept=st.sampled_from([None, 0.9]))
def test_time_to_reach(values, needed, kept):
    reduction, wanted = np.asarray(values, float), np.full(len(values), float(needed))
    found = minutes_to_reach(reduction, wanted, kept)
    good = [
        i for i in range(len(values))
        if reduction[i] >= 0.95 * needed
        and (kept is None or all(r > kept * needed for r in reduction[i:]))
    ]  # fmt: skip
    assert found == (good[0] + 1 if good else None)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 5)), min_size=1, max_size=60))
def test_weighted_percentile_is_that_of_repeated_values(pairs):
    values = np.array([p[0] for p in pairs], float)
    weights = np.array([p[1] for p in pairs], float)
    found = weighted_percentile(values, weights, 0.95)
    repeated = np.sort(np.repeat(values, weights.astype(int)))
    if len(repeated) == 0:
        assert found is None
    else:
        assert found == repeated[int(np.ceil(0.95 * len(repeated) - 1e-9)) - 1]


@given(st.lists(st.integers(0, 400), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_percentile_of_bins_holds_the_share(bins, share):
    counts = np.bincount(bins, minlength=402)
    edge = percentile(counts, 1.0, share)
    at_or_below = sum(b < edge for b in bins) / len(bins)
    assert at_or_below >= share - 1e-9
    assert sum(b < edge - 1.0 for b in bins) / len(bins) < share + 1e-9


@given(
    reduction=st.floats(-50, 200),
    start=st.integers(0, 1500),
    length=st.integers(0, 400),
    end=st.integers(0, 1440),
)
def test_whatever_the_order_verdicts_are_honest(reduction, start, length, end):
    """None only where allowed, False always with a reason or a value, never NaN."""
    for make in (dr_order, lm_order):
        run = Record()
        run.demand_mw[start : start + length, :2] -= reduction
        order = make(
            notice_ms=max(start - 60, 0) * MINUTE_MS,
            start_ms=start * MINUTE_MS,
            full_by_ms=(start + 15) * MINUTE_MS,
            end_ms=(start + 15 + length) * MINUTE_MS,
        )
        given_ = evidence(order, run, end_ms=end * MINUTE_MS)
        for verdict in judge([given_], given_.run):
            if verdict.passed is None:
                assert verdict.comparison == "figure" or verdict.reason in NOT_APPLICABLE
            elif verdict.value is None:
                assert verdict.passed is False
                assert verdict.reason
            else:
                assert np.isfinite(verdict.value)
                rule = rules()[verdict.id]
                assert verdict.passed == rule.passes(verdict.value) or verdict.reason


def test_no_order_at_all_names_every_id_once():
    found = judge([], QUIET.run)
    ids = [v.id for v in found]
    assert len(ids) == len(set(ids))
    assert set(ids) == {k for k in rules() if not k.endswith("@cap")}
    for verdict in found:
        if not verdict.id.startswith("monitor."):
            assert verdict.passed is None
            assert verdict.reason == "no such order"


def test_two_orders_of_a_kind_are_both_judged():
    second = evidence(dr_order(id="again"), Record())
    found = judge([QUIET, second], QUIET.run)
    assert [v.order for v in found if v.id == "dr.delivered"] == ["five", "again"]
    assert [v.order for v in found if v.id == "lm.shed"] == [None]


def test_every_limit_has_a_source_and_a_grade():
    for rule in rules().values():
        assert rule.source
        assert rule.grade in ("A", "B", "C", "D", "GK", "assumed")
        assert rule.title
        assert rule.title_zh


def test_only_known_reasons_make_a_verdict_not_applicable():
    import pytest

    with pytest.raises(ValueError, match="no reason"):
        Sheet("x").not_applicable("dr.delivered", "did not feel like it")
    assert Sheet("x").add("dr.delivered", float("nan")).passed is False
    assert Sheet("x").add("dr.delivered", 99.0, "why", failed=True).passed is False
