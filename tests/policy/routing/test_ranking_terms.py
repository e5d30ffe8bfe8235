"""What submissions and plans rank machines by alike: how fast GPUs are beside each other, and who wants machines near its users."""

from __future__ import annotations

import math

import msgspec

from northstar.domain.estimates import FinishedRun
from northstar.domain.workloads import Workload
from northstar.policy.routing.duration import DurationEstimator, JobToTime
from northstar.policy.routing.gpu_pace import NO_PACES, GpuPaces, paces_of
from northstar.policy.routing.plan import plan_candidates
from northstar.policy.routing.ranking_terms import RankingTerms, ranking_terms
from northstar.policy.routing.ready_after import PatienceRule
from tests.policy.routing.builders import cell, lane, machine, profile
from tests.specification.pool_jobs import PACKAGED, with_pool


def test_paces_follow_from_pairs_of_classes_though_not_every_pair_was_seen() -> None:
    known = {("a100", "h100"): (-math.log(2.0), 5), ("a100", "l4"): (math.log(3.0), 9), ("t4", "v100"): (0.5, 1)}
    paces = paces_of(known)
    assert {name: round(pace, 6) for name, pace in paces.factors.items()} == {"a100": 1.0, "h100": 0.5, "l4": 3.0}
    assert paces.of("t4") == 1.0  # nothing was compared with it and with the others


def test_a_pace_is_never_absurd() -> None:
    assert paces_of({("a", "b"): (50.0, 2)}) == GpuPaces({"a": 1.0, "b": 100.0})


def test_the_estimator_tells_how_fast_classes_are_by_the_shapes_that_both_have_run() -> None:
    estimator = DurationEstimator()
    assert estimator.paces() == NO_PACES
    for gpu, seconds in (("rtx-4090", 20.0), ("l4", 60.0)) * 6:
        run = FinishedRun(shape="a", service="s", model="m", user="u", gpu_class=gpu, ran_s=seconds)
        assert estimator.learn(run) == "learned"
    paces = estimator.paces()
    assert 2.9 < paces.of("l4") / paces.of("rtx-4090") < 3.1
    assert estimator.paces() is paces
    job = JobToTime(service="s", workload=Workload(shape="a"), model="m", gpu_class="l4")
    assert estimator.estimate(job).p50_s > 50.0


def test_times_in_the_queue_are_those_of_the_gpu_by_which_pools_count() -> None:
    terms = ranking_terms(PACKAGED, GpuPaces({"l4": 1.0, "rtx-4090": 0.25}))
    assert (terms.paces.of("rtx-4090"), terms.paces.of("l4")) == (1.0, 4.0)


def test_pools_that_prefer_machines_near_their_users_are_known() -> None:
    assert ranking_terms(PACKAGED, NO_PACES).near == {"lightning"}
    assert ranking_terms(with_pool("heavy", scaling={"prefers_edge": True}), NO_PACES).near == {"heavy", "lightning"}


def test_a_plan_prefers_machines_near_their_users_as_the_submission_did() -> None:
    """Spec, Lightning: "edge deployment preferred"."""
    snapshot = cell(
        machine("far"),
        machine("near", profile="edge"),
        lane("l"),
        fits={("p", "c"): True, ("edge", "c"): True},
    )
    snapshot = msgspec.structs.replace(snapshot, profiles={"p": profile(), "edge": profile(tags=("edge",))})
    planned = plan_candidates(snapshot, PatienceRule(), RankingTerms(near=frozenset({"standard"})))
    assert {name: one.preference for name, (one,) in planned.items()} == {"far": 24, "near": 0}
    others = plan_candidates(snapshot, PatienceRule(), RankingTerms(near=frozenset({"fast"})))
    assert {one.preference for (one,) in others.values()} == {0}
