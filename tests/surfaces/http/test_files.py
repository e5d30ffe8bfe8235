"""What jobs have left: fetched whole or in part by those whose jobs they were, and never run by a browser."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from yarl import URL

from northstar.domain.api_keys import Scope
from northstar.store.asset_notes import Note
from northstar.store.assets import AssetRef
from tests.servers import RunningServer
from tests.surfaces.http.site import Answer, Client, Site
from tests.surfaces.http.site import site as opened
from tests.surfaces.http.work import Machine, machine

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = b"<script>alert(1)</script>" + bytes(range(256)) * 10_000


class Shop(msgspec.Struct):
    site: Site
    machine: Machine
    client: Client

    async def finished(self, result: Any) -> str:
        """A job that left this."""
        job_id = await self.client.submit()
        (job,) = await self.machine.take(job_id)
        await self.machine.finish(job, result)
        return job_id

    async def with_file(self, name: str, content: bytes, media_type: str) -> str:
        """A job that left this file."""
        job_id = await self.client.submit()
        (job,) = await self.machine.take(job_id)
        await self.machine.finish(
            job, {"outputs": [await self.machine.keep(job, name, content, media_type=media_type)]}
        )
        return job_id

    async def fetch(self, path: str, **headers: str) -> Answer:
        """The path as it is, without a client's tidying."""
        all_headers = {"Authorization": f"Bearer {self.client.key}"} | headers
        url = URL(self.client.url + path, encoded=True)
        async with self.client.http.get(url, headers=all_headers) as answer:
            text = await answer.read()
            return Answer(
                answer.status, answer.headers, msgspec.json.decode(text) if answer.status >= 400 and text else text
            )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(http_server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("files")
    async with opened(http_server, folder) as site, machine(site, folder) as one:
        yield Shop(site, one, await site.client(Scope.SUBMIT, Scope.READ, tenant="acme"))


async def test_a_result_names_its_files_by_where_they_are_fetched_and_not_by_where_they_lie(shop: Shop) -> None:
    job = await shop.with_file("frames/a page.html", PAGE, "text/html")
    result = (await shop.client.get(f"/v1/jobs/{job}/result")).body
    (file,) = result["files"]
    assert (file["name"], file["size_bytes"], file["media_type"]) == ("frames/a page.html", len(PAGE), "text/html")
    assert file["url"] == f"/v1/jobs/{job}/files/frames/a%20page.html"
    assert "file://" not in str(result)
    assert (await shop.client.get(f"/v1/jobs/{job}/files")).body == [file]
    assert (await shop.fetch(file["url"])).body == PAGE


async def test_a_file_is_something_to_keep_and_never_something_to_run(shop: Shop) -> None:
    job = await shop.with_file("page.html", PAGE, "text/html")
    answer = await shop.fetch(f"/v1/jobs/{job}/files/page.html")
    digest = hashlib.sha256(PAGE).hexdigest()
    told = {name: answer.headers[name] for name in ("Content-Type", "Content-Length", "ETag", "X-Content-Type-Options")}
    assert told == {
        "Content-Type": "text/html",
        "Content-Length": str(len(PAGE)),
        "ETag": f'"{digest}"',
        "X-Content-Type-Options": "nosniff",
    }
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="page.html"')
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    same = await shop.fetch(f"/v1/jobs/{job}/files/page.html", **{"If-None-Match": f'"{digest}"'})
    assert (same.status, same.body) == (304, b"")


@pytest.mark.parametrize("media_type", ["text/html\r\nX-Evil: 1", "text html", "", "x" * 300])
async def test_a_media_type_that_is_none_is_not_passed_on(shop: Shop, media_type: str) -> None:
    job_id = await shop.client.submit()
    (job,) = await shop.machine.take(job_id)
    kept = await shop.machine.keep(job, "a.bin", b"abc", media_type=media_type)
    await shop.machine.finish(job, {"outputs": [kept]})
    answer = await shop.fetch(f"/v1/jobs/{job_id}/files/a.bin")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "application/octet-stream", b"abc")
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=2000000-", 206, slice(2_000_000, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=5-99999999999", 206, slice(5, None)),
        ("bytes=0-1,4-5", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
    ],
)
async def test_a_part_is_fetched_where_one_is_named(shop: Shop, asked: str, status: int, part: slice) -> None:
    job = await shop.with_file("page.html", PAGE, "text/html")
    answer = await shop.fetch(f"/v1/jobs/{job}/files/page.html", Range=asked)
    assert (answer.status, answer.body == PAGE[part]) == (status, True)
    assert int(answer.headers["Content-Length"]) == len(PAGE[part])
    if status == 206:
        first = part.indices(len(PAGE))[0]
        assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(PAGE[part]) - 1}/{len(PAGE)}"


