"""An id is one job's to whoever asks for it: nothing of a machine of the same name is told, nor of a job that had the id before."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest

from northstar.domain.api_keys import Scope
from tests.servers import eventually
from tests.surfaces.http.machinery import machine, remembered
from tests.surfaces.http.site import Client, Site
from tests.surfaces.http.work import SOON_S, kinds, listening

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "rivals-next-model"
ORDER = {
    "model": f"{SECRET}.safetensors",
    "sources": [f"https://{SECRET}.example/x"],
    "sha256": "0" * 64,
    "size_bytes": 5,
}


async def page_of(site: Site, client: Client, job: str) -> str:
    """What the live page says of a job."""
    cookie = {"Cookie": f"northstar_key={client.key}", "Authorization": ""}
    answer = await site.stranger().get(f"/live/jobs/{job}", headers=cookie, allow_redirects=False)
    assert answer.status == 200, answer.body
    text: str = answer.body.decode()
    return text


async def heard_over_socket(site: Site, client: Client, job: str) -> list[dict[str, Any]]:
    """What the WebSocket tells of a job that is over, to its end."""
    heard: list[dict[str, Any]] = []
    headers = {"Authorization": f"Bearer {client.key}"}
    async with site._http.ws_connect(f"{site.url}/v1/live", headers=headers) as socket:
        await socket.send_json({"type": "subscribe", "id": "a", "job": job})
        while not heard or heard[-1]["type"] != "ended":
            message = await socket.receive(timeout=SOON_S)
            assert message.type is aiohttp.WSMsgType.TEXT
            heard.append(msgspec.json.decode(message.data))
    return heard


async def test_a_machine_that_is_called_like_a_job_is_told_of_nowhere(own_site: Site) -> None:
    ours = await own_site.client(Scope.SUBMIT, Scope.READ, tenant="acme")
    operator = await own_site.client(Scope.ADMIN)
    await machine(own_site, "gpu7")
    await ours.submit(id="gpu7")
    async with listening(ours, "/v1/jobs/gpu7/events") as stream:
        await stream.change("job.submitted")
        assert (await operator.post("/v1/machines/gpu7/models/fetch", ORDER)).status < 300
        assert (await operator.post("/v1/machines/gpu7/drain", {"draining": True})).status < 300
        await ours.post("/v1/jobs/gpu7/cancel")
        await stream.rest()
    assert kinds(stream.heard) == ["submitted", "canceled"]
    assert all(one.data["kind"].startswith("job.") for one in stream.heard if one.data)
    for _ in ("on its way to the history", "in it"):
        story = (await ours.get("/v1/jobs/gpu7/events")).body["events"]
        assert [one["event"] for one in story] == ["submitted", "canceled"]
        page = await page_of(own_site, ours, "gpu7")
        assert SECRET not in page
        assert "order.given" not in page
        assert "machine.registered" not in page
        explained = (await ours.get("/v1/jobs/gpu7/decision")).body["explanation"]["steps"]
        assert [one["event"] for one in explained] == ["submitted", "canceled"]
        changes = [one["event"]["kind"] for one in await heard_over_socket(own_site, ours, "gpu7") if "event" in one]
        assert changes == ["job.submitted", "job.canceled"]
        await remembered(own_site)


async def test_a_job_that_had_the_id_before_is_told_of_nowhere(own_site: Site) -> None:
    ours, theirs = [await own_site.client(Scope.SUBMIT, Scope.READ, tenant=tenant) for tenant in ("acme", "the-rival")]
    await theirs.submit(id="again", retention_s=1)
    await theirs.post("/v1/jobs/again/cancel", {"because": SECRET})

    async def is_forgotten() -> bool:
        return (await theirs.get("/v1/jobs/again")).status == 404

    await eventually(is_forgotten, what="the first job is forgotten", within_s=30.0)
    await ours.submit(id="again")
    await ours.post("/v1/jobs/again/cancel")
    for _ in ("on its way to the history", "in it"):
        told = [
            await page_of(own_site, ours, "again"),
            *[str((await ours.get(f"/v1/jobs/again/{part}")).body) for part in ("events", "decision")],
            str(await heard_over_socket(own_site, ours, "again")),
        ]
        assert [text for text in told if "the-rival" in text or SECRET in text] == []
        assert told[0].count("<tr><td><time>") == 2
        await remembered(own_site)
