"""One `serve` over a cell of its own, and clients with keys: real Valkey, real HTTP."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from multidict import CIMultiDictProxy

from northstar.assembly.keys import keys_of
from northstar.assembly.serve import Serve, running_serve
from northstar.broker.keys import Keys
from northstar.config import load
from northstar.domain.api_keys import KeyTerms, Scope
from northstar.surfaces.http.server import open_door
from tests.servers import RunningServer
from tests.surfaces.http.documented import expect_documented

PROBLEM = "application/problem+json"
#: Jobs of this service are welcome, and nobody runs them.
SERVICE = "waits"


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: CIMultiDictProxy[str]
    body: Any

    @property
    def code(self) -> str:
        """That of a problem."""
        return str(self.body["title"])


class Client:
    """Somebody with a key, or without one."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: str = "", *, tenant: str = "") -> None:
        self.url = url
        self.tenant = tenant
        self.http = http
        self.key = key

    async def ask(self, method: str, path: str, *, json: Any = None, **options: Any) -> Answer:
        """Ask, and read the answer as JSON where it is."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        headers |= options.pop("headers", {})
        async with self.http.request(method, self.url + path, json=json, headers=headers, **options) as answer:
            text = await answer.read()
            body = msgspec.json.decode(text) if "json" in answer.content_type else text
            if answer.content_type == PROBLEM:
                expect_documented(
                    method, answer.url.path, status=answer.status, code=str(msgspec.json.decode(text)["title"])
                )
            return Answer(answer.status, answer.headers, body)

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> Answer:
        return await self.ask("POST", path, json=json, **options)

    async def submit(self, **job: Any) -> str:
        """The id of a job that was taken in."""
        answer = await self.post("/v1/jobs", {"service": SERVICE} | job)
        assert answer.status == 202, answer.body
        return str(answer.body["id"])


class _FormerTerms(KeyTerms, frozen=True, kw_only=True):
    def check(self) -> None:
        """Whatever it is."""


class Site:
    """A broker, and those who call it."""

    def __init__(self, serve: Serve, http: aiohttp.ClientSession) -> None:
        self.serve = serve
        self.cell = serve.cell
        self.keys: Keys = keys_of(serve.cell)
        self.url = serve.front.url
        self._http = http

    @staticmethod
    def new_tenant() -> str:
        """One that nobody has had."""
        return f"t{secrets.token_hex(6)}"

    def stranger(self, key: str = "", *, tenant: str = "") -> Client:
        """Somebody with this key, or with none."""
        return Client(self._http, self.url, key, tenant=tenant)

    async def client(self, *scopes: Scope, tenant: str | None = None, name: str = "test") -> Client:
        """Somebody with a new key."""
        made = await self.keys.make(KeyTerms(name=name, scopes=scopes, tenant=tenant), by="test")
        return self.stranger(made.key.reveal(), tenant=tenant or "")

    async def former_client(self, *scopes: Scope, tenant: str) -> Client:
        """Somebody with a key as it could be made once: of one tenant, and for machines."""
        made = await self.keys.make(_FormerTerms(name="former", scopes=scopes, tenant=tenant), by="test")
        return self.stranger(made.key.reveal(), tenant=tenant)


@contextlib.asynccontextmanager
async def site(
    server: RunningServer, folder: Path, *, cell: str = "", settings: Mapping[str, Any] | None = None
) -> AsyncIterator[Site]:
    """One `serve`. Every cell is a new one unless it is named."""
    options = {"valkey.url": server.url, "cell": cell or f"http-{secrets.token_hex(4)}", "data_dir": str(folder)}
    wanted = load(environment={}, file=None, options=options | {"serve.port": 0} | dict(settings or {}))
    async with running_serve(wanted, open_door=open_door) as serve, aiohttp.ClientSession() as http:
        await serve.cell.declare([f"service:{SERVICE}"], by="test")
        yield Site(serve, http)
