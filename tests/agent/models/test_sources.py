"""Hugging Face, Civitai, S3 and folders: what their addresses ask for, and that each can go on where it broke off."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fsspec
import pytest
from aiohttp import web
from fsspec.implementations.memory import MemoryFileSystem

from northstar.agent.models.errors import ModelSourceRefused
from northstar.agent.models.fetch_errors import FetchFailed, SourceDenied, SourceGone, SourceMissing
from northstar.agent.models.options import World
from northstar.agent.models.sources.choice import SourceRules, Sources
from northstar.agent.models.sources.contract import Resume
from northstar.agent.models.sources.streams import BucketOptions, bucket_files
from northstar.connectors.secret import Secret
from northstar.policy.models.sources import Endpoints
from tests.agent.models.builders import QUICK, order, safetensors, sha256, store, visible
from tests.agent.models.origin import Origin, origin

DATA = safetensors(9_000_000)


async def test_a_hub_is_asked_for_the_file_of_a_revision_and_its_token_stays_there(tmp_path: Path) -> None:
    async with origin(DATA) as storage, origin(b"") as hub:

        async def to_storage(request: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": f"{storage.url}/signed"})

        hub.answer = to_storage
        rules = SourceRules(
            endpoints=Endpoints(huggingface=hub.url, civitai=storage.url), huggingface_token=Secret("hf-quiet")
        )
        async with store(tmp_path, sources=rules) as models:
            await models.fetch(order("hf://org/repo@v1.5/sub dir/a.safetensors", DATA))
        assert hub.asked[0].raw_path == "/org/repo/resolve/v1.5/sub%20dir/a.safetensors"
        assert hub.asked[0].headers["Authorization"] == "Bearer hf-quiet"
        assert "Authorization" not in storage.asked[0].headers


async def test_what_a_job_brings_along_is_fetched_without_a_token_of_this_machine(tmp_path: Path) -> None:
    async with origin(DATA) as hub:
        rules = SourceRules(
            endpoints=Endpoints(huggingface=hub.url, civitai="https://civitai.test"),
            huggingface_token=Secret("hf-quiet"),
        )
        async with store(tmp_path, sources=rules) as models:
            await models.fetch(order("hf://org/repo/a.safetensors", DATA, from_job=True))
        assert "Authorization" not in hub.asked[0].headers


@pytest.mark.parametrize("source", ["file:///srv/models/a.safetensors", "s3://bucket/a.safetensors"])
async def test_a_job_gets_nothing_out_of_this_machines_folders_and_buckets(tmp_path: Path, source: str) -> None:
    rules = SourceRules(source_folders=(Path("/srv/models"),))
    async with store(tmp_path, sources=rules) as models:
        with pytest.raises(ModelSourceRefused, match="only what is public fetched by this machine"):
            await models.fetch(order(source, DATA, from_job=True))


async def test_where_jobs_may_have_nothing_fetched_what_is_there_already_serves_them(tmp_path: Path) -> None:
    async with origin(DATA) as server:
        rules = SourceRules(private_hosts=frozenset({"127.0.0.1"}), jobs_may_fetch="none")
        async with store(tmp_path, sources=rules) as models:
            with pytest.raises(ModelSourceRefused, match="jobs_may_fetch"):
                await models.fetch(order(f"{server.url}/a", DATA, from_job=True))
            await models.fetch(order(f"{server.url}/a", DATA))
            await models.fetch(order(f"{server.url}/a", DATA, from_job=True))
    assert len(server.asked) == 1


async def test_civitai_is_asked_for_a_version_with_its_token_as_a_header(tmp_path: Path) -> None:
    async with origin(DATA) as civitai:
        rules = SourceRules(endpoints=Endpoints(civitai=civitai.url), civitai_token=Secret("civitai-quiet"))
        async with store(tmp_path, sources=rules) as models:
            await models.fetch(order("civitai://128713", DATA))
        assert civitai.asked[0].raw_path == "/api/download/models/128713"
        assert civitai.asked[0].headers["Authorization"] == "Bearer civitai-quiet"


# Folders of this machine -------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(DATA)
    return folder


async def test_a_file_of_an_allowed_folder_is_copied(tmp_path: Path, shelf: Path) -> None:
    rules = SourceRules(source_folders=(shelf,))
    async with store(tmp_path / "models", sources=rules) as models:
        await models.fetch(order(f"file://{shelf}/a.safetensors", DATA))
        with pytest.raises(SourceMissing):
            await models.fetch(order(f"file://{shelf}/b.safetensors", DATA, name="b.safetensors"))
    assert visible(tmp_path / "models") == {"checkpoints/a.safetensors": DATA}


@pytest.mark.parametrize("what", ["elsewhere", "link", "pipe"])
async def test_no_other_file_of_this_machine_is(tmp_path: Path, shelf: Path, what: str) -> None:
    (tmp_path / "elsewhere").write_bytes(DATA)
    (shelf / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(shelf / "pipe")
    source = tmp_path / "elsewhere" if what == "elsewhere" else shelf / what
    async with store(tmp_path / "models", sources=SourceRules(source_folders=(shelf,))) as models:
        with pytest.raises(ModelSourceRefused):
            await models.fetch(order(f"file://{source}", DATA))


async def test_a_copy_goes_on_unless_the_file_changed(tmp_path: Path, shelf: Path) -> None:
    sources = Sources(SourceRules(source_folders=(shelf,)), patience=QUICK)
    source = sources.at(f"file://{shelf}/a.safetensors", model="a")
    async with source.open(Resume()) as body:
        version = body.validator
    async with source.open(Resume(5_000, version)) as body:
        assert body.offset == 5_000
        assert b"".join([chunk async for chunk in body.chunks]) == DATA[5_000:]
    async with source.open(Resume(5_000, "another version")) as body:
        assert body.offset == 0


# S3 ----------------------------------------------------------------------------------------------------------------------


class Bucket(Origin):
    """As much of an S3 server as a client needs that reads one object."""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" not in request.headers:
            return web.Response(status=403)
        if "list-type" in request.query:
            empty = "<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"
            return web.Response(text=empty, content_type="application/xml")
        if not request.path.endswith("/a.safetensors"):
            return web.Response(status=404)
        wanted = request.headers.get("Range")
        first, last = wanted.removeprefix("bytes=").split("-") if wanted else ("0", str(len(self.data) - 1))
        start, end = int(first), min(int(last or len(self.data)), len(self.data) - 1)
        headers = {"ETag": self.etag, "Content-Range": f"bytes {start}-{end}/{len(self.data)}"}
        return web.Response(body=self.data[start : end + 1], status=206 if wanted else 200, headers=headers)


async def test_an_object_is_fetched_by_the_real_client_from_a_server_that_speaks_s3(tmp_path: Path) -> None:
    pytest.importorskip("s3fs")
    async with origin(DATA, kind=Bucket) as server:
        options = BucketOptions(endpoint=server.url, key=Secret("key"), secret=Secret("quiet"))
        async with store(tmp_path, sources=SourceRules(bucket=options)) as models:
            await models.fetch(order("s3://bucket/some/a.safetensors", DATA))
            with pytest.raises(FetchFailed) as caught:
                await models.fetch(order("s3://bucket/some/b.safetensors", DATA, name="b.safetensors"))
        assert isinstance(caught.value, SourceMissing)
        assert all("quiet" not in str(request.headers) for request in server.asked)
        assert "quiet" not in repr(options)
    assert visible(tmp_path) == {"checkpoints/a.safetensors": DATA}


class FaultyBucket(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store in memory that refuses, or breaks, by the name of the object."""

    protocol = "faulty-bucket"

    def info(self, path: str, **options: Any) -> Any:
        if "denied" in path:
            raise PermissionError("AKIA-quiet is not allowed")
        if "broken" in path:
            raise RuntimeError("quiet-key: connection reset")
        return super().info(path, **options) | {"ETag": '"v1"'}


