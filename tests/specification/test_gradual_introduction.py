"""The specification's "Gradual Pool Introduction" and "Rollback Capabilities"."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.pools import UNIFORM
from northstar.policy.routing.introduction import is_introduced
from tests.specification.pool_jobs import choice, job, with_pool


def test_a_pool_without_traffic_leaves_its_work_to_any_machine_and_says_so() -> None:
    """Spec: "Deploy Lightning Pool alongside existing system"."""
    found = choice(job(1, "text"), with_pool("lightning", traffic_share=0.0))
    assert (found.pool, found.row) == (UNIFORM, "not-introduced")
    assert found.because == "the matrix wants lightning (row lightning), which is not in use for this job yet"
    assert [(one.subject, one.code) for one in found.rejected] == [("lightning", "not-introduced")]


def test_other_pools_are_in_use_meanwhile() -> None:
    """Spec: "Migrate Fast Lane workloads to optimized pools" comes two months later."""
    assert choice(job(10, "image"), with_pool("lightning", traffic_share=0.0)).pool == "fast-lane"


def test_a_pool_that_is_asked_for_is_in_use_for_whoever_asks() -> None:
    """So that it can be tried before any traffic is sent there."""
    assert choice(job(1, "text", pool="lightning"), with_pool("lightning", traffic_share=0.0)).pool == "lightning"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_is_about_that_part_of_many_jobs(share: float) -> None:
    part = with_pool("lightning", traffic_share=share)
    inside = sum(choice(job(1, "text", key=f"job-{n}"), part).pool == "lightning" for n in range(2_000))
    assert abs(inside / 2_000 - share) < 0.04


@given(st.text(max_size=64), st.floats(0, 1), st.floats(0, 1))
def test_raising_the_share_takes_no_job_out_again(key: str, one: float, other: float) -> None:
    smaller, larger = sorted((one, other))
    assert is_introduced("heavy", smaller, key) <= is_introduced("heavy", larger, key)


def test_the_first_jobs_of_one_pool_are_not_the_first_of_every_other() -> None:
    keys = [f"job-{n}" for n in range(200)]
    in_both = [is_introduced("lightning", 0.5, key) and is_introduced("heavy", 0.5, key) for key in keys]
    assert 20 < sum(in_both) < 80
