"""Outputs in a bucket of a real server that speaks S3: kept whole, read back, retired, and swept of uploads that were cut off."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import fsspec
import msgspec
import pytest
import pytest_asyncio

from northstar.broker.retention import OutputRetention
from northstar.config import Settings
from northstar.domain.limits import CellLimits
from northstar.domain.machines import MachineDescription
from northstar.policy.outputs.retention import RetentionRule
from northstar.store.asset_errors import AssetMissing, AssetRetired, AssetStoreUnavailable
from northstar.store.asset_holdings import Holdings
from northstar.store.asset_names import HOUR_MS, hour_of, mark_of
from northstar.store.assets import AssetRef, AssetStore
from northstar.store.cell import Cell
from northstar.store.messages import Done
from northstar.store.valkey import connect
from tests.agent.rig import PROFILE
from tests.broker.gateway.rig import Fleet
from tests.broker.gateway.test_outputs import PICTURE, Holder
from tests.s3_server import BUCKET, s3_in_environment, s3_server
from tests.servers import RunningServer

DAY_MS = 24 * HOUR_MS
KEEP_10_DAYS = RetentionRule(keep_ms=10 * DAY_MS, limit_bytes=0, least_ms=HOUR_MS)
#: More than one part of an upload.
PARTS = 20 * 1024 * 1024


@pytest.fixture(scope="module", autouse=True)
def bucket() -> Iterator[Any]:
    with s3_server() as url, s3_in_environment(url):
        files = fsspec.filesystem("s3", skip_instance_cache=True)
        files.mkdir(BUCKET)
        yield files


@pytest_asyncio.fixture
async def cell(broker_server: RunningServer) -> AsyncIterator[Cell]:
    """On a clock that the test moves, since objects are dated by their server."""
    opened = Cell(connect(broker_server.url), f"s{secrets.token_hex(6)}")
    opened.now_ms = int(time.time() * 1000)
    await opened.open(CellLimits(), clock="virtual")
    yield opened
    await opened.client.aclose()


@pytest.fixture
def store() -> AssetStore:
    return AssetStore(f"s3://{BUCKET}/outputs-{secrets.token_hex(4)}")


async def put(store: AssetStore, cell: Cell, job: str, data: bytes = PICTURE) -> AssetRef:
    assert cell.now_ms is not None
    return await store.put(data, cell=cell.name, job_id=job, name="1.png", at_ms=cell.now_ms, media_type="image/png")


def retention(store: AssetStore, cell: Cell, rule: RetentionRule = KEEP_10_DAYS) -> OutputRetention:
    return OutputRetention(cell, Holdings(store, cell=cell.name), rule=rule, name="one", every_s=60.0)


async def test_what_was_put_is_what_comes_back_also_when_it_travels_in_parts(store: AssetStore, cell: Cell) -> None:
    for data in (b"", PICTURE, os.urandom(PARTS)):
        ref = await put(store, cell, "a", data)
        assert await store.get(ref) == data
        assert b"".join([piece async for piece in store.part(ref, first=2, count=max(0, len(data) - 3))]) == data[2:-1]
        await store.expect(ref, cell=cell.name, job_id="a")
    assert ref.url.startswith(
        f"{store.url}/{cell.name}/{hour_of(cell.now_ms or 0)}/a/{mark_of(sha256=ref.sha256, media_type=ref.media_type)}/"
    )
    await store.remove(ref)
    with pytest.raises(AssetMissing):
        await store.get(ref)


async def test_old_outputs_are_retired_and_say_so(store: AssetStore, cell: Cell) -> None:
    assert cell.now_ms is not None
    old = [await put(store, cell, job) for job in ("a", "b")]
    cell.now_ms += 9 * DAY_MS
    young = await put(store, cell, "c")  # in a younger hour, so it is not even looked at
    cell.now_ms += 2 * DAY_MS
    turn = await retention(store, cell, KEEP_10_DAYS).turn()
    assert (turn.jobs, turn.is_full) == (2, False)
    for ref in old:
        with pytest.raises(AssetRetired):
            await store.get(ref)
    assert await store.get(young) == PICTURE


async def test_beyond_the_limit_the_oldest_go(store: AssetStore, cell: Cell) -> None:
    assert cell.now_ms is not None
    refs = []
    for job in ("a", "b", "c"):
        refs.append(await put(store, cell, job, os.urandom(40)))
        cell.now_ms += 3 * HOUR_MS
    rule = RetentionRule(keep_ms=10 * DAY_MS, limit_bytes=100, least_ms=HOUR_MS)
    assert (await retention(store, cell, rule).turn()).jobs == 1
    with pytest.raises(AssetRetired):
        await store.get(refs[0])
    assert [len(await store.get(ref)) for ref in refs[1:]] == [40, 40]


async def test_a_file_whose_source_breaks_off_leaves_no_object_and_no_parts(
    store: AssetStore, cell: Cell, bucket: Any
) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield os.urandom(PARTS)
        raise ConnectionResetError("the machine is gone")

    with pytest.raises(AssetStoreUnavailable, match="the machine is gone"):
        await store.in_thread(lambda: store.place.write(f"{cell.name}/x/j/h/n", breaks_off(), sha256="0" * 64))
    assert store.place.files(cell.name) == []
    assert bucket.list_multipart_uploads(BUCKET) == []


CUT_OFF = """
import itertools, sys
from northstar.store.assets import AssetStore

