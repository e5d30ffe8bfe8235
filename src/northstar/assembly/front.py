"""The broker's front as a part of a process: gateway and application behind one listening socket."""

from __future__ import annotations

import asyncio
import resource
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar, Final

import msgspec

from northstar.assembly.listening import reachable
from northstar.assembly.open_files import files_of
from northstar.assembly.outputs import asset_store, incoming
from northstar.assembly.session import new_id
from northstar.broker.admission import Admission as CellAdmission
from northstar.broker.api import Api
from northstar.broker.gateway.doorkeeper import Doorkeeper
from northstar.broker.gateway.gateway import Gateway, GatewayOptions
from northstar.broker.gateway.local_tokens import LocalTokens
from northstar.broker.gateway.outputs import Outputs
from northstar.broker.gateway.pulse import Pulse
from northstar.broker.job_log import UNSAID, JobLog
from northstar.config import ServeSettings, Settings
from northstar.domain.errors import Unavailable
from northstar.domain.pools import Pools
from northstar.policy.admission.addresses import Network, network
from northstar.policy.admission.wrong_tokens import WrongTokenRule
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.store.bells import Ring
from northstar.store.cell import Cell
from northstar.telemetry import logger

log = logger(__name__)


class FrontPartMissing(Unavailable):
    """The packages that the front needs are not installed."""

    code: ClassVar[str] = "NS_SERVE_PART_MISSING"
    retryable = False

    def __init__(self, package: str) -> None:
        super().__init__(
            f"the broker's front needs the package {package!r}, which is not installed; install it with: "
            "pip install 'northstar-broker[serve]'"
        )


class BrokerStops(Unavailable):
    """This process stops; another one, or its successor, can be dialled."""

    code: ClassVar[str] = "NS_BROKER_STOPS"

    def __init__(self) -> None:
        super().__init__("this broker stops; dial again")


#: Of a front that is told of none; one and the same, so that nothing seems to have changed.
_NO_CATALOGUE: Final = CatalogueIndex()


#: By which a broker says, beside whether it lives, under which id its cell knows it; to whoever cannot ask the cell that tells nothing.
BROKER_HEADER: Final = "X-Northstar-Broker"


class AppParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the application of a front is made of."""

    gateway: Gateway
    outputs: Outputs
    doorkeeper: Doorkeeper
    trusted_proxies: tuple[Network, ...]
    joining: CellAdmission
    pulse: Pulse
    cell: str
    #: Its id among the brokers of the cell; empty: it is none of them.
    broker: str = ""
    max_output_bytes: int
    #: How long the body of a request may take, and each pause in a long one.
    body_within_s: float
    #: What clients are answered with; None: this front serves machines alone.
    api: Api | None = None


#: Serves the application on the listening socket until the block ends. It belongs to the layer above, so it is handed in.
OpenDoor = Callable[[AppParts, socket.socket, ServeSettings], AbstractAsyncContextManager[None]]


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """A front that listens. `ended` is done when it has stopped by itself."""

    url: str
    gateway: Gateway
    #: Of machines on this host.
    tokens: LocalTokens
    ended: asyncio.Task[None]


@asynccontextmanager
async def running_front(
    settings: Settings,
    cell: Cell,
    admission: CellAdmission,
    *,
    listening: socket.socket,
    open_door: OpenDoor,
    pools: Callable[[], Pools],
    catalogue: Callable[[], CatalogueIndex] = lambda: _NO_CATALOGUE,
    also_hear: Callable[[Ring], None],
    api: Api | None = None,
    job_log: JobLog = UNSAID,
    broker: str = "",
) -> AsyncIterator[Front]:
    """Serve whoever dials the socket until the block ends; then machines are told to dial another.

    `pools` and `catalogue` give those that hold now; `also_hear` is told of every bell of the cell. Without an `api` clients find nothing.
    """
    wanted = settings.serve
    max_bytes = settings.assets.max_asset_mib * 1024**2
    outputs = Outputs(
        cell,
        asset_store(settings),
        incoming=incoming(settings),
        max_bytes=max_bytes,
        max_job_bytes=int(settings.assets.max_job_gib * 1024**3),
    )
    gateway = _gateway(
        cell,
        wanted,
        outputs=outputs,
        pools=pools,
        catalogue=catalogue,
        hear=_heard_by(admission.hear, also_hear),
        job_log=job_log,
    )
    tokens = LocalTokens(new_secret, others=admission)
    parts = AppParts(
        gateway=gateway,
        outputs=outputs,
        doorkeeper=Doorkeeper(tokens, rule=_wrong_tokens(wanted), monotonic=time.monotonic),
        trusted_proxies=tuple(network(text) for text in wanted.trusted_proxies),
        joining=admission,
        pulse=Pulse(cell, monotonic=time.monotonic),
        cell=cell.name,
        broker=broker,
        max_output_bytes=max_bytes,
        body_within_s=wanted.body_within_s,
        api=api,
    )
    _allow_files(files_of(wanted))
    passing = asyncio.create_task(gateway.run(), name="gateway")
    try:
        async with open_door(parts, listening, wanted):
            scheme = "https" if wanted.tls_certificate else "http"
            host, port = listening.getsockname()[:2]
            try:
                yield Front(url=f"{scheme}://{reachable(host)}:{port}", gateway=gateway, tokens=tokens, ended=passing)
            finally:
                gateway.hang_up(BrokerStops())
    finally:
        passing.cancel()
        await asyncio.wait({passing})


def _heard_by(*listeners: Callable[[Ring], None]) -> Callable[[Ring], None]:
    def hear(ring: Ring) -> None:
        for listener in listeners:
            listener(ring)

    return hear


def _gateway(
    cell: Cell,
    wanted: ServeSettings,
    *,
    outputs: Outputs,
    pools: Callable[[], Pools],
    catalogue: Callable[[], CatalogueIndex],
    hear: Callable[[Ring], None],
    job_log: JobLog,
) -> Gateway:
    return Gateway(
        cell,
        serve=f"serve-{new_id()[:16]}",
        outputs=outputs,
        pools=pools,
        catalogue=catalogue,
        new_nonce=lambda: new_id()[-16:],
        hear=hear,
        job_log=job_log,
        options=GatewayOptions(grace_s=wanted.grace_s, silence_s=wanted.silence_s, max_machines=wanted.max_machines),
    )


def _wrong_tokens(wanted: ServeSettings) -> WrongTokenRule:
    return WrongTokenRule(burst=wanted.wrong_tokens, every_s=wanted.wrong_token_every_s)


def _allow_files(wanted: int) -> None:
    """Raise the limit of open files as far as it may go: every connection is one, and the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
        if most < wanted:
            log.warning("few_files_allowed", allowed=most, wanted=wanted, hint="raise the hard limit (ulimit -Hn)")


def admission_to(cell: Cell) -> CellAdmission:
    """Who may join the cell."""
    return CellAdmission(cell, random_bytes=secrets.token_bytes, monotonic=time.monotonic)


def new_secret() -> str:
    """Text that nobody can guess: 256 random bits."""
    return secrets.token_urlsafe(32)
