"""The specification's "Pool Routing Decision Matrix", arrow by arrow, and what it leaves open (docs/decisions/0009)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.job_profiles import JobProfile
from northstar.domain.pools import UNIFORM
from northstar.domain.tenancy import TenantTerms
from northstar.policy.routing.decision_matrix import NoPoolTakesJob, PoolRefusesJob, choose_pool
from northstar.policy.routing.pool_acceptance import objections
from tests.specification.pool_jobs import (
    ENTERPRISE_TERMS,
    GB,
    PACKAGED,
    choice,
    estimate,
    job,
    pool_of,
    with_pool,
    with_routing,
)

MODALITIES = ("text", "embedding", "image", "video", "audio", "3d")
SPECIALITIES = ("photography", "art", "product", "multi-modal")


# The chart ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.0, 1.0, 2.99])
def test_text_of_less_than_3_s_goes_to_lightning(seconds: float) -> None:
    """Spec: `B -->|<3s| C[Lightning Pool]`."""
    found = choice(job(seconds, "text"))
    assert (found.pool, found.row, found.rejected) == ("lightning", "lightning", ())


@pytest.mark.parametrize("seconds", [3.0, 12.0, 29.9])
@pytest.mark.parametrize("makes", MODALITIES)
def test_work_of_3_to_30_s_goes_to_the_fast_lane(seconds: float, makes: str) -> None:
    """Spec: `B -->|3-30s| D[Fast Lane Pool]`."""
    found = choice(job(seconds, makes))
    assert (found.pool, found.row) == ("fast-lane", "fast-lane")


@pytest.mark.parametrize(("speciality", "makes"), [("photography", "image"), ("art", "image"), ("product", "3d")])
@pytest.mark.parametrize("seconds", [30.0, 299.9])
def test_work_of_one_domain_of_30_s_to_5_min_goes_to_the_standard_pool_of_its_speciality(
    speciality: str, makes: str, seconds: float
) -> None:
    """Spec: `B -->|30s-5m| E{Workflow Type}`, `E -->|Single Domain| G[Standard Pool - Specialty]`."""
    found = choice(job(seconds, makes, work={"speciality": speciality}))
    assert (found.pool, found.row) == (f"standard-{speciality}", "standard-speciality")


def test_a_chain_from_text_to_picture_to_video_goes_to_the_multi_modal_standard_pool() -> None:
    """Spec: `E -->|Multi-Modal| H[Standard Pool - Multi-Modal]`."""
    found = choice(job(100, "image", "video"))
    assert (found.pool, found.row) == ("standard-multi-modal", "standard-multi-modal")


@pytest.mark.parametrize(
    ("makes", "pixels"), [("video", 0), ("audio", 0), ("image", 8_294_400)], ids=["video", "audio", "high-resolution"]
)
@pytest.mark.parametrize("seconds", [300.0, 86_400.0])
def test_video_and_high_resolution_of_more_than_5_min_go_to_heavy(seconds: float, makes: str, pixels: int) -> None:
    """Spec: `B -->|>5m| F{Resource Requirements}`, `F -->|Video/High-Res| I[Heavy Pool]`; audio synthesis is among Heavy's examples."""
    found = choice(job(seconds, makes, work={"pixels": pixels}))
    assert (found.pool, found.row) == ("heavy", "heavy")


@pytest.mark.parametrize("flag", ["is_training", "is_experimental"])
def test_research_of_more_than_5_min_goes_to_research_even_when_it_makes_video(flag: str) -> None:
    """Spec: `F -->|Research/Experimental| J[Research Pool]`."""
    found = choice(job(3_000, "video", work={flag: True}))
    assert (found.pool, found.row) == ("research", "research")


def test_enterprise_work_of_more_than_5_min_goes_to_enterprise_by_guaranteed_routing() -> None:
    """Spec: `F -->|Enterprise SLA| K[Enterprise Pool]`, `K --> M[Guaranteed Routing]`."""
    found = choice(job(900, "video", terms=ENTERPRISE_TERMS))
    assert (found.pool, found.row, found.guaranteed) == ("enterprise", "enterprise", True)


def test_nothing_but_enterprise_terms_is_guaranteed() -> None:
    """Spec: only `K --> M[Guaranteed Routing]`; every other pool leads to `L{Model Available?}`."""
    assert not choice(job(900, "video")).guaranteed
    assert not choice(job(1, "text", terms=TenantTerms(priority_at_least=90))).guaranteed


# What the chart leaves open -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1, 10, 100, 1_000])
def test_enterprise_terms_hold_for_jobs_of_every_length(seconds: float) -> None:
    """Spec: "SLA guarantees"; the chart reaches the pool only for jobs over 5 minutes, and a guarantee with holes is none."""
    assert pool_of(job(seconds, "text", terms=ENTERPRISE_TERMS)) == "enterprise"


@pytest.mark.parametrize("asked", ["lightning", "research", UNIFORM])
def test_enterprise_terms_go_before_what_the_submitter_asks_for(asked: str) -> None:
    """Spec: "Data sovereignty, audit trails": a promise to the tenant is not waived by a field of a job."""
    assert pool_of(job(1, "text", terms=ENTERPRISE_TERMS, pool=asked)) == "enterprise"