def endless():
    for number in itertools.count():
        yield bytes(8 * 1024 * 1024)
        if number == 4:
            print("under way", flush=True)
            sys.stdin.read()

AssetStore(sys.argv[1]).place.write(sys.argv[2], endless(), sha256="0" * 64)
"""


async def test_the_parts_of_an_upload_whose_process_was_killed_are_removed(
    store: AssetStore, cell: Cell, bucket: Any
) -> None:
    kept = await put(store, cell, "kept")
    key = f"{cell.name}/{hour_of(cell.now_ms or 0)}/killed/{'0' * 16}/big.bin"
    with subprocess.Popen(
        [sys.executable, "-c", CUT_OFF, store.url, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"under way\n"
        process.send_signal(signal.SIGKILL)
    assert len(bucket.list_multipart_uploads(BUCKET)) == 1
    assert (await retention(store, cell).turn()).drafts == 1
    assert bucket.list_multipart_uploads(BUCKET) == []
    assert await store.get(kept) == PICTURE


async def test_what_another_process_removed_is_no_error(store: AssetStore, cell: Cell) -> None:
    refs = [await put(store, cell, job) for job in ("a", "b")]
    held = await Holdings(store, cell=cell.name).of_hour(hour_of(cell.now_ms or 0))
    await store.remove(refs[0])
    await Holdings(store, cell=cell.name).remove(held)
    with pytest.raises(AssetMissing):
        await store.get(refs[1])


async def test_a_store_that_cannot_be_reached_can_be_tried_again(cell: Cell) -> None:
    with s3_in_environment("http://127.0.0.1:1"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(AssetStoreUnavailable) as caught:
            await put(AssetStore(f"s3://{BUCKET}/x"), cell, "a")
    assert caught.value.retryable
    assert "quiet-key" not in str(caught.value)


class BucketFleet(Fleet):
    """A fleet whose outputs go into the bucket."""

    def settings(self, **serve: Any) -> Settings:
        settings = super().settings(**serve)
        assets = msgspec.structs.replace(settings.assets, url=f"s3://{BUCKET}/{self.name}")
        return msgspec.structs.replace(settings, assets=assets)


async def test_a_job_succeeds_with_its_file_in_the_bucket_and_not_without(
    broker_server: RunningServer, tmp_path: Any
) -> None:
    async with BucketFleet(broker_server.url, tmp_path) as fleet, fleet.front() as front:
        async with fleet.dialling(front.url) as link:
            await link.register(PROFILE, MachineDescription(), slots=2, models=())
            await fleet.plan()
            await fleet.submit("a", "b")
            tokens = {job.id: job.token for job in (await link.claim(credits_=2)).jobs}
            status, ref = await Holder(fleet, front.url, tokens["a"]).put()
            assert (status, ref["url"].startswith(f"s3://{BUCKET}/{fleet.name}/")) == (201, True)
            missing = ref | {"url": ref["url"].replace("/a/", "/b/")}
            results = [
                Done(job, tokens[job], msgspec.json.encode({"outputs": [{"name": "x", "asset": asset}]}).decode())
                for job, asset in (("a", ref), ("b", missing))
            ]
            outcomes = {outcome.id: outcome.word for outcome in await link.complete(results)}
            assert outcomes == {"a": "ok", "b": "retrying"}
        kept = msgspec.convert(ref, AssetRef)
        assert await AssetStore(f"s3://{BUCKET}/{fleet.name}").get(kept) == PICTURE
        assert (await fleet.record("b")).error_code == "NS_ASSET_MISSING"
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
