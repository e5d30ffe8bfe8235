"""A workload of all kinds: each of the six pools has work, by the real matrix."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import msgspec

from northstar.broker.requests import read_requests
from northstar.config.pools import packaged_pools
from northstar.domain.estimates import DurationEstimate
from northstar.domain.job_profiles import JobProfile
from northstar.domain.pools import SIX_POOLS, STANDARD
from northstar.policy.models.workload_of import workload_of
from northstar.policy.routing.decision_matrix import choose_pool
from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.workload.fleet_mix import FleetMix, fleet_workload
from northstar.simulation.workload.mixing import terms_of

POOLS = packaged_pools()
TENANTS = terms_of(FleetMix().tenants)


def pool_of(job: SimulatedJob) -> str:
    """Where the matrix wants it, once it is known how long it takes."""
    request, run_s = job.request, job.run_s[""]
    profile = JobProfile(
        key="job",
        workload=workload_of(request.service, request.payload, kind="simulated"),
        estimate=DurationEstimate(p10_s=run_s, p50_s=run_s, p90_s=run_s, source="rules", confidence=1.0),
        terms=TENANTS.terms(request.tenant),
        largest_model_bytes=max((need.size_bytes for need in request.requires.models), default=0),
        models_bytes=sum(need.size_bytes for need in request.requires.models),
    )
    return choose_pool(profile, POOLS).pool


def test_all_six_pools_have_work() -> None:
    """Issue: "mixing of modalities so that all six pools work"."""
    jobs = list(fleet_workload(FleetMix(days=1, pictures=600, chats=900, training=30), seed=1))
    assert all(before.at_ms <= after.at_ms for before, after in pairwise(jobs))
    pools = Counter(pool_of(job) for job in jobs)
    families = {pool: sum(count for name, count in pools.items() if name.startswith(pool)) for pool in SIX_POOLS}
    assert min(families.values()) >= 8, pools
    assert families[STANDARD] > 50


def test_every_job_is_a_request_that_a_broker_takes() -> None:
    """Made from known parts, and still within every bound that a client's request has."""
    for job in fleet_workload(FleetMix(days=1, pictures=60, chats=200, media=20, training=5), seed=2):
        request = read_requests(msgspec.json.encode(job.request))[0]
        assert request == job.request
        assert len(request.body()) < 65_536
        assert min(job.run_s.values()) >= 0


def test_leaving_one_kind_out_changes_none_of_the_others() -> None:
    mix = FleetMix(days=1, pictures=200, chats=200, media=20, training=5)
    whole = [job for job in fleet_workload(mix, seed=3) if job.request.service != "chat"]
    assert whole == list(fleet_workload(msgspec.structs.replace(mix, chats=0), seed=3))
    assert whole != list(fleet_workload(msgspec.structs.replace(mix, chats=0), seed=4))


def test_four_times_the_people_are_four_times_the_work() -> None:
    mix = FleetMix(days=1, pictures=300, chats=300, media=30, training=0)
    once, many = (len(list(fleet_workload(one, seed=1))) for one in (mix, mix.times(4)))
    assert 3 < many / once < 5