@pytest.mark.parametrize(
    ("name", "error"), [("missing", SourceMissing), ("denied", SourceDenied), ("broken", SourceGone)]
)
async def test_faults_of_a_store_have_their_classes_and_its_words_are_not_repeated(
    tmp_path: Path, name: str, error: type[FetchFailed]
) -> None:
    async with store(tmp_path, world=World(bucket=FaultyBucket)) as models:
        with pytest.raises(error) as caught:
            await models.fetch(order(f"s3://bucket/{name}.safetensors", DATA))
    assert "quiet" not in str(caught.value)
    assert caught.value.source == f"s3://bucket/{name}.safetensors"


async def test_an_object_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/bucket/a.safetensors", DATA)
    try:
        sources = Sources(SourceRules(), patience=QUICK, files=FaultyBucket)
        source = sources.at("s3://bucket/a.safetensors", model="a")
        async with source.open(Resume(8_000_000, '"v1"')) as body:
            assert (body.offset, body.total_bytes) == (8_000_000, len(DATA))
            assert sha256(b"".join([chunk async for chunk in body.chunks])) == sha256(DATA[8_000_000:])
    finally:
        MemoryFileSystem.store.clear()


def test_the_client_of_a_bucket_shows_no_secret() -> None:
    pytest.importorskip("s3fs")
    files = bucket_files(BucketOptions(endpoint="http://127.0.0.1:1", key=Secret("key"), secret=Secret("quiet")))
    assert "quiet" not in repr(files)
