"""The specification's "Enhanced Pool Categories": the pools that come with North Star are those that it gives."""

from __future__ import annotations

import pytest

from northstar.domain.pools import SIX_POOLS
from northstar.policy.routing.pool_examples import RoutedExample, routed_examples
from tests.specification.pool_jobs import PACKAGED

POOLS = PACKAGED.pools


def test_there_are_six_pools_and_four_specialities_of_standard() -> None:
    """Spec: "6 Pools vs. Original 3"; "Specialization Sub-pools": Photography, Art, Product, Multi-Modal."""
    assert [name for name, spec in POOLS.items() if spec.parent is None] == list(SIX_POOLS)
    assert {(spec.parent, spec.speciality) for spec in POOLS.values() if spec.parent} == {
        ("standard", "photography"),
        ("standard", "art"),
        ("standard", "product"),
        ("standard", "multi-modal"),
    }


@pytest.mark.parametrize(
    ("name", "purpose"),
    [
        ("lightning", "Real-time inference, chat completions, immediate feedback"),
        ("fast-lane", "Standard single-model generation, quick transformations"),
        ("standard", "Complex single-domain workflows, specialised generation"),
        ("standard-photography", "Portrait, landscape, commercial model suites"),
        ("standard-art", "Anime, artistic, illustration model ecosystems"),
        ("heavy", "Video generation, high-resolution processing, batch operations"),
        ("research", "Latest experimental models, research workflows, custom model training"),
    ],
)
def test_each_has_the_purpose_that_the_specification_gives(name: str, purpose: str) -> None:
    """Spec: "Purpose"."""
    assert POOLS[name].purpose == purpose


@pytest.mark.parametrize(
    ("name", "from_s", "below_s", "variable"),
    [
        ("lightning", 0, 3, False),  # "<3 seconds end-to-end"
        ("fast-lane", 3, 30, False),  # "<30 seconds"
        ("standard", 30, 300, False),  # "30s-5min (increased from 3min)"
        ("standard-multi-modal", 30, 300, False),
        ("heavy", 300, 0, False),  # "5min+"
        ("research", 600, 7_200, True),  # "Variable (10min-2hours)"
        ("enterprise", 0, 0, True),  # "Variable with guaranteed SLA"
    ],
)
def test_each_has_the_duration_target_that_the_specification_gives(
    name: str, from_s: float, below_s: float, variable: bool
) -> None:
    """Spec: "Duration Target"."""
    band = POOLS[name].band
    assert (band.from_s, band.below_s, band.variable) == (from_s, below_s, variable)


@pytest.mark.parametrize(
    ("name", "min_gb", "max_gb"),
    [
        ("lightning", 10, 20),  # "10-20GB"
        ("fast-lane", 40, 80),  # "40-80GB"
        ("standard", 120, 200),  # "120-200GB"
        ("standard-product", 120, 200),
        ("heavy", 300, 500),  # "300-500GB"
        ("research", 500, 1_000),  # "500GB-1TB"
        ("enterprise", 100, 2_000),  # "Customer-configured (100GB-2TB)"
    ],
)
def test_each_has_the_storage_that_the_specification_gives(name: str, min_gb: float, max_gb: float) -> None:
    """Spec: "Storage"."""
    assert (POOLS[name].storage.min_gb, POOLS[name].storage.max_gb) == (min_gb, max_gb)


def test_heavy_asks_for_24_gb_and_no_other_of_the_chart_for_a_gpu() -> None:
    """Spec, Heavy: "VRAM-optimized (24GB+ per GPU)"; Lightning: "minimal GPU"."""
    assert (POOLS["heavy"].compute.min_vram_mb, POOLS["heavy"].compute.min_gpus) == (24_000, 1)
    assert {POOLS[name].compute.min_gpus for name in ("lightning", "fast-lane", "standard")} == {0}


def test_lightning_takes_text_and_small_models_only() -> None:
    """Spec, Lightning: "text models only", "Small LLMs, cached embeddings"."""
    models = POOLS["lightning"].models
    assert (models.takes, models.takes_unknown) == (("text", "embedding"), False)
    assert 0 < models.largest_gb <= POOLS["lightning"].storage.max_gb


def test_only_research_and_enterprise_train_and_experiment() -> None:
    """Spec, Research: "Latest releases, experimental models, custom training"; Enterprise: "Customer-specific models"."""
    assert {name for name, spec in POOLS.items() if spec.models.training} == {"research", "enterprise"}
    assert {name for name, spec in POOLS.items() if spec.models.experimental} == {"research", "enterprise"}


def test_the_fewer_machines_a_pool_is_said_to_have_the_fewer_it_may_have() -> None:
    """Spec: "Very high", "High", "Moderate", "Lower", "Very low machine count"."""
    counts = [POOLS[name].scaling.max_machines for name in ("lightning", "fast-lane", "standard", "heavy", "research")]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 5


def test_lightning_prefers_the_edge() -> None:
    """Spec, Lightning: "edge deployment preferred"."""
    assert [name for name, spec in POOLS.items() if spec.scaling.prefers_edge] == ["lightning"]


def test_the_fast_lane_takes_instances_that_are_cheap_because_they_may_be_taken_away() -> None:
    """Spec, Fast Lane: "cost-optimized instances"; Enterprise: "Dedicated instances, guaranteed resources"."""
    assert POOLS["fast-lane"].scaling.spot
    assert not POOLS["enterprise"].scaling.spot


def test_enterprise_is_reserved_exclusive_and_goes_first() -> None:
    """Spec, Enterprise: "Reserved capacity, priority allocation"."""
    stance = POOLS["enterprise"].scaling
    assert (stance.reserved_share, stance.exclusive, POOLS["enterprise"].fallback) == (1.0, True, ())
    assert stance.priority_boost == max(spec.scaling.priority_boost for spec in POOLS.values())


def test_the_fast_lane_gives_comfyui_nine_tenths_of_the_gpu() -> None:
    """Spec, Fast Lane: `ENV COMFYUI_GPU_MEMORY_FRACTION=0.9`."""
    assert POOLS["fast-lane"].engine.environment == {"COMFYUI_GPU_MEMORY_FRACTION": "0.9"}


def test_each_speciality_has_its_folder_of_workflows() -> None:
    """Spec, Standard: `COPY workflows/${SPECIALTY}/ /workspace/workflows/`."""
    assert {spec.workflows for spec in POOLS.values() if spec.speciality} == {
        f"workflows/{spec.speciality}" for spec in POOLS.values() if spec.speciality
    }


def test_all_pools_measure_their_bands_on_one_gpu_so_that_no_job_falls_between_them() -> None:
    assert len({spec.compute.reference_gpu for spec in POOLS.values()}) == 1


@pytest.mark.parametrize("example", list(routed_examples(PACKAGED)), ids=lambda one: f"{one.pool}: {one.example}")
def test_each_example_goes_where_it_stands(example: RoutedExample) -> None:
    """Spec: "Examples"."""
    assert example.is_right, example
