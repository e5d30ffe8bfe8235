"""A cell, one or more fronts over it, and machines that dial them: real Valkey, real HTTP, real WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from northstar.agent.dialing import Backoff, Dialling
from northstar.agent.websocket_link import LinkOptions, WebSocketLink
from northstar.assembly.front import Front, new_secret, running_front
from northstar.broker.gateway.local_tokens import LocalTokens
from northstar.config import Settings, load
from northstar.connectors.secret import Secret
from northstar.surfaces.http.server import open_door
from tests.agent.rig import Rig, nonce

#: Short, because everything is on this host.
LINK = LinkOptions(
    backoff=Backoff(first_s=0.05, longest_s=0.2), connect_s=5.0, ping_every_s=0.5, patience_s=2.0, answer_s=5.0
)


class Fleet(Rig):
    """A rig whose machines dial."""

    def __init__(self, url: str, folder: Path, **options: Any) -> None:
        super().__init__(url, **options)
        self.folder = folder
        self.tokens = LocalTokens(new_secret)
        self._minted: dict[str, str] = {}

    def settings(self, **serve: Any) -> Settings:
        settings = load(environment={}, file=None, options={"data_dir": str(self.folder)})
        serve = {"ping_every_s": 0.3, "ping_timeout_s": 0.3, "grace_s": 0.5} | serve
        return msgspec.structs.replace(settings, serve=msgspec.structs.replace(settings.serve, **serve))

    @contextlib.asynccontextmanager
    async def front(self, **serve: Any) -> AsyncIterator[Front]:
        """One `serve`."""
        settings = self.settings(**serve)
        async with running_front(settings, await self.opened(), self.tokens, open_door=open_door) as front:
            yield front

    def token(self, machine: str) -> str:
        """The machine's token."""
        if machine not in self._minted:
            self._minted[machine] = self.tokens.mint(machine)
        return self._minted[machine]

    @contextlib.asynccontextmanager
    async def dialling(
        self, url: str, machine: str = "m", *, token: str | None = None, session: str | None = None
    ) -> AsyncIterator[WebSocketLink]:
        """A machine's link to a broker."""
        async with aiohttp.ClientSession() as http:
            link = WebSocketLink(
                http,
                Dialling(http_url=url, token=Secret(token or self.token(machine))),
                machine=machine,
                session=session or nonce(),
                version="test",
                new_nonce=nonce,
                jitter=random.random,
                options=LINK,
            )
            async with link:
                yield link


class DialledRig(Fleet):
    """A rig like the one of trusted machines, but every link goes through a front."""

    _url = ""

    async def link(self, machine: str = "m", *, url: str | None = None) -> WebSocketLink:  # type: ignore[override]
        if url is not None:
            raise NotImplementedError("the way to the server is the front's")
        if not self._url:
            self._url = (await self._stack.enter_async_context(self.front())).url
        return await self._stack.enter_async_context(self.dialling(self._url, machine))


async def soon(what: asyncio.Future[Any], *, within_s: float = 10.0) -> Any:
    async with asyncio.timeout(within_s):
        return await what
