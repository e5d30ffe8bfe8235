"""What `northstar explain` is made of: the cell, its past and its pools, and what its plans rank machines by."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from northstar.assembly.durations import learned_durations
from northstar.assembly.job_past import job_past
from northstar.assembly.missing import missing_machines
from northstar.assembly.routing import pools_of
from northstar.assembly.session import session
from northstar.broker.catalogue_view import CatalogueView
from northstar.broker.explaining import Explainer
from northstar.broker.known_models import known_in
from northstar.broker.pools_in_force import PoolsInForce
from northstar.broker.queue_places import QueuePlaces
from northstar.config import Settings
from northstar.policy.routing.ranking_terms import ranking_terms

#: One look at the cell serves the whole command, however long it takes to read a large one.
_VIEW_S = 60.0


@asynccontextmanager
async def explaining(settings: Settings) -> AsyncIterator[Explainer]:
    """An explainer of the cell that the settings mean, until the block ends.

    Raises:
        NotRunning: there is no server. UrlInvalid: its address cannot be understood. InvalidPools: the file of pools cannot be used.
    """
    async with session(settings) as broker, job_past(broker) as past, learned_durations(broker) as estimates:
        pools = PoolsInForce(broker.cell, otherwise=pools_of(settings))
        await pools.look()
        yield Explainer(
            broker.cell,
            past=past,
            places=QueuePlaces(
                broker.cell,
                monotonic=time.monotonic,
                view_s=_VIEW_S,
                paces=lambda: ranking_terms(pools.latest, estimates.paces()).paces,
            ),
            known_of=known_in(CatalogueView(broker.cell, monotonic=time.monotonic)),
            missing=missing_machines(broker),
            pools=pools.latest,
        )
