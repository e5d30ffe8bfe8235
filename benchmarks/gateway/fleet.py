"""Machines that dial, in one process: each registers with what it holds, waits for work, notes when a job came, reports it done, and
tells what changes on its disk and in its memory."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec

from benchmarks.gateway.residency import Residency
from northstar.agent.dialing import Backoff, Dialling
from northstar.agent.link_errors import BrokerUnreachable
from northstar.agent.model_link import DialledModelLink
from northstar.agent.websocket_connection import LinkOptions
from northstar.agent.websocket_link import WebSocketLink
from northstar.broker.admission import Admission
from northstar.connectors.secret import Secret
from northstar.domain.admission import InviteTerms
from northstar.domain.jobs import ClaimedJob
from northstar.domain.machines import MachineProfile
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, machine_token
from northstar.store.bells import Connected, Offered
from northstar.store.cell import Cell
from northstar.store.messages import Done, Held

#: The standard pool takes no more than a thousand machines as it is shipped; this one takes five thousand.
POOL = "fast-lane"
PROFILE = MachineProfile(pools=(POOL,), services=("count",), vram_mb=24_564)
_RENEW_S = 10.0
_OPTIONS = LinkOptions(backoff=Backoff(), connect_s=30.0, patience_s=30.0, answer_s=30.0)


class Machine:
    """One machine of the fleet. `waits` is set while it is connected and its latest claim left it waiting."""

    def __init__(self, link: WebSocketLink, residency: Residency, started: dict[int, int]) -> None:
        self._link = link
        self._started = started
        self.residency = residency
        self.waits = asyncio.Event()

    async def live(self) -> None:
        """Until cancelled."""
        await self._patiently(self._register)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._renew_for_ever())
            tasks.create_task(self.residency.change_for_ever(DialledModelLink(self._link), self._patiently))

    async def _register(self) -> None:
        said = self.residency
        await self._link.register(PROFILE, said.description(), slots=1, models=said.models())

    async def _listen(self) -> None:
        async for ring in self._link.bells():
            match ring:
                case Offered(jobs=jobs) if jobs:
                    await self._do(list(jobs))
                case Offered() | Connected():
                    self.waits.clear()
                    await self._patiently(self._claim)
                case _:
                    pass

    async def _do(self, jobs: list[ClaimedJob]) -> None:
        for job in jobs:
            self._started.setdefault(int(job.read_body().payload["number"]), time.monotonic_ns())
        done = [Done(job.id, job.token, "{}") for job in jobs]
        reply = await self._link.complete_and_claim(done, credits_=1)
        if reply.jobs:
            await self._do(reply.jobs)

    async def _claim(self) -> None:
        reply = await self._link.claim(credits_=1)
        if reply.jobs:
            await self._do(reply.jobs)
        self.waits.set()

    async def _renew_for_ever(self) -> None:
        await asyncio.sleep(random.random() * _RENEW_S)
        nothing: list[Held] = []
        while True:
            await self._patiently(lambda: self._link.renew(nothing))
            await asyncio.sleep(_RENEW_S)

    async def _patiently(self, call: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await call()
            except BrokerUnreachable:
                await asyncio.sleep(0.05)
            else:
                return


class Fleet:
    """So many machines; a context manager that dials on the way in."""

    def __init__(self, cell: Cell, url: str, count: int) -> None:
        self._cell = cell
        self._url = url
        self._count = count
        #: Number of a job -> when a machine had it, CLOCK_MONOTONIC in ns.
        self.started: dict[int, int] = {}
        self.machines: list[Machine] = []

    async def tokens(self) -> list[tuple[str, Secret]]:
        """A name and a token for each machine: they joined before the measurement."""
        admission = Admission(self._cell, random_bytes=secrets.token_bytes, monotonic=time.monotonic)
        terms = InviteTerms(pools=(POOL,), uses=self._count)
        invite = (await admission.invite(terms, by="benchmark")).invite
        found = []
        for number in range(self._count):
            token = machine_token(
                invite, id_bytes=secrets.token_bytes(ID_BYTES), secret_bytes=secrets.token_bytes(SECRET_BYTES)
            )
            name = f"machine-{number}"
            await admission.redeem(invite.reveal(), token.reveal(), machine=name)
            found.append((name, Secret(token.reveal())))
        return found

    async def live(self, http: aiohttp.ClientSession, known: list[tuple[str, Secret]]) -> None:
        """Dial with all machines at once, and be them until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for number, (name, token) in enumerate(known):
                link = WebSocketLink(
                    http,
                    Dialling(http_url=self._url, token=token),
                    machine=name,
                    session=secrets.token_hex(8),
                    version="benchmark",
                    new_nonce=lambda: secrets.token_hex(8),
                    jitter=random.random,
                    options=_OPTIONS,
                )
                machine = Machine(link, Residency(number), self.started)
                self.machines.append(machine)
                tasks.create_task(_alive(link, machine))

    async def all_wait(self, *, within_s: float) -> None:
        """Return once every machine waits for work."""
        async with asyncio.timeout(within_s):
            for machine in self.machines:
                await machine.waits.wait()

    @property
    def told(self) -> int:
        """How often machines have told a change of their models, a fetch or their line since they came."""
        return sum(machine.residency.told for machine in self.machines)

    def forget_waiting(self) -> None:
        """From here on only what comes counts."""
        for machine in self.machines:
            machine.waits.clear()


async def _alive(link: WebSocketLink, machine: Machine) -> None:
    async with link:
        await machine.live()


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet that is connected, and how long that took."""

    fleet: Fleet
    connect_s: float
