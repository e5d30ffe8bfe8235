"""Which outputs go, and which never do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from northstar.policy.outputs.retention import JobOutputs, RetentionRule, Why, judge

RULE = RetentionRule(keep_ms=1_000, limit_bytes=100, least_ms=10)
NOW = 10_000


def outputs(
    job: str = "j", *, age_ms: int = 500, size_bytes: int = 10, finished_ago_ms: int | None = 5_000
) -> JobOutputs:
    finished_ms = None if finished_ago_ms is None else NOW - finished_ago_ms
    return JobOutputs(job=job, size_bytes=size_bytes, written_ms=NOW - age_ms, finished_ms=finished_ms)


def why(one: JobOutputs, *, excess_bytes: int = 0) -> Why:
    (verdict,) = judge([one], now_ms=NOW, excess_bytes=excess_bytes, rule=RULE)
    return verdict.why


def test_what_was_kept_long_enough_goes() -> None:
    assert why(outputs(age_ms=1_000)) == "old"
    assert why(outputs(age_ms=999)) == "kept"


def test_nothing_of_an_unfinished_job_goes_however_old_it_is_or_short_the_room() -> None:
    assert why(outputs(age_ms=9_000, finished_ago_ms=None), excess_bytes=1_000) == "unfinished"


def test_the_time_begins_when_the_job_finished_since_nobody_could_fetch_its_result_before() -> None:
    assert why(outputs(age_ms=9_000, finished_ago_ms=999)) == "kept"
    assert why(outputs(age_ms=9_000, finished_ago_ms=9)) == "young"


def test_a_job_that_nobody_knows_any_more_counts_from_when_its_files_were_written() -> None:
    one = JobOutputs(job="j", size_bytes=1, written_ms=NOW - 999, finished_ms=0)
    assert why(one) == "kept"


def test_for_room_the_oldest_go_and_no_more_than_must() -> None:
    found = judge(
        [outputs("c", age_ms=100), outputs("a", age_ms=300), outputs("b", age_ms=200)],
        now_ms=NOW,
        excess_bytes=11,
        rule=RULE,
    )
    assert [(one.job, one.goes, one.why) for one in found] == [
        ("a", True, "no room"),
        ("b", True, "no room"),
        ("c", False, "kept"),
    ]


def test_what_goes_by_age_makes_room_too() -> None:
    found = judge([outputs("old", age_ms=2_000), outputs("b")], now_ms=NOW, excess_bytes=10, rule=RULE)
    assert [one.goes for one in found] == [True, False]


def test_what_is_younger_than_the_least_stays_even_without_room() -> None:
    assert why(outputs(age_ms=9, finished_ago_ms=9), excess_bytes=1_000) == "young"


def test_without_a_limit_nothing_is_too_much() -> None:
    unlimited = RetentionRule(keep_ms=1_000, limit_bytes=0, least_ms=10)
    assert unlimited.excess_bytes(10**18) == 0
    assert RULE.excess_bytes(130) == 30
    assert RULE.excess_bytes(100) == 0


anything = st.builds(
    JobOutputs,
    job=st.text("abc", min_size=1, max_size=3),
    size_bytes=st.integers(0, 50),
    written_ms=st.integers(0, NOW),
    finished_ms=st.none() | st.integers(0, NOW),
)


@given(st.lists(anything, max_size=12, unique_by=lambda one: one.job), st.integers(0, 200))
def test_whatever_there_is_two_who_judge_agree_and_the_promises_hold(some: list[JobOutputs], excess: int) -> None:
    found = judge(some, now_ms=NOW, excess_bytes=excess, rule=RULE)
    assert judge(reversed(some), now_ms=NOW, excess_bytes=excess, rule=RULE) == found
    known = {one.job: one for one in some}
    assert {one.job for one in found} == set(known)
    for verdict in found:
        one = known[verdict.job]
        if verdict.goes:
            assert one.finished_ms is not None
            assert one.age_ms(NOW) >= RULE.least_ms
    # Nothing stays for want of need while something younger goes for room.
    reasons = [verdict.why for verdict in found]
    assert "no room" not in reasons[reasons.index("kept") :] if "kept" in reasons else True
