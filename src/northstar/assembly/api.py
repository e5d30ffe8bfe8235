"""The parts behind the HTTP interface of one broker."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection

from northstar.assembly.desks import desks_of
from northstar.assembly.keys import keys_of
from northstar.assembly.routing import RoutingParts
from northstar.assembly.session import new_id
from northstar.broker.api import Api
from northstar.broker.budgets import BudgetsSeen
from northstar.broker.dead_letters import DeadLetters
from northstar.broker.explaining import Explainer
from northstar.broker.job_desk import JobDesk
from northstar.broker.job_files import JobFiles
from northstar.broker.job_log import JobLog
from northstar.broker.job_past import JobPast
from northstar.broker.known_models import known_in
from northstar.broker.live import live_over
from northstar.broker.live_fleet import LiveFleets
from northstar.broker.measures import Measures
from northstar.broker.missing_machines import MissingMachinesReader
from northstar.broker.queue_places import QueuePlaces
from northstar.broker.routing import Router
from northstar.broker.sealed_cursors import SealedCursors
from northstar.broker.submission import Submitter
from northstar.broker.webhooks.desk import WebhookDesk
from northstar.store.assets import AssetStore
from northstar.store.cell import Cell
from northstar.store.history import HistoryDatabase, HistoryReader
from northstar.store.snapshots import CellReader


def api_parts(
    cell: Cell,
    history: HistoryDatabase,
    routing: RoutingParts,
    *,
    webhooks: WebhookDesk,
    reader: CellReader,
    assets: AssetStore,
    join_url: str,
    budgets: Callable[[], BudgetsSeen],
    job_log: JobLog,
) -> Api:
    """What a broker answers clients with; its submitter decides as `northstar submit` does.

    `reader` is the process's own; `join_url` is where machines dial, if that is known; `budgets` are as they were looked at last.
    """
    missing = MissingMachinesReader(cell)
    past = JobPast(cell, HistoryReader(history, cell=cell.name))
    places = QueuePlaces(cell, monotonic=time.monotonic, paces=lambda: routing.ranking_terms().paces)
    router = routing.router()
    submitter = _submitter(cell, routing, router, missing)

    def explainer() -> Explainer:
        return Explainer(
            cell,
            past=past,
            places=places,
            known_of=known_in(routing.catalogue),
            missing=missing,
            pools=routing.pools.latest,
        )

    desk = JobDesk(
        cell,
        submitter=submitter,
        places=places,
        past=past,
        dead_letters=DeadLetters(cell, new_nonce=new_id, router=router, view=submitter.view),
        cursors=SealedCursors(cell, random_bytes=secrets.token_bytes),
        new_trace=lambda: secrets.token_hex(16),
        job_log=job_log,
    )

    def pools_in_force() -> Collection[str]:
        return routing.pools.latest.pools

    keys = keys_of(cell)
    desks = desks_of(
        cell,
        history,
        routing,
        explainer=explainer,
        missing=missing,
        reader=reader,
        join_url=join_url,
        budgets=budgets,
        webhooks=webhooks,
    )
    return Api(
        keys=keys,
        jobs=desk,
        webhooks=webhooks,
        measures=Measures(cell, pools=pools_in_force, monotonic=time.monotonic, reader=reader, budgets=budgets),
        fleet=LiveFleets(cell, reader=reader, pools=pools_in_force, monotonic=time.monotonic),
        past=past,
        explainer=explainer,
        live=live_over(cell, history, keys=keys, past=past),
        files=JobFiles(cell, desk, assets),
        desks=desks,
    )


def _submitter(cell: Cell, routing: RoutingParts, router: Router, missing: MissingMachinesReader) -> Submitter:
    """What decides for each job that comes by HTTP where it waits."""
    return Submitter(
        cell,
        new_id=new_id,
        monotonic=time.monotonic,
        catalogue=routing.catalogue,
        router=router,
        missing=missing,
    )
