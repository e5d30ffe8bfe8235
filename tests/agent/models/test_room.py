"""Room is set aside first, and made by dropping what is worth the least; never what is in use, reserved or not ours."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from northstar.agent.models.errors import ModelInUse, ModelMissing, ModelNotOurs, ModelStoreFull
from northstar.agent.models.files import Files
from northstar.agent.models.options import World
from northstar.agent.models.space import Space, SpaceRule
from northstar.agent.models.store import ModelStore
from tests.agent.models.builders import left_over, order, safetensors, store, visible
from tests.agent.models.origin import Origin, origin

DATA = safetensors(100_000)
TWO = SpaceRule(limit_bytes=300_000)


@pytest.fixture
async def server() -> AsyncIterator[Origin]:
    async with origin(DATA) as one:
        yield one


def days_apart() -> World:
    """A wall clock that goes on by ten days with every look, and fetches that all take as long: by nothing but their use do models differ."""
    days = itertools.count()
    return World(now=lambda: next(days) * 864_000.0, clock=lambda: 0.0)


async def fetch(models: ModelStore, server: Origin, *names: str) -> None:
    for name in names:
        await models.fetch(order(f"{server.url}/{name}", DATA, name=f"{name}.safetensors"))


def names(models: ModelStore) -> list[str]:
    return [one.name.partition(".")[0] for one in models.held()]


async def test_the_limit_holds_by_dropping_what_was_used_longest_ago(tmp_path: Path, server: Origin) -> None:
    async with store(tmp_path, space=TWO, world=days_apart()) as models:
        await fetch(models, server, "a", "b")
        with models.use(["a.safetensors"]):
            pass
        await fetch(models, server, "c")
        assert names(models) == ["a", "c"]
        assert Space(models._parts.layout, TWO).used_bytes() <= TWO.limit_bytes


async def test_when_a_model_was_used_is_remembered_over_a_restart(tmp_path: Path, server: Origin) -> None:
    world = days_apart()
    async with store(tmp_path, space=TWO, world=world) as models:
        await fetch(models, server, "a", "b")
        with models.use(["a.safetensors"]):
            pass
    async with store(tmp_path, space=TWO, world=world) as models:
        await fetch(models, server, "c")
        assert names(models) == ["a", "c"]


async def test_what_is_in_use_or_reserved_stays_even_if_the_fetch_must_fail(tmp_path: Path, server: Origin) -> None:
    async with store(tmp_path, space=TWO) as models:
        await fetch(models, server, "a", "b")
        with models.use(["a.safetensors"]), models.reserving(["b.safetensors"]):
            with pytest.raises(ModelStoreFull) as caught:
                await fetch(models, server, "c")
            with pytest.raises(ModelInUse):
                await models.evict("b.safetensors")
        assert "a.safetensors: in use; b.safetensors: reserved" in str(caught.value)
        assert caught.value.retryable
        assert names(models) == ["a", "b"]
    assert left_over(tmp_path) == []


async def test_what_its_pools_keep_stays_until_they_keep_something_else(tmp_path: Path, server: Origin) -> None:
    async with store(tmp_path, space=TWO, world=days_apart()) as models:
        await fetch(models, server, "a", "b")
        models.set_kept(["a.safetensors"])
        await fetch(models, server, "c")
        assert names(models) == ["a", "c"]
        with pytest.raises(ModelInUse, match="no pool keeps it"):
            await models.evict("a.safetensors")
        models.set_kept([])
        await fetch(models, server, "d")
        assert names(models) == ["c", "d"]


async def test_what_is_reserved_twice_stays_until_both_have_let_it_go(tmp_path: Path, server: Origin) -> None:
    async with store(tmp_path) as models:
        await fetch(models, server, "a")
        with models.reserving(["a.safetensors"]):
            with models.reserving(["a.safetensors", "not-here.safetensors"]):
                pass
            with pytest.raises(ModelInUse):
                await models.evict("a.safetensors")
        await models.evict("a.safetensors")


async def test_what_another_process_uses_is_not_dropped(tmp_path: Path, server: Origin) -> None:
    async with store(tmp_path, space=TWO) as models:
        await fetch(models, server, "a", "b")
        async with store(tmp_path, space=TWO) as other:
            with other.use(["a.safetensors"]):
                await fetch(models, server, "c")
                assert names(models) == ["a", "c"]
                with pytest.raises(ModelInUse):
                    await models.evict("a.safetensors")
            assert await models.evict("a.safetensors") == len(DATA)


async def test_all_models_of_one_job_must_fit_together_or_none_is_driven_out_for_another(
    tmp_path: Path, server: Origin
) -> None:
    async with store(tmp_path, space=TWO) as models:
        wanted = [order(f"{server.url}/{name}", DATA, name=f"{name}.safetensors") for name in "abc"]
        with pytest.raises(ModelStoreFull):
            await models.ensure(wanted)
        async with models.using(wanted[:2]) as files:
            assert [file.key.name for file in files] == ["a.safetensors", "b.safetensors"]
            with pytest.raises(ModelStoreFull):
                await models.fetch(wanted[2])
        await models.fetch(wanted[2])


async def test_a_file_that_was_found_is_not_dropped_unless_that_is_allowed(tmp_path: Path, server: Origin) -> None:
    (tmp_path / "loras").mkdir()
    (tmp_path / "loras/mine.safetensors").write_bytes(DATA)
    rule = SpaceRule(limit_bytes=200_000)
    async with store(tmp_path, space=rule) as models:
        with pytest.raises(ModelStoreFull, match="nobody knows where to fetch it again"):
            await fetch(models, server, "a")
        with pytest.raises(ModelNotOurs):
            await models.evict("mine.safetensors")
    async with store(tmp_path, space=rule, evict_found=True) as models:
        await fetch(models, server, "a")
        assert names(models) == ["a"]


async def test_eviction_on_order_frees_the_bytes_and_tells(tmp_path: Path, server: Origin) -> None:
    async with store(tmp_path) as models:
        await fetch(models, server, "a")
        with models.use(["a.safetensors"]), pytest.raises(ModelInUse):
            await models.evict("a.safetensors")
        assert await models.evict("a.safetensors") == len(DATA)
        assert models.held() == ()
        with pytest.raises(ModelMissing):
            await models.evict("a.safetensors")
    assert visible(tmp_path) == {}
    assert left_over(tmp_path) == []


async def test_an_abandoned_download_goes_before_any_model(tmp_path: Path, server: Origin) -> None:
    async with store(tmp_path, space=TWO) as models:
        await fetch(models, server, "a")
        server.breaks = [99_000] * 3
        wanted = order(f"{server.url}/b", DATA, name="b.safetensors")
        with pytest.raises(Exception, match="the body ended"):
            await models.fetch(wanted, on_progress=server.note)
        assert len(left_over(tmp_path)) == 2
        await fetch(models, server, "c")
        assert names(models) == ["a", "c"]
        assert left_over(tmp_path) == []


async def test_two_fetches_do_not_count_on_the_same_room(tmp_path: Path, server: Origin) -> None:
    server.gate = asyncio.Event()
    async with store(tmp_path, space=SpaceRule(limit_bytes=150_000)) as models:
        first = asyncio.ensure_future(fetch(models, server, "a"))
        await server.half_sent.wait()
        with pytest.raises(ModelStoreFull):
            await fetch(models, server, "b")
        server.gate.set()
        await first
        assert names(models) == ["a"]


async def test_the_disk_keeps_what_was_asked_to_stay_free(tmp_path: Path, server: Origin) -> None:
    world = World(free_bytes=lambda path: 1_000_000)
    async with store(tmp_path, space=SpaceRule(keep_free_bytes=950_000), world=world) as models:
        with pytest.raises(ModelStoreFull, match=r"needs 50,078 bytes .* more than the models folder has"):
            await fetch(models, server, "a")
    async with store(tmp_path, space=SpaceRule(keep_free_bytes=850_000), world=world) as models:
        await fetch(models, server, "a")


class FullFiles(Files):
    """A disk that says it is full at a write."""

    is_full = True

    def append(self, fd: int, data: bytes, path: Path) -> None:
        if self.is_full and path.suffix == ".part":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().append(fd, data, path)


async def test_a_disk_that_fills_up_in_the_middle_is_named_and_the_fetch_goes_on_later(
    tmp_path: Path, server: Origin
) -> None:
    files = FullFiles()
    async with store(tmp_path, world=World(files=files)) as models:
        with pytest.raises(ModelStoreFull, match="No space left on device") as caught:
            await fetch(models, server, "a")
        assert caught.value.retryable
        files.is_full = False
        await fetch(models, server, "a")
    assert left_over(tmp_path) == []


async def test_a_small_real_disk_is_never_overfilled(tmp_path: Path, server: Origin) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        async with store(tmp_path) as models:
            for name in "abcdefgh":
                await fetch(models, server, name)
            assert names(models)[-1] == "h"
            assert len(names(models)) == 3
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


async def test_the_pool_may_allow_less_than_the_settings_do(tmp_path: Path, server: Origin) -> None:
    """Spec: "Storage: 10-20GB": a pool caps the disk of its machines."""
    async with store(tmp_path, space=SpaceRule(limit_bytes=1_000_000), world=days_apart()) as models:
        models.cap_disk(300_000)
        await fetch(models, server, "a", "b", "c")
        assert len(names(models)) == 2
        models.cap_disk(0)
        await fetch(models, server, "d")
        assert len(names(models)) == 3


async def test_the_pool_does_not_allow_more_than_the_settings_do(tmp_path: Path, server: Origin) -> None:
    async with store(tmp_path, space=TWO, world=days_apart()) as models:
        models.cap_disk(1_000_000)
        await fetch(models, server, "a", "b", "c")
        assert len(names(models)) == 2


async def test_a_machine_has_as_much_disk_for_models_as_its_settings_let_them_take(tmp_path: Path) -> None:
    async with store(tmp_path, space=TWO) as models:
        models.cap_disk(1_000)
        assert models.disk_bytes == 300_000
    async with store(tmp_path) as models:
        assert models.disk_bytes == shutil.disk_usage(tmp_path).total
