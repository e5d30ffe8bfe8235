"""Files that machines hand in: only from who holds the job, only as announced, and a result counts only with them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from northstar.config import Settings
from northstar.domain.machines import MachineDescription
from northstar.store.assets import AssetRef
from northstar.store.messages import Done
from tests.agent.rig import PROFILE
from tests.broker.gateway.rig import Fleet
from tests.servers import RunningServer

PICTURE = b"\x89PNG and so on"


class Holder:
    """A machine that holds one job, and what it sends."""

    def __init__(self, fleet: Fleet, url: str, lease: str) -> None:
        self.fleet, self.url, self.lease = fleet, url, lease

    async def put(self, data: bytes = PICTURE, **changed: Any) -> tuple[int, dict[str, Any]]:
        wanted = {"job": "a", "name": "frames/1.png", "machine": "m", "lease": self.lease, "sha256": None} | changed
        headers = {
            "Authorization": f"Bearer {await self.fleet.token(wanted['machine'])}",
            "X-Northstar-Lease": wanted["lease"],
            "X-Northstar-Sha256": wanted["sha256"] or hashlib.sha256(data).hexdigest(),
            "Content-Type": "image/png",
        }
        async with aiohttp.ClientSession() as http:
            url = f"{self.url}/agent/v1/jobs/{wanted['job']}/outputs/{wanted['name']}"
            async with http.put(url, data=data, headers=headers) as response:
                return response.status, msgspec.json.decode(await response.read())


async def test_a_result_with_its_files_succeeds_and_the_files_can_be_fetched(fleet: Fleet) -> None:
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        await link.register(PROFILE, MachineDescription(), slots=1, models=())
        await fleet.plan()
        await fleet.submit("a")
        (job,) = (await link.claim(credits_=1)).jobs
        status, ref = await Holder(fleet, front.url, job.token).put()
        assert status == 201
        assert (ref["size_bytes"], ref["media_type"]) == (len(PICTURE), "image/png")
        result = msgspec.json.encode({"outputs": [{"name": "frames/1.png", "asset": ref}]}).decode()
        (outcome,) = await link.complete([Done("a", job.token, result)])
        assert outcome.word == "ok"
    assert await fleet.status("a") == "succeeded"
    assert msgspec.convert(ref, AssetRef).sha256 == hashlib.sha256(PICTURE).hexdigest()


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"lease": "1.forged.1"}, 409, "NS_LEASE_LOST"),
        ({"job": "b"}, 409, "NS_LEASE_LOST"),
        ({"machine": "other"}, 409, "NS_LEASE_LOST"),
        ({"sha256": "0" * 64}, 422, "NS_OUTPUT_NOT_AS_ANNOUNCED"),
        ({"sha256": "short"}, 400, "NS_INVALID_REQUEST"),
        ({"name": ".hidden/secret"}, 422, "NS_ASSET_NAME_REFUSED"),
    ],
)
async def test_a_file_that_is_not_the_holders_or_not_as_announced_is_refused_and_nothing_stays(
    fleet: Fleet, changed: dict[str, Any], status: int, code: str
) -> None:
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        await link.register(PROFILE, MachineDescription(), slots=1, models=())
        await fleet.plan()
        await fleet.submit("a")
        (job,) = (await link.claim(credits_=1)).jobs
        found, problem = await Holder(fleet, front.url, job.token).put(**changed)
    assert (found, problem["title"]) == (status, code)
    assert [path for path in (fleet.folder / "assets").rglob("*") if path.is_file()] == []


async def test_a_result_that_names_a_file_which_cannot_be_fetched_is_a_failure(fleet: Fleet) -> None:
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        await link.register(PROFILE, MachineDescription(), slots=1, models=())
        await fleet.plan()
        await fleet.submit("a")
        (job,) = (await link.claim(credits_=1)).jobs
        _, ref = await Holder(fleet, front.url, job.token).put()
        forged = ref | {"url": ref["url"].replace("1.png", "2.png")}
        result = msgspec.json.encode({"outputs": [{"name": "x", "asset": forged}]}).decode()
        (outcome,) = await link.complete([Done("a", job.token, result)])
        assert outcome.word == "retrying"
    record = await fleet.record("a")
    assert (record.status, record.attempts, record.error_code) == ("delayed", 1, "NS_ASSET_MISSING")


@pytest.mark.parametrize(
    ("lie", "another"),
    [
        ({"sha256": "0" * 64}, "another hash or type"),
        ({"sha256": hashlib.sha256(PICTURE).hexdigest()[:16] + "0" * 48}, "another hash or type"),
        ({"media_type": "text/html"}, "another hash or type"),
        ({"size_bytes": len(PICTURE) + 1}, "another size"),
    ],
)
async def test_a_result_that_says_something_else_of_a_file_than_was_received_is_a_failure(
    fleet: Fleet, lie: dict[str, Any], another: str
) -> None:
    async with fleet.front() as receiving, fleet.front() as front, fleet.dialling(front.url) as link:
        await link.register(PROFILE, MachineDescription(), slots=1, models=())
        await fleet.plan()
        await fleet.submit("a")
        (job,) = (await link.claim(credits_=1)).jobs
        # Another broker has received the file, and this one has to judge the result.
        _, ref = await Holder(fleet, receiving.url, job.token).put()
        result = msgspec.json.encode({"outputs": [{"name": "x", "asset": ref | lie}]}).decode()
        (outcome,) = await link.complete([Done("a", job.token, result)])
        assert outcome.word == "retrying"
    record = await fleet.record("a")
    assert (record.status, record.attempts, record.error_code) == ("delayed", 1, "NS_ASSET_MISNAMED")
    assert another in record.error_message


async def test_one_job_cannot_name_the_files_of_another(fleet: Fleet) -> None:
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        await link.register(PROFILE, MachineDescription(), slots=2, models=())
        await fleet.plan()
        await fleet.submit("a", "b")
        tokens = {job.id: job.token for job in (await link.claim(credits_=2)).jobs}
        _, ref = await Holder(fleet, front.url, tokens["a"]).put()
        result = msgspec.json.encode({"outputs": [{"name": "x", "asset": ref}]}).decode()
        await link.complete([Done("b", tokens["b"], result)])
    assert (await fleet.record("b")).error_code == "NS_ASSET_NAME_REFUSED"


class SmallShares(Fleet):
    """A fleet whose jobs may leave forty bytes."""

    def settings(self, **serve: Any) -> Settings:
        settings = super().settings(**serve)
        return msgspec.structs.replace(
            settings, assets=msgspec.structs.replace(settings.assets, max_job_gib=40 / 1024**3)
        )


async def test_a_job_fills_no_store_with_many_files(gateway_server: RunningServer, tmp_path: Path) -> None:
    async with SmallShares(gateway_server.url, tmp_path) as fleet, fleet.front() as front:
        async with fleet.dialling(front.url) as link:
            await link.register(PROFILE, MachineDescription(), slots=1, models=())
            await fleet.plan()
            await fleet.submit("a")
            (job,) = (await link.claim(credits_=1)).jobs
            holder = Holder(fleet, front.url, job.token)
            # What was not kept does not count.
            assert (await holder.put(sha256="0" * 64))[0] == 422
            assert [(await holder.put(name=f"{number}.png"))[0] for number in range(3)] == [201, 201, 413]
            status, problem = await holder.put(name="3.png")
            assert (status, problem["title"]) == (413, "NS_OUTPUTS_TOO_LARGE")
        assert len(list((tmp_path / "assets").rglob("*.png"))) == 2