def test_enterprise_terms_hold_while_pools_are_switched_off() -> None:
    """Spec: "Pool routing can fall back to uniform machine distribution" rolls back a technique, not a contract."""
    assert pool_of(job(1, "text", terms=ENTERPRISE_TERMS), with_routing(mode="uniform")) == "enterprise"


def test_a_picture_in_2_s_goes_to_the_fast_lane() -> None:
    """Spec, Lightning: "10-20GB (text models only)", so `<3s` alone does not lead there."""
    found = choice(job(2, "image"))
    assert (found.pool, found.row) == ("fast-lane", "shorter-fast-lane")
    assert [(one.subject, one.code) for one in found.rejected][:2] == [
        ("lightning", "modality"),
        ("fast-lane", "too-short"),
    ]
    assert found.rejected[0].reason == "takes only text and embedding, and the job makes image (row lightning)"


def test_text_by_a_model_that_is_not_small_goes_to_the_fast_lane() -> None:
    """Spec, Lightning: "Small LLMs"."""
    found = choice(job(2, "text", largest_model_bytes=18 * GB))
    assert (found.pool, found.rejected[0].code) == ("fast-lane", "model-too-large")


def test_text_that_needs_more_than_a_small_gpu_goes_to_the_fast_lane() -> None:
    """Spec, Lightning: "minimal GPU"."""
    found = choice(job(2, "text", vram_mb=40_000))
    assert (found.pool, found.rejected[0].code) == ("fast-lane", "vram-too-large")


def test_a_model_that_no_fast_lane_machine_has_room_for_goes_to_standard_although_it_is_quick() -> None:
    """Spec, Fast Lane: "40-80GB"; "Popular single models"."""
    found = choice(job(10, "image", largest_model_bytes=40 * GB))
    assert (found.pool, found.row) == ("standard", "shorter-standard")


def test_models_that_together_exceed_the_disk_of_a_pool_go_to_one_with_more() -> None:
    """Spec, Standard: "120-200GB"; Heavy: "300-500GB"."""
    assert pool_of(job(100, "image", models_bytes=250 * GB)) == "heavy"


def test_long_work_that_is_neither_video_nor_research_nor_enterprise_goes_to_heavy() -> None:
    """Spec, Heavy: "batch operations", "5min+ (complex multi-step workflows)"."""
    found = choice(job(1_000, "image"))
    assert (found.pool, found.row) == ("heavy", "long-other")


@pytest.mark.parametrize("seconds", [1, 10, 100])
def test_training_and_experiments_go_to_research_however_short(seconds: float) -> None:
    """Spec, Research: "Model training capabilities"; no other pool has them."""
    assert choice(job(seconds, "image", work={"is_training": True})).row == "short-research"
    assert pool_of(job(seconds, "text", work={"is_experimental": True})) == "research"


def test_research_outside_its_band_is_told_what_the_pool_is_planned_for() -> None:
    """Spec, Research: "Variable (10min-2hours)"."""
    assert "planned for 600 s to under 7200 s" in choice(job(60, "image", work={"is_training": True})).because
    assert "planned" not in choice(job(700, "image", work={"is_training": True})).because


@pytest.mark.parametrize(
    ("seconds", "pool"), [(1, "fast-lane"), (10, "fast-lane"), (100, "standard"), (1_000, "heavy")]
)
def test_work_of_which_nobody_knows_what_it_makes_goes_by_its_length_but_never_to_lightning(
    seconds: float, pool: str
) -> None:
    """Spec, Lightning: "text models only"."""
    assert pool_of(job(seconds)) == pool


def test_work_of_one_domain_that_names_no_speciality_goes_to_standard_itself() -> None:
    """Spec, Standard: "Complex single-domain workflows"; which speciality, nobody may guess."""
    found = choice(job(60, "image"))
    assert (found.pool, found.row) == ("standard", "standard")


def test_a_speciality_that_does_not_make_such_things_leaves_the_work_to_standard_itself() -> None:
    found = choice(job(60, "audio", work={"speciality": "photography"}))
    assert found.pool == "standard"
    assert ("standard-photography", "modality") in [(one.subject, one.code) for one in found.rejected]


def test_a_speciality_that_no_pool_has_is_told() -> None:
    gone = with_pool("standard-art", speciality=None, parent=None)
    found = choice(job(60, "image", speciality="art"), gone)
    assert found.pool == "standard"
    assert "no pool specialises in art" in " ".join(one.reason for one in found.rejected)


def test_what_the_submitter_says_of_the_speciality_goes_before_what_the_payload_says() -> None:
    assert pool_of(job(60, "image", work={"speciality": "art"}, speciality="product")) == "standard-product"


