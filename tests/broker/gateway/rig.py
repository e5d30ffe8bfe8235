"""A cell, one or more fronts over it, and machines that dial them: real Valkey, real HTTP, real WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from northstar.agent.dialing import Backoff, Dialling
from northstar.agent.websocket_connection import LinkOptions
from northstar.agent.websocket_link import WebSocketLink
from northstar.assembly.front import Front, admission_to, running_front
from northstar.assembly.listening import listening_on
from northstar.broker.pools_in_force import PoolsInForce
from northstar.config import Settings, load
from northstar.connectors.secret import Secret
from northstar.domain.admission import InviteTerms
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, machine_token
from northstar.surfaces.http.server import open_door
from tests.agent.rig import Rig, nonce
from tests.cable import Cable, cable

#: Short, because everything is on this host.
LINK = LinkOptions(
    backoff=Backoff(first_s=0.05, longest_s=0.2), connect_s=5.0, ping_every_s=0.5, patience_s=2.0, answer_s=5.0
)


class Fleet(Rig):
    """A rig whose machines dial."""

    def __init__(self, url: str, folder: Path, **options: Any) -> None:
        super().__init__(url, **options)
        self.folder = folder
        self._minted: dict[str, str] = {}

    def settings(self, **serve: Any) -> Settings:
        settings = load(environment={}, file=None, options={"data_dir": str(self.folder)})
        serve = {"ping_every_s": 0.3, "ping_timeout_s": 0.3, "grace_s": 0.5} | serve
        return msgspec.structs.replace(settings, serve=msgspec.structs.replace(settings.serve, **serve))

    @contextlib.asynccontextmanager
    async def front(self, **serve: Any) -> AsyncIterator[Front]:
        """One `serve`."""
        settings = self.settings(**serve)
        cell = await self.opened()
        with listening_on(settings.serve) as listening:
            in_force = PoolsInForce(cell)
            await in_force.look()
            looking = asyncio.create_task(in_force.run())
            try:
                async with running_front(
                    settings,
                    cell,
                    admission_to(cell),
                    listening=listening,
                    open_door=open_door,
                    pools=lambda: in_force.latest,
                    also_hear=in_force.hear,
                ) as front:
                    yield front
            finally:
                looking.cancel()
                await asyncio.wait({looking})

    async def token(self, machine: str = "m", *, pools: tuple[str, ...] = ("standard",)) -> str:
        """The machine's token: it was invited, into these pools, and has joined."""
        if machine not in self._minted:
            admission = admission_to(self.cell)
            invite = (await admission.invite(InviteTerms(pools=pools), by="test")).invite
            token = machine_token(
                invite, id_bytes=secrets.token_bytes(ID_BYTES), secret_bytes=secrets.token_bytes(SECRET_BYTES)
            )
            await admission.redeem(invite.reveal(), token.reveal(), machine=machine)
            self._minted[machine] = token.reveal()
        return self._minted[machine]

    @contextlib.asynccontextmanager
    async def dialling(
        self,
        url: str,
        machine: str = "m",
        *,
        token: str | None = None,
        session: str | None = None,
        ca_file: Path | None = None,
        options: LinkOptions = LINK,
    ) -> AsyncIterator[WebSocketLink]:
        """A machine's link to a broker."""
        async with aiohttp.ClientSession() as http:
            link = WebSocketLink(
                http,
                Dialling(http_url=url, token=Secret(token or await self.token(machine)), ca_file=ca_file),
                machine=machine,
                session=session or nonce(),
                version="test",
                new_nonce=nonce,
                jitter=random.random,
                options=options,
            )
            async with link:
                yield link


class DialledRig(Fleet):
    """A rig like the one of trusted machines, but every link goes through a front, over one cable."""

    line: Cable
    _url = ""

    async def link(self, machine: str = "m", *, url: str | None = None) -> WebSocketLink:  # type: ignore[override]
        if url is not None:
            raise NotImplementedError("the way to the server is the front's")
        if not self._url:
            front = await self._stack.enter_async_context(self.front())
            self.line = await self._stack.enter_async_context(cable(int(front.url.rpartition(":")[2])))
            self._url = self.line.url
        return await self._stack.enter_async_context(self.dialling(self._url, machine))


async def soon(what: asyncio.Future[Any], *, within_s: float = 10.0) -> Any:
    async with asyncio.timeout(within_s):
        return await what
