"""When there is no room for outputs: refused before a byte travelled, held by the machine, taken when there is room; nothing lost."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from pathlib import Path

import aiohttp
import msgspec
import pytest
from structlog.testing import capture_logs

from northstar.agent.dialing import Backoff, Dialling
from northstar.agent.outputs import OutputNotSent, UploadedOutputs
from northstar.broker.gateway.incoming import Incoming
from northstar.connectors.contract import Output
from northstar.connectors.secret import Secret
from northstar.domain.jobs import ClaimedJob
from northstar.domain.machines import MachineDescription
from northstar.store.asset_errors import AssetStoreFull
from northstar.store.asset_notes import Note
from northstar.store.assets import AssetStore
from northstar.store.messages import Done
from tests.agent.rig import PROFILE
from tests.broker.gateway.rig import Fleet

QUICK = Backoff(first_s=0.05, longest_s=0.1)


class Finished:
    """A job that this machine has done, with one large file."""

    def __init__(self, fleet: Fleet, job: ClaimedJob, path: Path) -> None:
        data = os.urandom(24 * 1024 * 1024)
        path.write_bytes(data)
        self.fleet, self.job, self.path = fleet, job, path
        self.waits: list[str] = []
        self.output = Output(
            name="1.bin",
            media_type="application/octet-stream",
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            path=path,
        )

    def set_full(self, *, is_full: bool) -> None:
        AssetStore(self.fleet.folder / "assets").notes.write(self.fleet.cell.name, Note(is_full=is_full))

    async def store(self, http: aiohttp.ClientSession, url: str, *, hold_s: float) -> str:
        dialling = Dialling(http_url=url, token=Secret(await self.fleet.token()))
        outputs = UploadedOutputs(http, dialling, backoff=QUICK, jitter=random.random, hold_s=hold_s)
        ref = await outputs.store(self.job, self.output, self.path, sent=lambda _: None, waits=self.waits.append)
        return msgspec.json.encode({"outputs": [{"name": "1.bin", "asset": ref}]}).decode()


@pytest.mark.parametrize("room_comes", [True, False])
async def test_a_finished_job_waits_for_room_and_costs_no_attempt_unless_none_comes(
    fleet: Fleet, tmp_path: Path, room_comes: bool
) -> None:
    with capture_logs() as lines:
        await finish_without_room(fleet, tmp_path, room_comes=room_comes)
    told = [line["event"] for line in lines if line["event"].startswith("outputs_")]
    assert told == ["outputs_wait_for_room", "outputs_have_room_again"][: 1 + room_comes]


async def finish_without_room(fleet: Fleet, tmp_path: Path, *, room_comes: bool) -> None:
    async with fleet.front() as front, fleet.dialling(front.url) as link, aiohttp.ClientSession() as http:
        await link.register(PROFILE, MachineDescription(), slots=1, models=())
        await fleet.plan()
        await fleet.submit("a")
        (job,) = (await link.claim(credits_=1)).jobs
        finished = Finished(fleet, job, tmp_path / "1.bin")
        finished.set_full(is_full=True)
        storing = asyncio.create_task(finished.store(http, front.url, hold_s=20.0 if room_comes else 0.3))
        if not room_comes:
            with pytest.raises(OutputNotSent, match="NS_ASSET_STORE_FULL") as caught:
                await storing
            assert caught.value.retryable
            return
        await asyncio.wait({storing}, timeout=0.5)
        assert not storing.done()
        assert len(finished.waits) > 1
        finished.set_full(is_full=False)
        (outcome,) = await link.complete([Done("a", job.token, await storing)])
        assert outcome.word == "ok"
    record = await fleet.record("a")
    assert (record.status, record.attempts) == ("succeeded", 0)


def test_what_killed_processes_left_half_received_goes_and_what_arrives_now_stays(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path / "incoming")
    assert incoming.drop_old(before_s=10.0) == 0
    with incoming.draft() as under_way:
        under_way.write_bytes(b"half")
        left = under_way.parent.with_name("output-left")
        left.mkdir()
        (left / "file").write_bytes(b"half")
        for path in (left / "file", left):
            os.utime(path, (1.0, 1.0))
        assert incoming.drop_old(before_s=10.0) == 1
        assert under_way.exists()
    assert list((tmp_path / "incoming").iterdir()) == []


def test_nothing_is_received_where_the_brokers_own_disk_has_no_room_to_give(tmp_path: Path) -> None:
    Incoming(tmp_path / "incoming").expect_room()
    with pytest.raises(AssetStoreFull, match="incoming"):
        Incoming(tmp_path / "incoming", keep_free_bytes=1 << 60).expect_room()