def test_the_median_is_what_is_compared_with_the_bands() -> None:
    """Spec: "Duration Estimate" is one number; the median is as often too long as too short."""
    unsure = job(0, "image", estimate=estimate(20, p10_s=2, p90_s=400))
    assert pool_of(unsure) == "fast-lane"
    assert pool_of(unsure, with_routing(quantile="p90")) == "heavy"
    assert pool_of(unsure, with_routing(quantile="p10")) == "fast-lane"


def test_a_band_is_about_the_reference_gpu_of_its_pool() -> None:
    """Of two estimates the one for the pool's class counts, whichever class the job may run on later."""
    both = job(0, "image", estimate=estimate(20, gpu_class="h200"), estimates=(estimate(45),))
    assert pool_of(both) == "standard"


def test_each_pool_may_measure_its_band_on_a_gpu_of_its_own() -> None:
    """What takes 45 s on the GPU of Standard, and 20 s on the one by which Fast Lane is made to count."""
    both = job(0, "image", estimate=estimate(45), estimates=(estimate(20, gpu_class="h200"),))
    assert pool_of(both) == "standard"
    assert pool_of(both, with_pool("fast-lane", compute={"reference_gpu": "h200"})) == "fast-lane"


def test_from_where_on_a_picture_counts_as_high_resolution_can_be_set() -> None:
    """Spec, chart: "Video/High-Res"."""
    picture = job(600, "image", work={"pixels": 4_000_000})
    assert choice(picture).row == "long-other"
    assert choice(picture, with_routing(high_resolution_pixels=4_000_000)).row == "heavy"


def test_an_estimate_for_another_gpu_is_used_where_there_is_no_better_one_and_said() -> None:
    found = choice(job(0, "image", estimate=estimate(20, gpu_class="h200")))
    assert found.pool == "fast-lane"
    assert "20 s on h200" in found.because


# What is asked for, and what is switched off ---------------------------------------------------------------------------


def test_a_pool_that_the_submitter_names_is_taken_whatever_the_estimate() -> None:
    found = choice(job(1_000, "text", pool="lightning"))
    assert (found.pool, found.row) == ("lightning", "asked")


def test_a_pool_that_refuses_the_work_is_not_had_by_asking() -> None:
    with pytest.raises(PoolRefusesJob) as caught:
        choice(job(1, "image", pool="lightning", largest_model_bytes=30 * GB))
    assert str(caught.value) == (
        "pool lightning takes only text and embedding, and the job makes image; it takes models of at most 16 GB, and the job's "
        "largest has 30.0: leave the pool out and let North Star choose one, or change what pool lightning takes"
    )


def test_enterprise_is_not_had_by_asking() -> None:
    with pytest.raises(PoolRefusesJob, match="kept for tenants with enterprise terms"):
        choice(job(1, "text", pool="enterprise"))


def test_a_pool_that_only_the_operators_machines_know_can_be_asked_for() -> None:
    assert pool_of(job(1, "image", pool="night-shift")) == "night-shift"


def test_pools_that_are_switched_off_route_nothing() -> None:
    """Spec: "Pool routing can fall back to uniform machine distribution"."""
    found = choice(job(1, "text", pool="lightning"), with_routing(mode="uniform"))
    assert (found.pool, found.row) == (UNIFORM, "uniform")


def test_work_that_every_pool_refuses_is_an_error_that_names_them_all() -> None:
    no_sound = PACKAGED
    for name, spec in PACKAGED.pools.items():
        if "audio" in spec.models.takes and name != "enterprise":
            takes = tuple(one for one in spec.models.takes if one != "audio")
            no_sound = type(no_sound)(
                routing=no_sound.routing,
                pools=no_sound.pools | {name: with_pool(name, models={"takes": takes}).pools[name]},
            )
    with pytest.raises(
        NoPoolTakesJob, match=r"no pool takes this job .*fast-lane takes only .*: change the job"
    ) as caught:
        choice(job(10, "audio"), no_sound)
    assert {one.subject for one in caught.value.rejected} >= {"lightning", "fast-lane", "standard", "heavy", "research"}


# Whatever comes --------------------------------------------------------------------------------------------------------

JOBS = st.builds(
    lambda seconds, makes, **rest: job(seconds, *makes, **rest),
    st.floats(min_value=0, max_value=100_000),
    st.sets(st.sampled_from(MODALITIES)),
    work=st.fixed_dictionaries(
        {},
        optional={
            "is_training": st.booleans(),
            "is_experimental": st.booleans(),
            "pixels": st.integers(0, 10**8),
            "speciality": st.sampled_from(SPECIALITIES),
        },
    ),
    terms=st.sampled_from([TenantTerms(), ENTERPRISE_TERMS]),
    largest_model_bytes=st.integers(0, 200 * GB),
    vram_mb=st.integers(0, 288_000),
)


@given(JOBS)
def test_every_job_has_a_pool_with_a_reason_and_none_that_refuses_it(profile: JobProfile) -> None:
    found = choose_pool(profile, PACKAGED)
    assert found.because
    assert not list(objections(PACKAGED.pools[found.pool], profile))
    assert (found.pool == "enterprise") == profile.terms.enterprise
    assert found.pool != "research" or profile.workload.is_training or profile.workload.is_experimental
