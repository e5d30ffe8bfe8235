"""A machine at work for a site, as far as clients see it, and clients who listen to what happens."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from northstar.agent.direct_link import DirectLink
from northstar.assembly.outputs import asset_store
from northstar.config import load
from northstar.domain.jobs import ClaimedJob
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.progress import Progress, to_wire
from northstar.store.assets import AssetRef, AssetStore
from northstar.store.messages import Done, Failure, Held
from northstar.store.progress import publish_progress
from tests.servers import eventually
from tests.surfaces.http.site import SERVICE, Client, Site

SOON_S = 20.0
POOLS = ("fast-lane", "lightning", "standard", "heavy")


class Machine:
    """Takes jobs when the test says so, and does with them what the test says."""

    def __init__(self, site: Site, link: DirectLink, store: AssetStore) -> None:
        self._site = site
        self._link = link
        self.store = store

    async def take(self, *job_ids: str) -> list[ClaimedJob]:
        """Begin these jobs; others that come are handed back."""
        taken: dict[str, ClaimedJob] = {}

        async def has_all() -> bool:
            taken.update({job.id: job for job in (await self._link.claim(credits_=8)).jobs})
            return set(job_ids) <= taken.keys()

        await eventually(has_all, what=f"{job_ids} are claimed")
        others = [Held(job.id, job.token) for job in taken.values() if job.id not in job_ids]
        if others:
            await self._link.release(others, because="not for this test")
        return [taken[job_id] for job_id in job_ids]

    async def finish(self, job: ClaimedJob, result: Any = None) -> None:
        """The job succeeded."""
        text = msgspec.json.encode({} if result is None else result).decode()
        await self._link.complete_and_claim([Done(job.id, job.token, text)], credits_=0)

    async def fail(self, job: ClaimedJob, *, code: str = "NS_ENGINE_REJECTED", retryable: bool = False) -> None:
        """The job failed."""
        await self._link.fail([Failure(job.id, job.token, code, "no", retryable, 0.0)])

    async def say(self, job: ClaimedJob, news: Progress) -> int:
        """Report progress; gives how many processes heard it."""
        return await publish_progress(self._site.cell, job.id, job.token, to_wire(news))

    async def keep(self, job: ClaimedJob, name: str, content: bytes, *, media_type: str) -> dict[str, Any]:
        """Store a file; gives it as a result names it."""
        ref = await self.keep_ref(job.id, name, content, media_type=media_type)
        return {"name": name, "asset": msgspec.to_builtins(ref)}

    async def keep_ref(self, job_id: str, name: str, content: bytes, *, media_type: str) -> AssetRef:
        """Store a file of a job."""
        now_ms = (await self._site.cell.inspect([job_id])).now_ms
        return await self.store.put(
            content, cell=self._site.cell.name, job_id=job_id, name=name, at_ms=now_ms, media_type=media_type
        )


@contextlib.asynccontextmanager
async def machine(site: Site, folder: Path) -> AsyncIterator[Machine]:
    """A machine of all pools that offers the site's service. `folder` is the site's."""
    link = DirectLink(
        site.cell,
        machine=f"m-{secrets.token_hex(3)}",
        session=secrets.token_hex(8),
        new_nonce=lambda: secrets.token_hex(8),
    )
    await link.register(MachineProfile(pools=POOLS, services=(SERVICE,)), MachineDescription(), slots=8, models=())
    store = asset_store(load(environment={}, file=None, options={"data_dir": str(folder)}))
    yield Machine(site, link, store)


class Heard(msgspec.Struct, frozen=True):
    """One event of a stream; a sign of life has no name."""

    name: str
    id: str
    data: Any

    @property
    def is_change(self) -> bool:
        """Whether something has happened."""
        return "." in self.name and self.name == self.data["kind"] and self.id == self.data["id"]


class Stream:
    """What a server tells, as it tells it."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self.heard: list[Heard] = []

    async def next(self) -> Heard | None:
        """The next event or sign of life; None at the end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(SOON_S):
            while line := await self._answer.content.readline():
                text = line.decode().rstrip("\n")
                if not text:
                    if "retry" in fields:
                        fields = {}
                        continue
                    data = msgspec.json.decode(fields["data"]) if "data" in fields else None
                    found = Heard(fields.get("event", ""), fields.get("id", ""), data)
                    self.heard.append(found)
                    return found
                name, _, value = text.partition(":")
                fields[name] = value.removeprefix(" ")
        return None

    async def until(self, is_so: Callable[[Heard], bool]) -> Heard:
        """The next event of which that is so."""
        while (found := await self.next()) is not None:
            if is_so(found):
                return found
        raise AssertionError(f"the stream ended without it: {self.heard}")

    async def change(self, kind: str) -> Heard:
        """The next event of this kind."""
        return await self.until(lambda one: one.is_change and one.name == kind)

    async def rest(self) -> list[Heard]:
        """What comes until the end."""
        found = []
        while (one := await self.next()) is not None:
            found.append(one)
        return found


@contextlib.asynccontextmanager
async def listening(client: Client, path: str, *, after: str = "") -> AsyncIterator[Stream]:
    """Listen until the block ends."""
    headers = {"Authorization": f"Bearer {client.key}", "Accept": "text/event-stream"}
    headers |= {"Last-Event-ID": after} if after else {}
    async with client.http.get(client.url + path, headers=headers) as answer:
        yield Stream(answer)


def kinds(heard: list[Heard]) -> list[str]:
    """The kinds of what happened, in order; whether a machine was offered the job or took it by itself is its own affair."""
    found = [one.data["kind"].removeprefix("job.") for one in heard if one.is_change]
    return [kind for kind in found if kind != "offered"]
