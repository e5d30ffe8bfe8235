"""What is wrong with pools of which each field alone is fine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.pools import ENTERPRISE, SIX_POOLS, UNIFORM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.domain.pools import Pools, PoolSpec


class PoolProblem(msgspec.Struct, frozen=True):
    """One contradiction: the table in which it stands, the key, and a sentence that says what to do."""

    table: str
    key: str
    sentence: str


def pool_problems(pools: Pools) -> Iterator[PoolProblem]:
    """Every contradiction, in the order of the file."""
    for name in SIX_POOLS:
        if name not in pools.pools:
            yield PoolProblem(
                "pools",
                name,
                "is missing, and the decision matrix routes to it; copy it from the pools that come with North Star, with "
                "traffic_share = 0 if it shall not be used yet",
            )
    if UNIFORM in pools.pools:
        yield PoolProblem(f"pools.{UNIFORM}", "", "is the name for work without pools; give the pool another name")
    seen: dict[str, str] = {}
    for name, spec in pools.pools.items():
        yield from _of_ranges(name, spec)
        yield from _of_relations(name, spec, pools)
        if spec.speciality and seen.setdefault(spec.speciality, name) != name:
            other = seen[spec.speciality]
            yield PoolProblem(f"pools.{name}", "speciality", f"is that of {other} too; name each speciality once")
    enterprise = pools.pools.get(ENTERPRISE)
    if enterprise is not None and enterprise.traffic_share < 1:
        yield PoolProblem(
            f"pools.{ENTERPRISE}",
            "traffic_share",
            "must be 1: whoever has enterprise terms has them for every job; give nobody such terms until the pool stands",
        )


def _of_ranges(name: str, spec: PoolSpec) -> Iterator[PoolProblem]:
    table, band, storage = f"pools.{name}", spec.band, spec.storage
    if band.below_s and band.below_s <= band.from_s:
        yield PoolProblem(
            f"{table}.band", "below_s", f"is {band.below_s:g}, not above from_s ({band.from_s:g}); 0 is no bound"
        )
    if storage.max_gb and storage.max_gb < storage.min_gb:
        yield PoolProblem(
            f"{table}.storage", "max_gb", f"is {storage.max_gb:g}, below min_gb ({storage.min_gb:g}); 0 is no bound"
        )
    if storage.max_gb and spec.models.largest_gb > storage.max_gb:
        yield PoolProblem(
            f"{table}.models",
            "largest_gb",
            f"is {spec.models.largest_gb:g}, more than models may take ({storage.max_gb:g}); lower it or raise storage.max_gb",
        )
    if spec.compute.min_vram_mb and not spec.compute.min_gpus:
        yield PoolProblem(
            f"{table}.compute", "min_gpus", "is 0, but min_vram_mb asks for the memory of a GPU; set it to 1 or more"
        )


def _of_relations(name: str, spec: PoolSpec, pools: Pools) -> Iterator[PoolProblem]:
    table = f"pools.{name}"
    if bool(spec.parent) != bool(spec.speciality):
        yield PoolProblem(
            table, "parent" if spec.speciality else "speciality", "is missing: a sub-pool has a parent and a speciality"
        )
    parent = pools.pools.get(spec.parent) if spec.parent else None
    if spec.parent and (parent is None or parent.parent):
        yield PoolProblem(
            table, "parent", f"names {spec.parent}, which is no pool with sub-pools; name a pool of this file"
        )
    for place, other in enumerate(spec.fallback):
        if other == name:
            yield PoolProblem(table, "fallback", f"names {name} itself; take it out")
        elif other not in pools.pools:
            yield PoolProblem(
                table, "fallback", f"names {other}, which is no pool of this file; take it out or add the pool"
            )
        elif pools.is_exclusive(other):
            yield PoolProblem(
                table, "fallback", f"names {other}, which is exclusive and takes no other pool's work; take it out"
            )
        elif other in spec.fallback[:place]:
            yield PoolProblem(table, "fallback", f"names {other} twice; name it once")
    if spec.scaling.exclusive and spec.fallback:
        yield PoolProblem(table, "fallback", "must be empty: an exclusive pool keeps its work; take the names out")
