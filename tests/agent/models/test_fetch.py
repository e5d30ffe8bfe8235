"""Bringing a model: whole, verified, once, and from where it broke off."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from northstar.agent.models.errors import ModelNameTaken, ModelStoreUnavailable
from northstar.agent.models.flights import FetchProgress
from northstar.agent.models.layout import key_of
from northstar.agent.models.partial import Partial
from northstar.domain.models import ModelHeld
from tests.agent.models.builders import left_over, order, safetensors, store, visible
from tests.agent.models.origin import origin

DATA = safetensors(2_500_000)


async def test_a_fetched_model_lies_under_its_name_and_is_announced(tmp_path: Path) -> None:
    async with origin(DATA) as server, store(tmp_path) as models:
        file = await models.fetch(order(f"{server.url}/a", DATA, name="styles/a.safetensors"))
        assert file.path == tmp_path / "checkpoints/styles/a.safetensors"
        assert models.held() == (ModelHeld("styles/a.safetensors", "disk", len(DATA)),)
    assert visible(tmp_path) == {"checkpoints/styles/a.safetensors": DATA}
    assert left_over(tmp_path) == []


async def test_a_model_that_is_there_is_not_fetched_again_nor_hashed_again_after_a_restart(tmp_path: Path) -> None:
    async with origin(DATA) as server:
        for _ in range(2):
            async with store(tmp_path) as models:
                file = await models.fetch(order(f"{server.url}/a", DATA))
                assert file.known is not None
                assert file.known.fetched
        assert len(server.asked) == 1


async def test_many_requests_for_one_model_are_one_download(tmp_path: Path) -> None:
    async with origin(DATA) as server, store(tmp_path) as models:
        wanted = order(f"{server.url}/a", DATA)
        files = await asyncio.gather(*(models.fetch(wanted) for _ in range(20)))
        assert len({file.path for file in files}) == 1
        assert len(server.asked) == 1


async def test_two_stores_on_one_folder_download_once(tmp_path: Path) -> None:
    async with origin(DATA) as server, store(tmp_path) as one, store(tmp_path) as other:
        wanted = order(f"{server.url}/a", DATA)
        await asyncio.gather(one.fetch(wanted), other.fetch(wanted))
        assert len(server.asked) == 1
        assert one.held() == other.held()


async def test_a_broken_download_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    async with origin(DATA) as server, store(tmp_path) as models:
        server.breaks = [1_000_000]
        await models.fetch(order(f"{server.url}/a", DATA), on_progress=server.note)
        assert server.ranges == [None, "bytes=1000000-"]
        assert server.asked[1].headers["If-Range"] == '"v1"'
    assert visible(tmp_path) == {"checkpoints/a.safetensors": DATA}


async def test_a_later_store_goes_on_where_an_earlier_one_was_closed(tmp_path: Path) -> None:
    async with origin(DATA) as server:
        server.gate = asyncio.Event()
        async with store(tmp_path) as models:
            fetch = asyncio.ensure_future(models.fetch(order(f"{server.url}/a", DATA)))
            await server.half_sent.wait()
            while not models.fetching()[0].received_bytes:
                await asyncio.sleep(0.001)
        with pytest.raises(ModelStoreUnavailable, match="closed while a model was being fetched"):
            await fetch
        server.gate = None
        async with store(tmp_path) as models:
            await models.fetch(order(f"{server.url}/a", DATA))
        assert server.ranges[0] is None
        assert server.ranges[1] is not None
    assert visible(tmp_path) == {"checkpoints/a.safetensors": DATA}


async def test_a_file_that_changed_at_its_source_is_fetched_from_the_start(tmp_path: Path) -> None:
    other = safetensors(2_500_000, seed=1)
    async with origin(DATA) as server, store(tmp_path) as models:
        server.breaks = [1_000_000]

        async def changed(request):  # type: ignore[no-untyped-def]
            if len(server.asked) == 2:
                server.data, server.etag = other, '"v2"'
            return await server.serve(request)

        server.answer = changed
        await models.fetch(order(f"{server.url}/a"), on_progress=server.note)
        assert server.ranges == [None, "bytes=1000000-"]
    assert visible(tmp_path) == {"checkpoints/a.safetensors": other}


async def test_a_server_without_ranges_is_asked_for_everything_again(tmp_path: Path) -> None:
    async with origin(DATA) as server, store(tmp_path) as models:
        server.breaks, server.does_ranges = [1_000_000], False
        await models.fetch(order(f"{server.url}/a", DATA), on_progress=server.note)
        assert len(server.asked) == 2
    assert visible(tmp_path) == {"checkpoints/a.safetensors": DATA}


async def test_progress_tells_bytes_and_ends_with_all_of_them(tmp_path: Path) -> None:
    seen: list[FetchProgress] = []
    async with origin(DATA) as server, store(tmp_path) as models:
        await models.ensure([order(f"{server.url}/a", DATA)], on_progress=seen.append)
    assert [one.received_bytes for one in seen] == sorted(one.received_bytes for one in seen)
    assert (seen[-1].received_bytes, seen[-1].total_bytes) == (len(DATA), len(DATA))


async def test_when_the_last_waiter_leaves_the_fetch_is_given_up_and_its_bytes_kept(tmp_path: Path) -> None:
    async with origin(DATA) as server, store(tmp_path) as models:
        server.gate = asyncio.Event()
        wanted = order(f"{server.url}/a", DATA)
        first, second = (asyncio.ensure_future(models.fetch(wanted)) for _ in range(2))
        await server.half_sent.wait()
        while not (models.fetching() and models.fetching()[0].received_bytes):
            await asyncio.sleep(0.001)
        first.cancel()
        await asyncio.wait([first])
        assert len(models.fetching()) == 1
        second.cancel()
        await asyncio.wait([second])
        assert models.fetching() == ()
        server.gate = None
        await models.fetch(wanted)
        assert server.ranges[1] is not None


async def test_names_that_some_file_systems_take_for_the_same_are_not_fetched_side_by_side(tmp_path: Path) -> None:
    async with origin(DATA) as server, store(tmp_path) as models:
        wanted = [order(f"{server.url}/a", DATA, name=name) for name in ("a.safetensors", "A.safetensors")]
        results = await asyncio.gather(*(models.fetch(one) for one in wanted), return_exceptions=True)
        assert [type(result).__name__ for result in results] == ["ModelFile", "ModelNameTaken"]


async def test_a_whole_file_that_was_not_published_yet_is_not_asked_for_again(tmp_path: Path) -> None:
    async with origin(DATA) as server, store(tmp_path) as models:
        wanted = order(f"{server.url}/a", DATA, size_bytes=0)
        partial = Partial(models._parts.layout, key_of(wanted), expected_sha256=wanted.expected_sha256)
        partial.append(DATA)
        partial.close()
        await models.fetch(wanted)
        assert server.asked == []


def test_an_order_shows_no_address_where_it_is_printed() -> None:
    wanted = order("https://host/a?token=hidden", DATA)
    assert "hidden" not in f"{wanted!r} {wanted.__rich_repr__()}"


async def test_another_file_of_that_name_is_never_overwritten(tmp_path: Path) -> None:
    mine = safetensors(10, seed=5)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/a.safetensors").write_bytes(mine)
    async with origin(DATA) as server, store(tmp_path) as models:
        for name in ("a.safetensors", "A.safetensors"):
            with pytest.raises(ModelNameTaken) as caught:
                await models.fetch(order(f"{server.url}/a", DATA, name=name))
            assert caught.value.code == "NS_MODEL_NAME_TAKEN"
        assert server.asked == []
    assert visible(tmp_path) == {"checkpoints/a.safetensors": mine}
