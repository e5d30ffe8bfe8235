"""Golden decisions: graphs of our own through reading, the rules' estimate and the packaged matrix, as committed in a table.

Whoever changes how graphs are read, what rules expect or what the matrix says changes this table too, and a reviewer sees for which work.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from northstar.domain.estimates import FinishedRun
from northstar.domain.job_profiles import JobProfile
from northstar.domain.tenancy import NO_TERMS, TenantTerms
from northstar.policy.models.workload_of import workload_of
from northstar.policy.routing.decision_matrix import choose_pool
from northstar.policy.routing.duration import DurationEstimator, JobToTime
from northstar.policy.routing.duration_rules import work_of
from tests.policy.models import graphs
from tests.policy.models.saved_workflows import painting, picture
from tests.specification.pool_jobs import ENTERPRISE_TERMS, PACKAGED

_GPU: Final = PACKAGED.pools["standard"].compute.reference_gpu


def _short_chain() -> dict[str, Any]:
    graph = graphs.chained()
    graph["7"]["inputs"]["length"] = 17
    return graph


PAYLOADS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    **{
        name: ("comfyui", {"prompt": graph})
        for name, graph in {
            "a picture with a LoRA": graphs.sdxl(),
            "the same with 500 steps": graphs.sdxl(steps=500),
            "a picture painted over": graphs.repainted(),
            "a picture enlarged twice": graphs.enlarged(),
            "AnimateDiff": graphs.animated(),
            "a film of 81 frames": graphs.video(),
            "text to picture to film": graphs.chained(),
            "text to picture to a short film": _short_chain(),
            "a song": graphs.song(),
            "a mesh": graphs.body(),
            "a picture described": graphs.described_picture(),
            "a LoRA trained": graphs.trained(),
            "steps by a schedule": graphs.by_schedule(),
            "a saved workflow": picture().workflow(),
            "a saved workflow with a subgraph": painting().workflow(),
        }.items()
    },
    "a chat of 64 tokens": (
        "openai",
        {"model": "m", "messages": [{"role": "user", "content": "Hm?"}], "max_tokens": 64},
    ),
    "a chat of 4,000 tokens": (
        "openai",
        {"model": "m", "messages": [{"role": "user", "content": "Hm?"}], "max_tokens": 4_000},
    ),
    "an embedding": ("openai", {"model": "m", "input": "Hm?"}),
    "nothing that can be read": ("comfyui", {}),
}

#: Payload -> seconds that the rules expect, pool, row.
BY_RULES: Final = {
    "a picture with a LoRA": (7.6, "fast-lane", "fast-lane"),
    "the same with 500 steps": (132.1, "standard", "standard"),
    "a picture painted over": (2.7, "fast-lane", "shorter-fast-lane"),
    "a picture enlarged twice": (37.7, "standard", "standard"),
    "AnimateDiff": (18.5, "fast-lane", "fast-lane"),
    "a film of 81 frames": (108.8, "standard", "standard"),
    "text to picture to film": (486.7, "heavy", "heavy"),
    "text to picture to a short film": (109.2, "standard-multi-modal", "standard-multi-modal"),
    "a song": (21.0, "fast-lane", "fast-lane"),
    "a mesh": (61.0, "standard", "standard"),
    "a picture described": (2.2, "lightning", "lightning"),
    "a LoRA trained": (3600.0, "research", "research"),
    "steps by a schedule": (4.1, "fast-lane", "fast-lane"),
    "a saved workflow": (7.6, "fast-lane", "fast-lane"),
    "a saved workflow with a subgraph": (5.4, "fast-lane", "fast-lane"),
    "a chat of 64 tokens": (1.0, "lightning", "lightning"),
    "a chat of 4,000 tokens": (50.2, "standard", "standard"),
    "an embedding": (0.4, "lightning", "lightning"),
    "nothing that can be read": (5.4, "fast-lane", "fast-lane"),
}


def decided(
    name: str, terms: TenantTerms = NO_TERMS, estimator: DurationEstimator | None = None
) -> tuple[float, str, str, str]:
    """Seconds, pool, row, and where the estimate comes from."""
    kind, payload = PAYLOADS[name]
    workload = workload_of(kind, payload, kind=kind)
    job = JobToTime(service=kind, workload=workload, model="m", user="ada", gpu_class=_GPU)
    estimate = (estimator or DurationEstimator()).estimate(job)
    choice = choose_pool(JobProfile(key="golden", workload=workload, estimate=estimate, terms=terms), PACKAGED)
    return round(estimate.p50_s, 1), choice.pool, choice.row, estimate.source


@pytest.mark.parametrize("name", PAYLOADS)
def test_work_of_which_nobody_has_seen_the_like_is_routed_by_rules_as_the_table_says(name: str) -> None:
    """Spec, "Pool Routing Decision Matrix"."""
    assert decided(name) == (*BY_RULES[name], "rules")


@pytest.mark.parametrize("name", PAYLOADS)
def test_enterprise_terms_go_before_every_golden_decision(name: str) -> None:
    """Spec: "Guaranteed Routing"; however long the work is, and whatever it makes."""
    assert decided(name, ENTERPRISE_TERMS)[1:3] == ("enterprise", "enterprise")


def test_runs_that_have_finished_move_a_picture_to_where_it_belongs() -> None:
    """The rules expect 7.6 s; the user's own runs took a minute."""
    estimator = DurationEstimator()
    workload = workload_of("comfyui", PAYLOADS["a picture with a LoRA"][1], kind="comfyui")
    run = FinishedRun(
        shape=workload.shape,
        service="comfyui",
        model="m",
        user="ada",
        gpu_class=_GPU,
        ran_s=60.0,
        work=work_of(workload),
    )
    for _ in range(5):
        estimator.learn(run)
    assert decided("a picture with a LoRA", estimator=estimator) == (60.0, "standard", "standard", "user")


@pytest.mark.parametrize("name", PAYLOADS)
def test_only_words_and_vectors_ever_reach_lightning(name: str) -> None:
    """The issue of a picture in two seconds: docs/decisions/0009."""
    if decided(name)[1] == "lightning":
        kind, payload = PAYLOADS[name]
        assert set(workload_of(kind, payload, kind=kind).modalities) <= {"text", "embedding"}


def test_decisions_are_the_same_however_often_they_are_made() -> None:
    assert [decided(name) for name in PAYLOADS] == [decided(name) for name in reversed(PAYLOADS)][::-1]
