"""What the stance of a pool means for its jobs and machines once they are there: who goes first, what is kept, what is preferred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from northstar.domain.pools import Pools, PoolSpec
    from northstar.domain.tenancy import TenantTerms

#: A machine with this tag stands near its users.
EDGE_TAG: Final = "edge"
_MAX_PRIORITY: Final = 100


def pool_priority(priority: int, spec: PoolSpec | None, terms: TenantTerms) -> int:
    """The priority of a job in a pool: what it asks for and the pool's boost, at least what its tenant was promised, at most 100.

    None is a pool that no file describes, and work without pools.
    """
    boost = spec.scaling.priority_boost if spec is not None else 0
    return min(_MAX_PRIORITY, max(priority + boost, terms.priority_at_least))


def priority_raised_by(priority: int, pool: str, spec: PoolSpec | None, terms: TenantTerms) -> str:
    """Who made more of the priority than was asked for: the pool, or its tenant's terms; empty: nobody did."""
    if pool_priority(priority, spec, terms) == priority:
        return ""
    boost = spec.scaling.priority_boost if spec is not None else 0
    return "its tenant's terms" if terms.priority_at_least > priority + boost else pool


def models_to_keep(pools: Pools, served: Sequence[str], held: Collection[str]) -> tuple[str, ...]:
    """Models that a machine serving these pools should have and has not, in the order in which its pools name them."""
    wanted = (name for pool in served if (spec := pools.get(pool)) is not None for name in spec.models.keep)
    return tuple(name for name in dict.fromkeys(wanted) if name not in held)


def is_kept(pools: Pools, served: Collection[str]) -> bool:
    """Whether a machine that serves these pools is kept for their work, so that work without pools may not come to it."""
    return any(pools.is_exclusive(name) for name in served)
