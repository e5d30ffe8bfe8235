"""A stored decision in the words of the table."""

from __future__ import annotations

from northstar.demo.reason import passed_over, reason_of
from northstar.domain.decisions import Rejection, RoutingDecision
from northstar.domain.estimates import DurationEstimate

ESTIMATE = DurationEstimate(p10_s=50, p50_s=75, p90_s=120, source="rules", confidence=0.2)


def test_a_fallback_says_what_was_wanted_and_why_it_was_not_to_be_had() -> None:
    reason = reason_of(
        RoutingDecision(
            pool="standard",
            route="fallback",
            optimal="standard-art",
            row="standard-speciality",
            because="standard has a free machine",
            estimate=ESTIMATE,
            rejected=(
                Rejection(subject="lightning and fast-lane", code="too-long", reason="take less than 30 s"),
                Rejection(subject="standard-art", code="no-machine", reason="no machine fits"),
            ),
        )
    )
    assert reason.because == "the matrix wants standard-art, but no machine fits; standard has a free machine"
    assert reason.passed_over == "lightning and fast-lane (too long), standard-art (no machine)"
    assert reason.estimate == "75 s, by rules of thumb"


def test_a_pool_of_other_work_is_told_by_what_it_takes() -> None:
    against = Rejection(subject="lightning", code="modality", reason="takes only text, and the job makes image")
    assert passed_over([against]) == "lightning (takes only text)"


def test_the_pool_that_took_a_job_was_not_passed_over_although_an_earlier_row_refused_it() -> None:
    reason = reason_of(
        RoutingDecision(
            pool="fast-lane",
            route="matrix",
            optimal="fast-lane",
            row="shorter-fast-lane",
            because="no faster pool takes it",
            estimate=ESTIMATE,
            rejected=(Rejection(subject="fast-lane", code="too-short", reason="takes 3 s to 30 s"),),
        )
    )
    assert reason.passed_over == ""
