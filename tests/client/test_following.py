"""A job followed by the SDK over a real server: its events with progress, its end, and its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.client import AsyncClient
from northstar.client.errors import KeyRefused
from northstar.domain.api_keys import Scope
from northstar.domain.progress import Progress
from tests.servers import RunningServer, eventually
from tests.surfaces.http.site import SERVICE
from tests.surfaces.http.site import site as opened
from tests.surfaces.http.work import machine

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_job_is_followed_to_its_end_and_its_files_are_saved(http_server: RunningServer, tmp_path: Path) -> None:
    async with opened(http_server, tmp_path / "site") as site, machine(site, tmp_path / "site") as worker:
        key = (await site.client(Scope.SUBMIT, Scope.READ, tenant="acme")).key
        async with AsyncClient(site.url, key=key) as north:
            job = await north.submit(SERVICE, {"prompt": "a sky"})
            (claimed,) = await worker.take(job.id)
            kept = await worker.keep(claimed, "frames/sky.png", b"a sky" * 400_000, media_type="image/png")
            seen: list[str] = []
            async for event in job.events():
                seen.append(event.kind)
                if event.kind == "job.started":

                    async def is_heard() -> bool:
                        return await worker.say(claimed, Progress(phase="running", tokens="Once")) > 0

                    await eventually(is_heard, what="somebody listens")
                    await worker.finish(claimed, {"outputs": [kept], "summary": {}})
            assert [kind for kind in seen if kind.startswith("job.") and kind != "job.offered"] == [
                "job.submitted",
                "job.started",
                "job.succeeded",
            ]
            assert "text" in seen
            assert (await job.result(timeout_s=20.0)).result == {"summary": {}}
            (saved,) = await job.save(tmp_path / "out")
            assert saved.read_bytes() == b"a sky" * 400_000


async def test_a_key_that_is_revoked_ends_what_it_follows_with_why(http_server: RunningServer, tmp_path: Path) -> None:
    async with opened(http_server, tmp_path) as site:
        key = (await site.client(Scope.SUBMIT, Scope.READ, tenant="acme")).key
        (view,) = await site.keys.views()
        async with AsyncClient(site.url, key=key) as north:
            job = await north.submit(SERVICE, {})

            async def follow() -> None:
                async for event in job.events():
                    if event.kind == "job.submitted":
                        await site.keys.revoke(view.id, by="test")

            with pytest.raises(KeyRefused, match="NS_KEY_UNKNOWN"):
                await follow()
