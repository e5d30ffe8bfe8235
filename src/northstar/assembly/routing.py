"""What a process that routes is made of: pools in force, tenants' terms, the catalogue, and what is known of durations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec

from northstar.assembly.durations import durations_of
from northstar.assembly.parts import part
from northstar.assembly.session import new_id
from northstar.assembly.tenancy import seed_terms, tell_difference
from northstar.broker.budget_notes import BudgetNotes
from northstar.broker.budget_stops import BudgetStops
from northstar.broker.catalogue_view import FRESH_S, CatalogueView
from northstar.broker.deployment import Deployer
from northstar.broker.estimates import Estimates
from northstar.broker.learned_summary import LearnedSummary
from northstar.broker.pool_models import PoolModels
from northstar.broker.pools_in_force import PoolsInForce
from northstar.broker.rerouting import Rerouter
from northstar.broker.routing import Router
from northstar.broker.terms_in_force import TermsInForce, TermsUnreadable
from northstar.config import Settings
from northstar.config.pools import load_pools
from northstar.domain.pools import UNIFORM, Pools
from northstar.domain.tenancy import NO_TENANTS, Tenants
from northstar.policy.routing.ranking_terms import RankingTerms, ranking_terms
from northstar.store.bells import Ring
from northstar.store.cell import Cell
from northstar.store.history import HistoryDatabase
from northstar.store.snapshots import CellReader
from northstar.store.words import undeclared

#: As many as one call of `declare` takes.
_WORDS_PER_CALL: Final = 500


class RoutingParts(msgspec.Struct, frozen=True, kw_only=True):
    """What decides where jobs wait. Whoever listens to the cell's bells passes them to `hear`."""

    pools: PoolsInForce
    terms: TermsInForce
    catalogue: CatalogueView
    estimates: Estimates
    #: Whose budget is spent.
    stops: BudgetNotes

    def router(self, *, of_this_host: Collection[str] = ()) -> Router:
        """A router of its own; each has its own view of the fleet. `of_this_host` as for `Router`."""
        return Router(
            pools=lambda: self.pools.latest,
            tenants=lambda: self.terms.latest,
            estimates=self.estimates,
            catalogue=lambda: self.catalogue.latest,
            of_this_host=of_this_host,
            stops=BudgetStops(lambda: self.stops.all),
        )

    def ranking_terms(self) -> RankingTerms:
        """What plans rank machines by beside what these are, as submissions do."""
        return ranking_terms(self.pools.latest, self.estimates.paces())

    def hear(self, ring: Ring) -> None:
        """Something may have changed in the cell."""
        self.pools.hear(ring)
        self.terms.hear(ring)
        self.catalogue.hear(ring)


def pools_of(settings: Settings) -> Pools | None:
    """The pools of the file that the settings name; None where they name none. Raises InvalidPools."""
    return load_pools(Path(settings.routing.pools_file)) if settings.routing.pools_file else None


async def routing_parts(settings: Settings, cell: Cell, *, estimates: Estimates) -> RoutingParts:
    """The parts by these settings, with what holds in the cell now; where jobs may wait by it is declared by `declare_places`.

    Raises:
        InvalidPools: the file of pools cannot be used. Unavailable: the cell does not answer.
    """
    return await parts_in_force(
        cell,
        estimates=estimates,
        pools=pools_of(settings),
        hear_terms=lambda terms: tell_difference(terms, settings),
    )


async def parts_in_force(
    cell: Cell,
    *,
    estimates: Estimates,
    pools: Pools | None,
    hear_terms: Callable[[TermsInForce], None] = lambda _: None,
    monotonic: Callable[[], float] = time.monotonic,
    fresh_s: float = FRESH_S,
) -> RoutingParts:
    """The parts, where `pools` hold as long as none are applied; None: those that come with North Star. `hear_terms` is told of terms that hold now.

    `fresh_s`: after so long it is looked whether the catalogue has changed although no bell has said so.

    Raises:
        Unavailable: the cell does not answer.
    """

    async def declare_pools(_changed: Pools) -> None:
        await declare_places(cell, parts, by="pools")

    async def declare_terms(_changed: Tenants) -> None:
        await declare_places(cell, parts, by="tenants")
        hear_terms(parts.terms)

    parts = RoutingParts(
        pools=PoolsInForce(cell, otherwise=pools, changed=declare_pools),
        terms=TermsInForce(cell, changed=declare_terms),
        catalogue=CatalogueView(cell, monotonic=monotonic, fresh_s=fresh_s),
        estimates=estimates,
        stops=BudgetNotes(cell),
    )
    await parts.stops.look()
    await parts.pools.look()
    await parts.terms.look()
    hear_terms(parts.terms)
    return parts


async def declare_places(cell: Cell, parts: RoutingParts, *, by: str) -> None:
    """Let jobs wait in every pool that there is, and for every region and isolation of the terms, whether or not a machine of it is here yet."""
    try:
        tenants = parts.terms.latest
    except TermsUnreadable:
        tenants = NO_TENANTS  # nothing is routed by them
    wanted = [f"pool:{name}" for name in (*parts.pools.latest.pools, UNIFORM)] + tenants.words()
    # On a full server nothing new is declared, and only a broker that starts makes room there.
    words = await undeclared(cell.client, cell.keys, wanted)
    for first in range(0, len(words), _WORDS_PER_CALL):
        await cell.declare(words[first : first + _WORDS_PER_CALL], by=by)


async def keep_routing(
    settings: Settings,
    cell: Cell,
    history: HistoryDatabase,
    stack: AsyncExitStack,
    *,
    reader: CellReader,
    failure: asyncio.Future[None],
) -> RoutingParts:
    """The parts of a process that lives: they hear of changes, learn from runs, and look again at jobs in the wrong place.

    `reader` is by which all of the process look at the cell.

    Raises:
        InvalidPools: the file of pools cannot be used. DocumentTooLarge: the settings say too much of tenants for a cell that has no terms yet.
        Unavailable: the cell does not answer.
    """
    durations = durations_of(settings, history, cell=cell.name)
    await seed_terms(cell, settings)
    parts = await routing_parts(settings, cell, estimates=durations)
    await declare_places(cell, parts, by="serve")
    rerouter = Rerouter(
        cell,
        parts.router(),
        new_nonce=lambda: new_id()[-16:],
        catalogue=parts.catalogue,
        deployer=Deployer(cell, new_id=new_id, monotonic=time.monotonic),
        every_s=settings.routing.reroute_every_s,
        reader=reader,
    )
    keeping = PoolModels(
        cell, parts.catalogue, lambda: parts.pools.latest, new_id=new_id, monotonic=time.monotonic, reader=reader
    )
    for name, work in (
        ("the pools in force", parts.pools.run()),
        ("the terms in force", parts.terms.run()),
        ("the learning of durations", durations.run()),
        ("the summary of durations", LearnedSummary(cell, durations).run()),
        ("rerouting", rerouter.run()),
        ("the models of pools", keeping.run()),
    ):
        await stack.enter_async_context(part(name, work, failure=failure))
    return parts
