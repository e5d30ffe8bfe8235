"""Whether the models that pools want on their machines find room there, by the sizes that the catalogue of a running cell knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.domain.pools import Pools


async def check_kept_models(settings: Settings, pools: Pools, *, source: str) -> None:
    """Models of unknown size, and those that nobody declared, are not held against a pool.

    Raises:
        InvalidPools: a pool names more than its machines may keep. NotRunning, Unavailable: there is no cell to ask.
    """
    import time

    from northstar.assembly.session import session
    from northstar.broker.catalogue_view import CatalogueView
    from northstar.config.pool_errors import InvalidPools
    from northstar.policy.fleet.kept_models import kept_too_much

    if not any(spec.models.keep for spec in pools.pools.values()):
        return
    async with session(settings) as broker:
        catalogue = await CatalogueView(broker.cell, monotonic=time.monotonic).current()
    for found in kept_too_much(pools, catalogue):
        raise InvalidPools(found.sentence, source=source, table=f"pools.{found.pool}.models", key="keep")
