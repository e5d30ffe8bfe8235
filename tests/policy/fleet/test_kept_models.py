"""Of the models that pools want on their machines, those that find room there."""

from __future__ import annotations

from northstar.domain.machines import MachineDescription
from northstar.domain.pools import Pools
from northstar.policy.fleet.kept_models import KeptModels, kept_models, kept_too_much
from northstar.policy.models.catalogue_index import CatalogueIndex
from tests.policy.models.catalogue import a_file, a_model
from tests.specification.pool_jobs import GB, PACKAGED, with_pool

CATALOGUE = CatalogueIndex(
    [
        a_model("base", a_file("base.safetensors", size_bytes=12 * GB)),
        a_model("large", a_file("large.safetensors", size_bytes=30 * GB)),
        a_model(
            "small", a_file("small.safetensors", size_bytes=6 * GB), a_file("vae.safetensors", "vae", size_bytes=GB)
        ),
        a_model("unsized", a_file("unsized.safetensors", size_bytes=0)),
    ]
)


def keeping(*models: str, max_gb: float = 40) -> Pools:
    return with_pool("fast-lane", models={"keep": models}, storage={"max_gb": max_gb})


def on(pools: Pools, *served: str, disk_gb: int = 0) -> KeptModels:
    return kept_models(pools, served, MachineDescription(disk_bytes=disk_gb * GB), CATALOGUE)


def names(kept: KeptModels) -> list[str]:
    return [file.name for file in kept.files]


def test_models_are_kept_in_order_as_long_as_they_find_room_and_a_smaller_one_after_a_large_one_does() -> None:
    kept = on(keeping("base", "large", "small", "unsized"), "fast-lane")
    assert names(kept) == ["base.safetensors", "small.safetensors", "vae.safetensors", "unsized.safetensors"]
    assert kept.too_much == ("large",)


def test_a_disk_that_is_smaller_than_the_cap_counts() -> None:
    kept = on(keeping("base", "small"), "fast-lane", disk_gb=15)
    assert (names(kept), kept.too_much) == (["base.safetensors"], ("small",))


def test_without_a_bound_everything_is_kept() -> None:
    assert on(keeping("base", "large", "small", max_gb=0), "fast-lane").too_much == ()


def test_a_machine_of_several_pools_has_the_room_of_the_largest() -> None:
    assert on(keeping("base", "large", "small"), "fast-lane", "standard").too_much == ()


def test_what_nobody_declared_is_told() -> None:
    assert on(keeping("ghost", "base"), "fast-lane").unknown == ("ghost",)


def test_a_pool_that_wants_more_than_its_machines_may_keep_is_named_with_the_largest_models() -> None:
    (found,) = kept_too_much(keeping("small", "large", "base"), CATALOGUE)
    assert (found.pool, found.kept_bytes, found.max_bytes) == ("fast-lane", 49 * GB, 40 * GB)
    assert found.models == ("large", "base", "small")
    assert found.sentence == (
        "names models of 49.0 GB together, and models may take 40 GB (storage.max_gb); name fewer, or raise it. "
        "The largest: large, base, small"
    )


def test_a_pool_whose_models_find_room_is_not_named() -> None:
    for pools in (PACKAGED, keeping("base", "small"), keeping("base", "large", max_gb=0), keeping("ghost")):
        assert list(kept_too_much(pools, CATALOGUE)) == []
