"""The two ways from a machine to its cell: straight to Valkey, for a trusted one, or through a broker that it dials."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, Final

import aiohttp
import msgspec

from northstar import __version__
from northstar.agent.dialing import Backoff, Dialling, broker_url
from northstar.agent.direct_link import DirectLink
from northstar.agent.link import BrokerLink
from northstar.agent.model_link import DialledModelLink, ModelLink
from northstar.agent.outputs import LocalOutputs, OutputStore, UploadedOutputs
from northstar.agent.websocket_connection import LinkOptions
from northstar.agent.websocket_link import WebSocketLink
from northstar.assembly.announcing import announced
from northstar.assembly.machine_pools import check_machine_pools, declared_pools
from northstar.assembly.outputs import asset_store
from northstar.assembly.session import find_place, new_id
from northstar.config import Settings
from northstar.connectors.secret import Secret
from northstar.domain.errors import InvalidRequest, Unavailable
from northstar.domain.pool_terms import PoolTerms
from northstar.store.cell import Cell
from northstar.store.model_reports import ModelReports
from northstar.store.valkey import connect
from northstar.store.wire import MAX_BATCH
from northstar.telemetry import logger

log = logger(__name__)

_RETRY_S: Final = 0.5
#: Results, claims or leases of one call straight to the cell.
_DIRECT_BATCH: Final = 500
#: Behind a broker, which sees to it that no lost bell keeps a machine idle; this is for the day on which it does not.
_RECLAIM_EVERY_S: Final = 15.0
_MAX_TOKEN_BYTES: Final = 1_024


class TokenMissingHere(InvalidRequest):
    """A broker is to be dialled, and there is nothing to be let in by."""

    code: ClassVar[str] = "NS_TOKEN_MISSING_HERE"

    def __init__(self, path: Path, *, reason: str) -> None:
        super().__init__(
            f"no machine token in {path} ({reason}); get one with the command that `northstar machines invite` prints, "
            "or set agent.token_file"
        )


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How a machine reaches its cell, and where it leaves its outputs."""

    link: BrokerLink
    models: ModelLink
    outputs: OutputStore
    batch: int
    reclaim_every_s: float
    #: Whether a farewell would be heard at this moment.
    is_connected: Callable[[], bool] = lambda: True


@asynccontextmanager
async def straight(settings: Settings, name: str) -> AsyncIterator[Way]:
    """To Valkey itself; waits for a server that does not answer yet.

    Raises:
        NotRunning: there is none. MachinePoolUnknown: the machine names a pool that is not there.
    """
    place = find_place(settings)
    client = connect(place.url)
    try:
        cell = Cell(client, place.cell)
        await _open(cell, settings)
        if machine := settings.machine(name):
            await check_machine_pools(cell, settings, [machine], also=await declared_pools(cell))
        async with announced(cell, process=f"worker:{name}:{new_id()}"):
            session = new_id()
            yield Way(
                link=DirectLink(cell, machine=name, session=session, new_nonce=_nonce),
                models=ModelReports(cell, machine=name, session=session),
                outputs=LocalOutputs(
                    asset_store(settings), cell=cell.name, clock_ms=lambda: time.time_ns() // 1_000_000
                ),
                batch=_DIRECT_BATCH,
                reclaim_every_s=settings.agent.reclaim_every_s,
            )
    finally:
        await client.aclose()


@asynccontextmanager
async def through_broker(
    settings: Settings, name: str, *, token: Secret | None, hear_terms: Callable[[PoolTerms], None]
) -> AsyncIterator[Way]:
    """By a broker that is dialled; `hear_terms` is told what it says of the machine's pools.

    Raises:
        BrokerUrlInvalid, TokenMissingHere: it cannot be dialled.
    """
    wanted = settings.agent
    dialling = Dialling(
        http_url=broker_url(wanted.broker),
        token=token or read_token(token_path(settings, name)),
        ca_file=Path(wanted.ca_file) if wanted.ca_file else None,
    )
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=dialling.tls())) as http:
        link = WebSocketLink(
            http,
            dialling,
            machine=name,
            session=new_id(),
            version=__version__,
            new_nonce=_nonce,
            jitter=random.random,
            options=LinkOptions(ping_every_s=wanted.ping_every_s),
        )
        link.hear_terms = hear_terms
        async with link:
            yield Way(
                link=link,
                models=DialledModelLink(link),
                outputs=UploadedOutputs(http, dialling, backoff=Backoff(), jitter=random.random),
                batch=MAX_BATCH,
                reclaim_every_s=max(settings.agent.reclaim_every_s, _RECLAIM_EVERY_S),
                is_connected=lambda: link.connected,
            )


def token_path(settings: Settings, name: str) -> Path:
    """Where the machine's token is kept on this host."""
    return Path(settings.agent.token_file or settings.data_path / "machines" / name / "token")


def read_token(path: Path) -> Secret:
    """The token in a file. Raises TokenMissingHere."""
    try:
        with path.open("rb") as file:
            return Secret(file.read(_MAX_TOKEN_BYTES).decode("ascii", errors="replace").strip())
    except OSError as exc:
        raise TokenMissingHere(path, reason=exc.strerror or str(exc)) from exc
    except ValueError as exc:
        raise TokenMissingHere(path, reason="what stands there is none") from exc


async def _open(cell: Cell, settings: Settings) -> None:
    while True:
        try:
            await cell.open(settings.limits, new_id=new_id)
        except Unavailable as exc:
            if not exc.retryable:
                raise
            log.warning("broker_unavailable", code=exc.code, error=str(exc))
            await asyncio.sleep(_RETRY_S)
        else:
            return


def _nonce() -> str:
    return new_id()[-16:]
