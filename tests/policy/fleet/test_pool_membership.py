"""A machine enters a pool when it brings what the pool promises to its jobs; every reason against is said."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.domain.machines import Gpu, MachineDescription, MachineProfile
from northstar.policy.fleet.pool_membership import (
    Announced,
    PoolRefusesMachine,
    counted_pools,
    decide_membership,
    pool_refusals,
)
from tests.specification.pool_jobs import GB, PACKAGED, with_pool, with_routing

#: What `nvidia-smi` says of a card of 24 GB (24,564 MiB), and of one of 16 GB (16,380 MiB), as MB.
CARD_24_MB, CARD_16_MB = 25_757, 17_175


def machine(
    *pools: str, cards: tuple[int, ...] = (), disk_gb: float = 0, vram_mb: int = 0, tags: tuple[str, ...] = ()
) -> Announced:
    return Announced(
        profile=MachineProfile(pools=pools, services=("picture",), vram_mb=vram_mb, tags=tags),
        description=MachineDescription(
            gpus=tuple(Gpu(index=place, vram_mb=size) for place, size in enumerate(cards)),
            disk_bytes=round(disk_gb * GB),
        ),
    )


def reasons(announced: Announced, **given: Any) -> tuple[str, ...]:
    (name,) = announced.profile.pools
    return decide_membership(PACKAGED.pools[name], announced, **given)


def test_heavy_takes_a_real_card_of_24_gb() -> None:
    """Spec, Heavy: "24GB+ per GPU"."""
    assert reasons(machine("heavy", cards=(CARD_24_MB,), disk_gb=500)) == ()


def test_heavy_refuses_a_gpu_under_24_gb() -> None:
    """Spec, Heavy: "24GB+ per GPU"."""
    assert reasons(machine("heavy", cards=(CARD_16_MB,), disk_gb=500)) == (
        "a GPU of it has 16,000 MB of memory, each must have 24,000 MB",
    )


def test_the_smallest_card_counts() -> None:
    """Spec, Heavy: "per GPU": whoever places a job does not choose the card."""
    assert reasons(machine("heavy", cards=(CARD_24_MB, CARD_16_MB), disk_gb=500)) != ()


def test_a_pool_may_ask_for_several_gpus() -> None:
    """Spec, Heavy: "multi-GPU"; of the packaged pools none insists on it."""
    spec = with_pool("heavy", compute={"min_gpus": 2}).pools["heavy"]
    assert decide_membership(spec, machine("heavy", cards=(CARD_24_MB,), disk_gb=500)) == (
        "it has 1 GPUs, at least 2 are asked for",
    )
    assert decide_membership(spec, machine("heavy", cards=(CARD_24_MB, CARD_24_MB), disk_gb=500)) == ()


def test_a_card_of_which_jobs_may_use_only_a_part_counts_by_that() -> None:
    assert reasons(machine("heavy", cards=(CARD_24_MB,), vram_mb=20_000, disk_gb=500)) != ()
    assert reasons(machine("heavy", cards=(CARD_24_MB,), vram_mb=24_000, disk_gb=500)) == ()


def test_memory_that_is_declared_counts_where_no_card_was_found() -> None:
    assert reasons(machine("heavy", vram_mb=24_000)) == ()


def test_heavy_refuses_a_machine_without_a_gpu() -> None:
    assert reasons(machine("heavy", disk_gb=500)) == ("it has 0 GPUs, at least 1 are asked for",)


@pytest.mark.parametrize(
    ("pool", "min_gb"),
    [("lightning", 10), ("fast-lane", 40), ("standard", 120), ("standard-art", 120), ("enterprise", 100)],
)
def test_a_disk_below_the_storage_of_the_pool_is_refused(pool: str, min_gb: float) -> None:
    """Spec: "Storage": 10-20GB, 40-80GB, 120-200GB, 100GB-2TB."""
    assert reasons(machine(pool, disk_gb=min_gb)) == ()
    assert reasons(machine(pool, disk_gb=min_gb * 0.9)) == (
        f"it has {min_gb * 0.9:.1f} GB of disk for models, at least {min_gb} are asked for",
    )


def test_what_the_file_system_keeps_for_itself_is_not_held_against_a_disk() -> None:
    assert reasons(machine("standard", disk_gb=118.2)) == ()


def test_a_machine_that_keeps_no_models_is_not_asked_for_a_disk() -> None:
    assert reasons(machine("standard")) == ()


def test_enterprise_refuses_machines_that_may_be_taken_away() -> None:
    """Spec, Enterprise: "Dedicated instances, guaranteed resources"; Fast Lane: "cost-optimized instances"."""
    assert reasons(machine("enterprise", tags=("spot",))) == (
        "it may be taken away at any moment (tag spot), and the pool promises that its machines stay",
    )
    assert reasons(machine("fast-lane", tags=("spot",))) == ()


def test_enterprise_machines_serve_no_other_pool() -> None:
    """Spec, Enterprise: "Dedicated instances"."""
    shared = machine("enterprise", "standard", "heavy", cards=(CARD_24_MB,))
    assert pool_refusals(PACKAGED, shared, {}) == {
        "enterprise": ("it serves 2 other pools too, and machines of this one serve no other",)
    }


def test_a_pool_has_only_so_many_machines() -> None:
    """Spec, Research: "Very low machine count"."""
    one = machine("research", cards=(CARD_24_MB,))
    assert reasons(one, others=19) == ()
    assert reasons(one, others=20) == ("it has 20 machines already, as many as it may",)
    assert counted_pools(PACKAGED, machine("research", "enterprise", "night-shift")) == ("research",)


def test_every_reason_of_every_pool_is_said_at_once() -> None:
    refusals = pool_refusals(PACKAGED, machine("heavy", "fast-lane", cards=(CARD_16_MB,), disk_gb=30), {})
    assert {pool: len(found) for pool, found in refusals.items()} == {"heavy": 2, "fast-lane": 1}


def test_a_refusal_names_the_machine_the_pools_and_what_to_do() -> None:
    refusals = pool_refusals(PACKAGED, machine("heavy", cards=(CARD_16_MB,), disk_gb=500), {})
    error = PoolRefusesMachine("gpu-7", refusals=refusals)
    assert str(error) == (
        "machine gpu-7 may not enter (pool heavy: a GPU of it has 16,000 MB of memory, each must have 24,000 MB): give it other pools, "
        "or change what these ask for (northstar pools show heavy)"
    )
    assert (error.code, error.machine, error.refusals) == ("NS_POOL_REFUSES_MACHINE", "gpu-7", refusals)


def test_a_pool_that_nobody_described_asks_for_nothing() -> None:
    assert pool_refusals(PACKAGED, machine("night-shift"), {}) == {}


def test_nobody_refuses_while_pools_are_switched_off() -> None:
    """Spec: "Pool routing can fall back to uniform machine distribution"."""
    assert pool_refusals(with_routing(mode="uniform"), machine("heavy"), {}) == {}


def test_what_an_operator_asks_for_counts() -> None:
    lenient = with_pool("heavy", compute={"min_vram_mb": 16_000}, storage={"min_gb": 0})
    assert pool_refusals(lenient, machine("heavy", cards=(CARD_16_MB,), disk_gb=30), {}) == {}
