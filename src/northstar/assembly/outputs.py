"""Where outputs go, and what looks after them: an asset store as the settings want it, and the part that retires what is old."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Final, Literal

from northstar.assembly.session import new_id
from northstar.broker.gateway.incoming import Incoming
from northstar.broker.retention import DRAFT_MS, OutputRetention
from northstar.config import Settings
from northstar.policy.outputs.retention import RetentionRule
from northstar.store.asset_errors import OutputsElsewhere
from northstar.store.asset_holdings import Holdings
from northstar.store.assets import AssetStore
from northstar.store.brokers import Broker, read_brokers, with_other_outputs
from northstar.store.cell import Cell
from northstar.telemetry import logger

log = logger(__name__)

_MIB: Final = 1024**2
_GIB: Final = 1024**3
_DAY_MS: Final = 86_400_000
_INCOMING_EVERY_S: Final = 3_600.0


def asset_store(settings: Settings) -> AssetStore:
    """The place for outputs. Raises an asset store's error."""
    wanted = settings.assets
    return AssetStore(
        settings.assets_url,
        max_asset_bytes=wanted.max_asset_mib * _MIB,
        keep_free_bytes=int(wanted.keep_free_gib * _GIB),
    )


def incoming(settings: Settings) -> Incoming:
    """Where this process puts files until they are whole."""
    return Incoming(settings.data_path / "incoming", keep_free_bytes=int(settings.assets.keep_free_gib * _GIB))


def this_broker(settings: Settings, cell: Cell, kind: Literal["up", "serve"]) -> Broker:
    """What this process says of itself to the others. Raises an asset store's error."""
    place = asset_store(settings).url
    return Broker(
        kind=kind,
        id=new_id(),
        cell=cell.name,
        host=socket.gethostname(),
        outputs=place,
        reaches=settings.webhooks.allow_private,
    )


async def expect_one_place(cell: Cell, mine: Broker, *, alone: bool) -> None:
    """Make sure that no other broker of the cell keeps outputs elsewhere; `mine` is announced already.

    `alone`: the server is this process's own, so no other `up` runs on it, whatever one that was killed has left behind.

    Raises:
        OutputsElsewhere: one does. Unavailable: the server does not answer.
    """
    other = with_other_outputs(await read_brokers(cell), mine, alone=alone)
    if other is not None:
        raise OutputsElsewhere(wanted=mine.outputs, place=other.outputs, broker=f"{other.kind} on {other.host}")


async def retire_outputs(settings: Settings, cell: Cell) -> None:
    """Retire outputs, and what killed processes left half received, for ever. Raises an asset store's error at the start."""
    wanted = settings.assets
    rule = RetentionRule(
        keep_ms=int(wanted.keep_days * _DAY_MS),
        limit_bytes=int(wanted.limit_gib * _GIB),
        least_ms=int(wanted.at_least_s * 1000),
    )
    holdings = Holdings(asset_store(settings), cell=cell.name)
    retention = OutputRetention(
        cell,
        holdings,
        rule=rule,
        name=new_id(),
        every_s=wanted.sweep_every_s,
        wall_ms=lambda: int(time.time() * 1000),
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(retention.run(), name="retention")
        tasks.create_task(_empty_for_ever(incoming(settings)), name="incoming")


async def _empty_for_ever(folder: Incoming) -> None:
    while True:
        dropped = await asyncio.to_thread(folder.drop_old, before_s=time.time() - DRAFT_MS / 1000)
        if dropped:
            log.info("half_received_outputs_removed", files=dropped)
        await asyncio.sleep(_INCOMING_EVERY_S)
