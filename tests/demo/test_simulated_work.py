"""What the demonstration asks of its simulated machines is read and routed like anybody's work."""

from __future__ import annotations

import pytest

from northstar.config.pools import packaged_pools
from northstar.demo.commission import Commission
from northstar.demo.simulated_work import SIMULATED_WORK, TIME_LAPSE
from northstar.domain.job_profiles import JobProfile
from northstar.domain.workloads import Workload
from northstar.policy.models.workload_of import workload_of
from northstar.policy.routing.decision_matrix import choose_pool
from northstar.policy.routing.duration import DurationEstimator, JobToTime

#: Job, what it makes, and the pool that the matrix wants for it.
WANTED = {
    "portrait": (("image",), "standard-photography"),
    "bottle": (("image",), "standard-product"),
    "heron": (("image",), "standard-art"),
    "tide-clip": (("image", "video"), "standard-multi-modal"),
    "glacier-film": (("video",), "heavy"),
    "poster-4k": (("image",), "heavy"),
    "house-style": ((), "research"),
    "ledger-chat": (("text",), "lightning"),
}


def read(commission: Commission) -> Workload:
    request = commission.request
    return workload_of(request.service, request.payload, kind="simulated")


@pytest.mark.parametrize("commission", SIMULATED_WORK, ids=lambda one: one.request.id)
def test_the_matrix_finds_its_pool_from_the_graph_alone(commission: Commission) -> None:
    """No pool is named, and without its tenant's terms even the enterprise chat would go elsewhere."""
    request, workload = commission.request, read(commission)
    job = JobToTime(service=request.service, workload=workload, declared_s=request.expected_s or 0.0)
    estimate = DurationEstimator().estimate(job)
    profile = JobProfile(key="k", workload=workload, estimate=estimate)
    found = workload.modalities, choose_pool(profile, packaged_pools()).pool
    assert found == WANTED[request.id or ""]


@pytest.mark.parametrize("commission", SIMULATED_WORK, ids=lambda one: one.request.id)
def test_its_graph_is_read_without_a_rest_and_its_links_lead_somewhere(commission: Commission) -> None:
    graph = commission.request.payload.get("prompt", {})
    links = [value for node in graph.values() for value in node["inputs"].values() if isinstance(value, list)]
    assert all(identity in graph for identity, _ in links)
    assert read(commission).unread == ()


@pytest.mark.parametrize("commission", SIMULATED_WORK, ids=lambda one: one.request.id)
def test_it_runs_in_time_lapse(commission: Commission) -> None:
    assert commission.request.payload["simulate"]["run_s"] * TIME_LAPSE == pytest.approx(commission.takes_s)


def test_a_training_is_one_and_a_film_is_as_large_as_it_says() -> None:
    workloads = {one.request.id: read(one) for one in SIMULATED_WORK}
    assert workloads["house-style"].is_training
    film = workloads["glacier-film"]
    assert (film.pixels, film.frames, film.steps) == (1_280 * 720, 81, 30)
    assert workloads["poster-4k"].pixels == 3_840 * 2_160
