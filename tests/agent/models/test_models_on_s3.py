"""Models fetched from a real server that speaks S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import msgspec
import pytest

from northstar.agent.models.fetch_errors import SourceMissing
from northstar.agent.models.sources.choice import SourceRules, Sources
from northstar.agent.models.sources.contract import Resume
from northstar.agent.models.sources.streams import BucketOptions
from northstar.connectors.secret import Secret
from tests.agent.models.builders import QUICK, order, safetensors, sha256, store, visible
from tests.s3_server import BUCKET, s3_in_environment, s3_server

DATA = safetensors(9_000_000)
#: The first call loads the client, which takes its time on a busy host.
PATIENCE = msgspec.structs.replace(QUICK, stall_s=30.0)


@pytest.fixture(scope="module")
def bucket() -> Iterator[BucketOptions]:
    with s3_server() as url, s3_in_environment(url):
        files = fsspec.filesystem("s3", skip_instance_cache=True)
        files.mkdir(BUCKET)
        files.pipe_file(f"{BUCKET}/some/a.safetensors", DATA)
        yield BucketOptions(endpoint=url, key=Secret("testing"), secret=Secret("quiet-key"))


async def test_a_model_is_fetched_and_one_that_is_not_there_is_missing(tmp_path: Path, bucket: BucketOptions) -> None:
    async with store(tmp_path, sources=SourceRules(bucket=bucket), patience=PATIENCE) as models:
        await models.fetch(order(f"s3://{BUCKET}/some/a.safetensors", DATA))
        with pytest.raises(SourceMissing):
            await models.fetch(order(f"s3://{BUCKET}/some/b.safetensors", DATA, name="b.safetensors"))
    assert visible(tmp_path) == {"checkpoints/a.safetensors": DATA}


async def test_a_fetch_goes_on_where_it_broke_off_unless_the_object_is_another_by_now(bucket: BucketOptions) -> None:
    source = Sources(SourceRules(bucket=bucket), patience=PATIENCE).at(f"s3://{BUCKET}/some/a.safetensors", model="a")
    async with source.open(Resume(0, "")) as body:
        version = body.validator
    async with source.open(Resume(1_000_000, version)) as body:
        assert body.offset == 1_000_000
        assert sha256(b"".join([chunk async for chunk in body.chunks])) == sha256(DATA[1_000_000:])
    async with source.open(Resume(1_000_000, "another")) as body:
        assert body.offset == 0
