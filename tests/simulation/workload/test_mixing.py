"""Workloads together, whose they are, and where they come from."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from northstar.domain.tenancy import TenantTerms
from northstar.simulation.workload.mixing import TenantShare, mixed, terms_of, with_tenants
from northstar.simulation.workload.regions import RegionClock, across_regions
from tests.simulation.workload.jobs import a_job, told

HOUR = 3_600_000


def test_workloads_are_merged_by_time_without_being_read_ahead() -> None:
    def endless(user: str) -> object:
        at_ms = 0
        while True:
            yield a_job(at_ms, user)
            at_ms += 10

    both = mixed([endless("a"), [a_job(5, "b"), a_job(10, "b")]])  # type: ignore[list-item]
    assert told(list(islice(both, 5))) == [(0, "a"), (5, "b"), (10, "a"), (10, "b"), (20, "a")]


def test_a_user_has_one_tenant_and_tenants_have_their_shares() -> None:
    tenants = (
        TenantShare(name="many", share=3),
        TenantShare(name="few", share=1, terms=TenantTerms(enterprise=True, regions=("eu",))),
    )
    jobs = [a_job(at_ms, f"u{at_ms % 1_000}") for at_ms in range(3_000)] + [a_job(4_000, "")]
    shared = list(with_tenants(jobs, tenants, seed=1))
    by_user = {job.request.user: job.request.tenant for job in shared}
    assert all(job.request.tenant == by_user[job.request.user] for job in shared)
    assert Counter(by_user.values())["few"] == pytest.approx(250, abs=45)
    assert by_user[""] == "many"
    assert shared == list(with_tenants(jobs, tenants, seed=1))
    terms = terms_of(tenants)
    assert (terms.terms("few").enterprise, terms.terms("many").enterprise) == (True, False)


def test_every_region_has_its_own_clock() -> None:
    """Issue: "regions with their own clocks"."""
    clocks = (
        RegionClock(region="eu"),
        RegionClock(region="us", hours_later=6),
        RegionClock(region="asia", hours_later=17.5, stays=False),
    )
    jobs = list(across_regions(clocks, lambda _: iter([a_job(0), a_job(HOUR, "")])))
    assert [(job.at_ms // HOUR, job.request.user, job.request.requires.regions) for job in jobs] == [
        (0, "ada@eu", ("eu",)),
        (1, "", ("eu",)),
        (6, "ada@us", ("us",)),
        (7, "", ("us",)),
        (17, "ada@asia", ()),
        (18, "", ()),
    ]