async def test_a_part_that_is_not_there_or_of_another_file_is_not_sent(shop: Shop) -> None:
    job = await shop.with_file("page.html", PAGE, "text/html")
    path = f"/v1/jobs/{job}/files/page.html"
    beyond = await shop.fetch(path, Range=f"bytes={len(PAGE)}-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{len(PAGE)}")
    changed = await shop.fetch(path, **{"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (changed.status, changed.body) == (200, PAGE)


async def test_a_text_without_a_file_is_fetched_as_text(shop: Shop) -> None:
    job = await shop.finished({"outputs": [{"name": "text", "text": "Once upon a tïme"}], "summary": {"tokens": 4}})
    result = (await shop.client.get(f"/v1/jobs/{job}/result")).body
    assert result["result"] == {"summary": {"tokens": 4}}
    answer = await shop.fetch(result["files"][0]["url"])
    assert (answer.body.decode(), answer.headers["Content-Type"]) == ("Once upon a tïme", "text/plain; charset=utf-8")
    part = await shop.fetch(result["files"][0]["url"], Range="bytes=0-3")
    assert (part.status, part.body) == (206, b"Once")


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/secret",
        "page.html/..",
        "./page.html",
        "a%00b",
        "a%0d%0ab",
        "..%5c..%5cwindows",
        "%ff%fe",
        "page.htm",
        "/etc/passwd",
        "x" * 5_000,
    ],
)
async def test_no_name_leads_anywhere_but_to_a_file_of_the_job(shop: Shop, name: str) -> None:
    job = await shop.with_file("page.html", PAGE, "text/html")
    answer = await shop.fetch(f"/v1/jobs/{job}/files/{name}")
    assert answer.status in {400, 404, 422}
    assert b"root:" not in msgspec.json.encode(answer.body if isinstance(answer.body, dict) else str(answer.body))


async def test_a_machine_cannot_name_the_file_of_another_job(shop: Shop) -> None:
    secret = await shop.with_file("secret.txt", b"secret", "text/plain")
    (theirs,) = (await shop.site.cell.inspect([secret], results=True)).jobs
    outputs = msgspec.json.decode(theirs.result)["outputs"]
    job = await shop.finished({"outputs": outputs})
    answer = await shop.fetch(f"/v1/jobs/{job}/files/secret.txt")
    assert (answer.status, answer.body["title"]) == (422, "NS_ASSET_NAME_REFUSED")
    outside = AssetRef(url="file:///etc/passwd", size_bytes=1, sha256="0" * 64, media_type="text/plain")
    job = await shop.finished({"outputs": [{"name": "passwd", "asset": msgspec.to_builtins(outside)}]})
    assert (await shop.fetch(f"/v1/jobs/{job}/files/passwd")).status == 422


async def test_a_job_that_has_not_succeeded_has_no_files(shop: Shop) -> None:
    job = await shop.client.submit(start_within_s=60)
    for path in ("result", "files", "files/a"):
        answer = await shop.client.get(f"/v1/jobs/{job}/{path}")
        assert (answer.status, answer.code) == (409, "NS_NO_OUTPUTS")
    await shop.client.post(f"/v1/jobs/{job}/cancel")
    assert (await shop.client.get(f"/v1/jobs/{job}/result")).status == 409
    assert (await shop.client.get("/v1/jobs/never/result")).status == 404


async def test_files_are_their_tenants(shop: Shop) -> None:
    job = await shop.with_file("page.html", PAGE, "text/html")
    other = await shop.site.client(Scope.READ, tenant="other")
    for path in ("result", "files", "files/page.html"):
        answer = await other.get(f"/v1/jobs/{job}/{path}")
        assert (answer.status, answer.code) == (404, "NS_NO_SUCH_JOB")


async def test_a_file_that_is_gone_is_missing_and_one_whose_time_was_over_is_gone_for_good(shop: Shop) -> None:
    job = await shop.with_file("page.html", PAGE, "text/html")
    (record,) = (await shop.site.cell.inspect([job], results=True)).jobs
    ref = msgspec.convert(msgspec.json.decode(record.result)["outputs"][0]["asset"], AssetRef)
    await shop.machine.store.remove(ref)
    missing = await shop.client.get(f"/v1/jobs/{job}/files/page.html")
    assert (missing.status, missing.code) == (404, "NS_ASSET_MISSING")
    await asyncio.to_thread(shop.machine.store.notes.write, shop.site.cell.name, Note(retired_until="99991231-23"))
    retired = await shop.client.get(f"/v1/jobs/{job}/files/page.html")
    assert (retired.status, retired.code) == (410, "NS_ASSET_RETIRED")


async def test_a_damaged_file_is_never_told_to_be_whole(shop: Shop) -> None:
    job = await shop.with_file("small.txt", b"what it was", "text/plain")
    (record,) = (await shop.site.cell.inspect([job], results=True)).jobs
    ref = msgspec.convert(msgspec.json.decode(record.result)["outputs"][0]["asset"], AssetRef)
    path = shop.machine.store.local_path(ref)
    assert path is not None
    path.write_bytes(b"what it iss")
    answer = await shop.client.get(f"/v1/jobs/{job}/files/small.txt")
    assert (answer.status, answer.code) == (503, "NS_ASSET_DAMAGED")


async def test_a_large_file_that_is_damaged_is_cut_off_before_its_end(shop: Shop) -> None:
    content = bytes(3_000_000)
    job = await shop.with_file("large.bin", content, "application/octet-stream")
    (record,) = (await shop.site.cell.inspect([job], results=True)).jobs
    ref = msgspec.convert(msgspec.json.decode(record.result)["outputs"][0]["asset"], AssetRef)
    path = shop.machine.store.local_path(ref)
    assert path is not None
    path.write_bytes(content[:-1] + b"x")
    with pytest.raises(aiohttp.ClientPayloadError):
        await shop.client.get(f"/v1/jobs/{job}/files/large.bin")
