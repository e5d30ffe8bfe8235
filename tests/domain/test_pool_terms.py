"""What follows for a machine from the pools that it serves."""

from __future__ import annotations

from northstar.domain.pool_terms import PoolTerms, pool_terms
from tests.specification.pool_jobs import GB, PACKAGED, with_pool, with_routing


def test_models_take_no_more_disk_than_the_pool_gives_them() -> None:
    """Spec, Lightning: "10-20GB"."""
    assert pool_terms(PACKAGED, ("lightning",)).max_disk_bytes == 20 * GB


def test_a_machine_of_several_pools_has_room_for_the_models_of_the_largest() -> None:
    """Spec: "40-80GB", "120-200GB"."""
    assert pool_terms(PACKAGED, ("fast-lane", "standard")).max_disk_bytes == 200 * GB


def test_one_pool_without_a_limit_leaves_the_machine_without_one() -> None:
    unbounded = with_pool("standard", storage={"max_gb": 0})
    assert pool_terms(unbounded, ("fast-lane", "standard")).max_disk_bytes == 0


def test_engines_find_what_the_pool_sets() -> None:
    """Spec, Fast Lane: `ENV COMFYUI_GPU_MEMORY_FRACTION=0.9`."""
    assert pool_terms(PACKAGED, ("standard", "fast-lane")).environment == {"COMFYUI_GPU_MEMORY_FRACTION": "0.9"}


def test_of_two_values_that_of_the_pool_that_the_machine_names_first_counts() -> None:
    both = with_pool("standard", engine={"environment": {"COMFYUI_GPU_MEMORY_FRACTION": "0.5", "OTHER": "x"}})
    assert pool_terms(both, ("fast-lane", "standard")).environment == {
        "COMFYUI_GPU_MEMORY_FRACTION": "0.9",
        "OTHER": "x",
    }
    assert pool_terms(both, ("standard", "fast-lane")).environment["COMFYUI_GPU_MEMORY_FRACTION"] == "0.5"


def test_pools_that_nobody_described_and_pools_that_are_off_ask_for_nothing() -> None:
    assert pool_terms(PACKAGED, ("night-shift",)) == PoolTerms()
    assert pool_terms(with_routing(mode="uniform"), ("lightning",)) == PoolTerms()
