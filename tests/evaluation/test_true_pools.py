"""Where the matrix would have a job, had it known how long the job takes."""

from __future__ import annotations

import pytest

from northstar.config.pools import packaged_pools
from northstar.domain.jobs import JobRequest
from northstar.domain.tenancy import Tenants, TenantTerms
from northstar.evaluation.true_pools import TruePools
from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.workload.payloads import made_payload

POOLS = TruePools(packaged_pools(), Tenants(tenants={"customer": TenantTerms(enterprise=True)}))


def picture(tenant: str = "default", **run_s: float) -> SimulatedJob:
    request = JobRequest(
        service="pictures", payload=made_payload(makes=("image",), steps=20, images=1), tenant=tenant, user="u"
    )
    return SimulatedJob(at_ms=0, request=request, run_s={name.replace("any", ""): some for name, some in run_s.items()})


@pytest.mark.parametrize(
    ("ran_s", "pool", "tolerated"),
    [
        (20.0, "fast-lane", {"fast-lane"}),
        (29.0, "fast-lane", {"fast-lane", "standard"}),
        (36.0, "standard", {"standard", "fast-lane"}),
        (38.0, "standard", {"standard"}),
    ],
)
def test_a_quarter_more_or_less_at_the_borders_is_tolerated(ran_s: float, pool: str, tolerated: set[str]) -> None:
    found, near = POOLS.of(picture(any=ran_s), number=1)
    assert (found, set(near) | {found}) == (pool, tolerated)


def test_terms_go_before_time() -> None:
    assert POOLS.of(picture("customer", any=20.0), number=1)[0] == "enterprise"


def test_the_time_is_that_on_the_card_by_which_the_pool_counts() -> None:
    reference = packaged_pools().pools["fast-lane"].compute.reference_gpu
    job = picture(any=60.0)
    faster = SimulatedJob(at_ms=0, request=job.request, run_s={"": 60.0, reference: 20.0})
    assert (POOLS.of(job, number=1)[0], POOLS.of(faster, number=1)[0]) == ("standard", "fast-lane")
