"""What follows for a machine from the pools that it serves; its broker tells it when it registers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.pools import Pools

_BYTES_PER_GB = 1_000_000_000


class PoolTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Of all its pools together. A newer broker may say more, an older one less."""

    #: What models may take on its disk, bytes; 0: no pool says.
    max_disk_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    #: Environment of the engines and programs that the machine starts.
    environment: dict[str, str] = {}
    #: Model files that its pools want on each of their machines and that find room there: what is here of them stays.
    keeps: tuple[str, ...] = ()


NO_POOL_TERMS = PoolTerms()


def pool_terms(pools: Pools, names: Sequence[str]) -> PoolTerms:
    """The terms of a machine that serves these pools, in its own order, but for what it keeps: that the catalogue knows.

    Of several disk limits the largest counts, for the models of all its pools must find room; of two values for one variable the one of
    the pool that it names first. While pools are switched off there are none.
    """
    if pools.routing.mode == "uniform":
        return NO_POOL_TERMS
    known = [spec for name in names if (spec := pools.get(name)) is not None]
    limits_gb = [spec.storage.max_gb for spec in known]
    environment: dict[str, str] = {}
    for spec in reversed(known):
        environment |= spec.engine.environment
    return PoolTerms(
        # One pool without a limit leaves the machine without one.
        max_disk_bytes=round(max(limits_gb) * _BYTES_PER_GB) if limits_gb and all(limits_gb) else 0,
        environment=environment,
    )
