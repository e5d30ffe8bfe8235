"""What a process that routes is made of: pools in force, tenants' terms, the catalogue, and what is known of durations."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from northstar.assembly.durations import durations_of
from northstar.assembly.parts import part
from northstar.assembly.session import new_id
from northstar.broker.catalogue_view import CatalogueView
from northstar.broker.deployment import Deployer
from northstar.broker.pool_models import PoolModels
from northstar.broker.pools_in_force import PoolsInForce
from northstar.broker.rerouting import Rerouter
from northstar.broker.routing import Estimates, Router
from northstar.config import Settings
from northstar.config.pools import load_pools
from northstar.domain.pools import UNIFORM, Pools
from northstar.policy.routing.ranking_terms import RankingTerms, ranking_terms
from northstar.store.bells import Ring
from northstar.store.cell import Cell
from northstar.store.history import HistoryDatabase
from northstar.store.words import undeclared


class RoutingParts(msgspec.Struct, frozen=True, kw_only=True):
    """What decides where jobs wait. Whoever listens to the cell's bells passes them to `hear`."""

    pools: PoolsInForce
    catalogue: CatalogueView
    estimates: Estimates
    settings: Settings

    def router(self) -> Router:
        """A router of its own; each has its own view of the fleet."""
        return Router(
            pools=lambda: self.pools.latest,
            terms=self.settings.terms,
            estimates=self.estimates,
            catalogue=lambda: self.catalogue.latest,
        )

    def ranking_terms(self) -> RankingTerms:
        """What plans rank machines by beside what these are, as submissions do."""
        return ranking_terms(self.pools.latest, self.estimates.paces())

    def hear(self, ring: Ring) -> None:
        """Something may have changed in the cell."""
        self.pools.hear(ring)
        self.catalogue.hear(ring)


def pools_of(settings: Settings) -> Pools | None:
    """The pools of the file that the settings name; None where they name none. Raises InvalidPools."""
    return load_pools(Path(settings.routing.pools_file)) if settings.routing.pools_file else None


async def routing_parts(settings: Settings, cell: Cell, *, estimates: Estimates) -> RoutingParts:
    """The parts, with what holds in the cell now.

    Raises:
        InvalidPools: the file of pools cannot be used. Unavailable: the cell does not answer.
    """

    async def declare(changed: Pools) -> None:
        await declare_places(cell, changed, settings, by="pools")

    pools = PoolsInForce(cell, otherwise=pools_of(settings), changed=declare)
    await pools.look()
    catalogue = CatalogueView(cell, monotonic=time.monotonic)
    return RoutingParts(pools=pools, catalogue=catalogue, estimates=estimates, settings=settings)


async def declare_places(cell: Cell, pools: Pools, settings: Settings, *, by: str) -> None:
    """Let jobs wait in every pool that there is, and for every region that terms name, whether or not a machine of it is here yet."""
    regions = {region for terms in settings.tenants.values() for region in terms.regions}
    isolations = {terms.isolation for terms in settings.tenants.values() if terms.isolation}
    wanted = [f"pool:{name}" for name in (*pools.pools, UNIFORM)]
    wanted += sorted(f"region:{region}" for region in regions)
    wanted += sorted(f"isolation:{name}" for name in isolations)
    # On a full server nothing new is declared, and only a broker that starts makes room there.
    if words := await undeclared(cell.client, cell.keys, wanted):
        await cell.declare(words, by=by)


async def keep_routing(
    settings: Settings, cell: Cell, history: HistoryDatabase, stack: AsyncExitStack, *, failure: asyncio.Future[None]
) -> RoutingParts:
    """The parts of a process that lives: they hear of changes, learn from runs, and look again at jobs in the wrong place.

    Raises:
        InvalidPools: the file of pools cannot be used. Unavailable: the cell does not answer.
    """
    durations = durations_of(settings, history, cell=cell.name)
    parts = await routing_parts(settings, cell, estimates=durations)
    await declare_places(cell, parts.pools.latest, settings, by="serve")
    rerouter = Rerouter(
        cell,
        parts.router(),
        new_nonce=lambda: new_id()[-16:],
        catalogue=parts.catalogue,
        deployer=Deployer(cell, new_id=new_id, monotonic=time.monotonic),
        every_s=settings.routing.reroute_every_s,
    )
    keeping = PoolModels(cell, parts.catalogue, lambda: parts.pools.latest, new_id=new_id, monotonic=time.monotonic)
    for name, work in (
        ("the pools in force", parts.pools.run()),
        ("the learning of durations", durations.run()),
        ("rerouting", rerouter.run()),
        ("the models of pools", keeping.run()),
    ):
        await stack.enter_async_context(part(name, work, failure=failure))
    return parts
