"""Sources that lie, break off, never end, are slow, refuse, or lead where nobody should go: each has its error."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from northstar.agent.models.errors import (
    ModelAddressPrivate,
    ModelFormatRefused,
    ModelNameRefused,
    ModelSourceRefused,
    ModelTooLarge,
)
from northstar.agent.models.fetch_errors import (
    FetchFailed,
    FetchStalled,
    FetchTooSlow,
    FetchTruncated,
    ModelDamaged,
    ModelMalformed,
    ModelSizeWrong,
    SourceBusy,
    SourceDenied,
    SourceGone,
    SourceMissing,
    SourceRejected,
)
from northstar.agent.models.options import World
from northstar.agent.models.sources.choice import SourceRules
from northstar.connectors.secret import Secret
from northstar.domain.errors import NorthstarError
from northstar.policy.models.addresses import origin_of
from northstar.policy.models.pace import Patience
from tests.agent.models.builders import left_over, order, safetensors, store, visible
from tests.agent.models.origin import Origin, origin

DATA = safetensors(400_000)
HASTY = Patience(stall_s=0.2, least_bytes_per_s=1.0, grace_s=60.0, attempts=1)


def status(code: int, **headers: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


async def refused(
    root: Path, server: Origin, error: type[NorthstarError], *, tries: int = 1, **more: object
) -> NorthstarError:
    """Fetch, expect the error, and see that nothing came of it."""
    given = {"data": DATA} | {name: more.pop(name) for name in ("data", "sha256", "size_bytes", "name") if name in more}
    async with store(root, **more) as models:  # type: ignore[arg-type]
        with pytest.raises(error) as caught:
            await models.fetch(order(f"{server.url}/a?token=hidden", **given))  # type: ignore[arg-type]
        assert models.held() == ()
        assert models.fetching() == ()
    assert type(caught.value) is error
    assert "hidden" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    assert len(server.asked) == tries
    assert visible(root) == {}
    return caught.value


@pytest.mark.parametrize(
    ("code", "error", "retryable"),
    [
        (404, SourceMissing, False),
        (410, SourceMissing, False),
        (401, SourceDenied, False),
        (403, SourceDenied, False),
        (400, SourceRejected, False),
        (429, SourceBusy, True),
        (503, SourceBusy, True),
        (500, SourceGone, True),
        (502, SourceGone, True),
    ],
)
async def test_a_status_is_an_error_of_its_class_and_only_what_may_pass_is_tried_again(
    tmp_path: Path, code: int, error: type[FetchFailed], retryable: bool
) -> None:
    async with origin(DATA) as server:
        server.answer = status(code)
        found = await refused(tmp_path, server, error, tries=3 if retryable else 1)
        assert found.retryable is retryable
        assert found.code.startswith("NS_MODEL_")
    assert left_over(tmp_path) == []


async def test_a_wish_to_come_back_later_is_heeded_up_to_a_bound(tmp_path: Path) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with origin(DATA) as server:
        server.answer = status(429, Retry_After="7")
        await refused(tmp_path, server, SourceBusy, tries=3, world=World(sleep=sleep))
        server.answer, server.asked = status(503, Retry_After="99999999"), []
        await refused(tmp_path, server, SourceBusy, tries=3, world=World(sleep=sleep))
    assert slept == [7.0, 7.0, 60.0, 60.0]


async def test_a_server_that_is_not_there_is_gone(tmp_path: Path) -> None:
    async with origin(DATA) as server:
        pass
    await refused(tmp_path, server, SourceGone, tries=0)


async def test_a_lie_about_the_size_is_noticed_before_the_first_byte(tmp_path: Path) -> None:
    async with origin(DATA) as server:
        found = await refused(tmp_path, server, ModelSizeWrong, size_bytes=5)
        assert "where the order says 5" in str(found)
    assert left_over(tmp_path) == []


async def test_a_lie_about_the_hash_leaves_nothing(tmp_path: Path) -> None:
    async with origin(DATA) as server:
        found = await refused(tmp_path, server, ModelDamaged, sha256="0" * 64)
        assert server.sha256 in str(found)
    assert left_over(tmp_path) == []


async def test_a_wrong_hash_of_a_mixture_is_mended_by_one_fetch_from_the_start(tmp_path: Path) -> None:
    other = safetensors(400_000, seed=9)
    async with origin(other) as server, store(tmp_path) as models:
        server.breaks, server.etag = [200_000], ""

        async def changed(request: web.Request) -> web.StreamResponse:
            if len(server.asked) == 2:
                server.data = DATA
            return await server.serve(request)

        server.answer = changed
        await models.fetch(order(f"{server.url}/a", DATA), on_progress=server.note)
        assert server.ranges == [None, "bytes=200000-", None]
    assert visible(tmp_path) == {"checkpoints/a.safetensors": DATA}


@pytest.mark.parametrize("seed", [b"not a model", b"", DATA[:-1], DATA + b"x", b"\xff" * 8 + b"{}"])
async def test_a_file_that_is_not_what_its_ending_says_is_malformed(tmp_path: Path, seed: bytes) -> None:
    async with origin(seed) as server:
        await refused(tmp_path, server, ModelMalformed, data=seed, sha256="unknown", size_bytes=0)
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("name", ["a.ckpt", "a.pt", "a.pth", "a.bin", "a.PT"])
async def test_an_ending_of_pickles_is_refused_before_anything_is_asked(tmp_path: Path, name: str) -> None:
    async with origin(DATA) as server:
        await refused(tmp_path, server, ModelFormatRefused, tries=0, name=name)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["a.safetensors", "a.onnx", "a.gguf"])
async def test_a_pickle_under_another_ending_is_refused(tmp_path: Path, name: str, protocol: int) -> None:
    data = pickle.dumps({"a": [1, 2, 3]}, protocol=protocol)
    async with origin(data) as server:
        await refused(tmp_path, server, ModelFormatRefused, name=name, sha256="unknown", size_bytes=0)
    assert left_over(tmp_path) == []


async def test_a_pickle_is_fetched_where_that_is_allowed(tmp_path: Path) -> None:
    data = pickle.dumps([1])
    async with origin(data) as server, store(tmp_path, allow_pickle=True) as models:
        await models.fetch(order(f"{server.url}/a", data, name="a.pt", kind="upscaler"))
    assert visible(tmp_path) == {"upscale_models/a.pt": data}


async def test_a_body_that_ends_early_is_truncated_and_kept_for_the_next_try(tmp_path: Path) -> None:
    async with origin(DATA) as server, store(tmp_path) as models:
        server.breaks = [100_000, 200_000, 300_000]
        with pytest.raises(FetchTruncated) as caught:
            await models.fetch(order(f"{server.url}/a", DATA), on_progress=server.note)
        assert caught.value.retryable
        assert server.ranges == [None, "bytes=100000-", "bytes=200000-"]
        await models.fetch(order(f"{server.url}/a", DATA), on_progress=server.note)
        assert server.ranges[3] == "bytes=300000-"


def endless(*, chunk: bytes = b"x" * 65_536, pause: asyncio.Event | None = None, gap_s: float = 0.0) -> object:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(chunk)
            if pause is not None:
                await pause.wait()
            await asyncio.sleep(gap_s)

    return answer


@pytest.mark.parametrize("declared", [0, 100_000])
async def test_an_endless_body_is_cut_where_its_order_or_the_settings_end(tmp_path: Path, declared: int) -> None:
    async with origin(DATA) as server:
        server.answer = endless()  # type: ignore[assignment]
        found = await refused(
            tmp_path, server, ModelTooLarge, size_bytes=declared, sha256="unknown", largest_bytes=1_000_000
        )
        assert f"more than {declared or 1_000_000:,} bytes" in str(found)
    assert left_over(tmp_path) == []


async def test_a_declared_size_above_the_bound_is_refused_before_the_first_byte(tmp_path: Path) -> None:
    async with origin(DATA) as server:
        await refused(tmp_path, server, ModelTooLarge, size_bytes=0, largest_bytes=100)
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("talks_first", [True, False])
async def test_a_silent_server_is_given_up(tmp_path: Path, talks_first: bool) -> None:
    never = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    async with origin(DATA) as server:
        server.answer = endless(pause=never) if talks_first else silent  # type: ignore[assignment]
        found = await refused(tmp_path, server, FetchStalled, patience=HASTY, sha256="unknown", size_bytes=0)
        assert found.retryable
        never.set()


async def test_a_slow_download_is_given_up_when_it_would_miss_its_deadline(tmp_path: Path) -> None:
    slow = Patience(stall_s=5.0, least_bytes_per_s=1e9, grace_s=0.05, attempts=1)
    async with origin(DATA) as server:
        server.answer = endless(chunk=b"x", gap_s=0.01)  # type: ignore[assignment]
        found = await refused(tmp_path, server, FetchTooSlow, patience=slow, sha256="unknown", size_bytes=0)
        assert found.retryable


async def test_a_compressed_body_is_not_taken_for_the_file(tmp_path: Path) -> None:
    async with origin(DATA) as server:
        server.answer = status(200, Content_Encoding="gzip")
        await refused(tmp_path, server, SourceRejected)


async def test_a_range_that_nobody_asked_for_is_not_glued_on(tmp_path: Path) -> None:
    async with origin(DATA) as server:
        server.answer = status(206, Content_Range=f"bytes 7-{len(DATA) - 1}/{len(DATA)}")
        await refused(tmp_path, server, SourceRejected)


async def test_the_second_source_is_asked_when_the_first_fails(tmp_path: Path) -> None:
    async with origin(DATA) as good, origin(b"lie") as bad, store(tmp_path) as models:
        await models.fetch(order("", DATA, sources=(f"{bad.url}/a", f"{good.url}/a")))
    assert visible(tmp_path) == {"checkpoints/a.safetensors": DATA}


# Where a redirect may lead ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "http://localhost:{port}/b",
        "http://[::1]:{port}/b",
        "http://[::ffff:127.0.0.1]:{port}/b",
        "http://0x7f.1:{port}/b",
        "http://10.0.0.1/b",
        "http://169.254.169.254/latest/meta-data",
    ],
)
async def test_a_redirect_into_a_private_network_is_refused_however_it_is_written(tmp_path: Path, target: str) -> None:
    async with origin(DATA) as server:
        server.answer = status(302, Location=target.format(port=server.port))
        rules = SourceRules(private_hosts=frozenset({f"127.0.0.1:{server.port}"}))
        found = await refused(tmp_path, server, ModelAddressPrivate, sources=rules)
        assert found.code == "NS_MODEL_ADDRESS_PRIVATE"


async def test_a_private_address_in_the_order_itself_is_refused(tmp_path: Path) -> None:
    async with origin(DATA) as server:
        await refused(tmp_path, server, ModelAddressPrivate, tries=0, sources=SourceRules())


@pytest.mark.parametrize(
    "location", ["/again", "file:///etc/passwd", "ftp://host/a", "http://user:pass@host/", "http://2130706433/"]
)
async def test_a_redirect_that_leads_nowhere_is_not_followed(tmp_path: Path, location: str) -> None:
    async with origin(DATA) as server:
        server.answer = status(302, Location=location)
        await refused(tmp_path, server, SourceRejected, tries=8 if location == "/again" else 1)


async def test_a_token_goes_to_its_own_host_and_to_no_other(tmp_path: Path) -> None:
    async with origin(DATA) as other, origin(DATA) as hub:
        hub.answer = status(307, Location=f"http://localhost:{other.port}/signed?key=1")
        rules = SourceRules(
            private_hosts=frozenset({"127.0.0.1", "localhost"}), tokens=((origin_of(hub.url), Secret("quiet")),)
        )
        async with store(tmp_path, sources=rules) as models:
            await models.fetch(order(f"{hub.url}/a", DATA))
        assert hub.asked[0].headers["Authorization"] == "Bearer quiet"
        assert "Authorization" not in other.asked[0].headers


# Names and addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../a.safetensors",
        "/etc/a.safetensors",
        "a/../../b.safetensors",
        "a//b.safetensors",
        ".dot.safetensors",
        "a\\b.safetensors",
        "a.safetensors ",
        "-rf.safetensors",
        "a/b/c/d/e/f.safetensors",
        "a.py",
        "a",
        "x" * 220 + ".safetensors",
        "e\u0301.safetensors",
    ],
)
async def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    async with origin(DATA) as server:
        found = await refused(tmp_path, server, ModelNameRefused, tries=0, name=name)
        assert found.code == "NS_MODEL_NAME_REFUSED"


@pytest.mark.parametrize("where", ["checkpoints", "checkpoints/sub", "checkpoints/sub/a.safetensors"])
async def test_a_link_on_the_way_is_not_followed(tmp_path: Path, where: str) -> None:
    root, outside = tmp_path / "models", tmp_path / "outside"
    outside.mkdir()
    (root / where).parent.mkdir(parents=True)
    (root / where).symlink_to(outside / "new" if where.endswith("s") and "/" in where else outside)
    async with origin(DATA) as server, store(root) as models:
        with pytest.raises(ModelNameRefused, match="is a link, or lies behind one"):
            await models.fetch(order(f"{server.url}/a", DATA, name="sub/a.safetensors"))
        assert server.asked == []
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "source",
    [
        "ftp://host/a",
        "host/a",
        "https://me:hidden@host/a",
        "https:///a",
        "hf://repo/a",
        "hf://org/repo@../../x/a",
        "hf://org/repo/../a",
        "civitai://12/../34",
        "civitai://abc",
        "s3://bucket",
        "s3://bucket/a/../b",
        "file://relative",
        "file:///a/../etc/passwd",
    ],
)
async def test_an_address_of_no_usable_form_is_refused(tmp_path: Path, source: str) -> None:
    async with store(tmp_path) as models:
        with pytest.raises(ModelSourceRefused) as caught:
            await models.fetch(order(source, DATA))
        assert "hidden" not in str(caught.value)
