"""Machines for the tests of the HTTP interface: registered in the site's cell as an agent would, and made to do a job."""

from __future__ import annotations

import secrets

from northstar.agent.direct_link import DirectLink
from northstar.domain.jobs import ClaimedJob
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.models import ModelHeld
from northstar.store.messages import Done, Failure
from tests.servers import eventually
from tests.surfaces.http.site import Site


def nonce() -> str:
    return secrets.token_hex(8)


async def machine(
    site: Site,
    name: str,
    *,
    service: str = "works",
    pool: str = "fast-lane",
    models: tuple[ModelHeld, ...] = (),
    dedicated_to: str | None = None,
    said: MachineDescription | None = None,
) -> DirectLink:
    """A machine that is registered and waits for work of this service; nothing of it runs by itself."""
    link = DirectLink(site.cell, machine=name, session=nonce(), new_nonce=nonce)
    profile = MachineProfile(pools=(pool,), services=(service,), dedicated_to=dedicated_to)
    await link.register(profile, said or MachineDescription(), slots=2, models=models)
    return link


async def taken(link: DirectLink) -> ClaimedJob:
    """The next job that the machine gets."""
    found: list[ClaimedJob] = []

    async def is_so() -> bool:
        found.extend((await link.claim(credits_=1)).jobs)
        return bool(found)

    await eventually(is_so, what=f"{link.machine} gets a job")
    return found[0]


async def done(link: DirectLink) -> str:
    """A job that the machine gets and does; its id."""
    job = await taken(link)
    await link.complete([Done(id=job.id, token=job.token, result="{}")])
    return job.id


async def failed(link: DirectLink, *, code: str = "NS_ENGINE_BROKEN") -> str:
    """A job that the machine gets and that fails for good; its id."""
    job = await taken(link)
    await link.fail([Failure(id=job.id, token=job.token, code=code, message="no", retryable=False, jitter=0.0)])
    return job.id


async def remembered(site: Site) -> None:
    """Wait until the history has all that has happened so far."""
    upto = (await site.cell.statistics()).counts["event"]

    async def is_so() -> bool:
        return (await site.cell.statistics()).counts["committed_event"] >= upto

    await eventually(is_so, what="the history has everything")
