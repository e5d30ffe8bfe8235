"""What a models folder holds already: found, checked, hashed in the background, remembered."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from northstar.agent.models.changes import ModelChange
from northstar.agent.models.errors import ModelMissing, ModelStoreUnavailable
from northstar.agent.models.fetch_errors import FetchFailed
from northstar.agent.models.flights import OnProgress
from northstar.agent.models.options import World
from northstar.agent.models.store import ModelStore
from northstar.domain.models import ModelHeld
from tests.agent.models.builders import order, safetensors, sha256, store
from tests.agent.models.origin import origin

SMALL, OTHER = safetensors(100), safetensors(200, seed=3)


def put(root: Path, place: str, data: bytes = SMALL) -> Path:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


async def hashed(models: ModelStore) -> dict[str, str]:
    """The hashes, once the background has them all."""
    while any(file.sha256 is None for file in models.files()):
        await asyncio.sleep(0.001)
    return {f"{file.key.family}/{file.key.name}": str(file.sha256) for file in models.files()}


async def test_every_kind_of_folder_is_looked_through(tmp_path: Path) -> None:
    for place in ("checkpoints/a", "loras/style/b", "unet/c", "clip/d", "vae/e", "upscale_models/f", "clip_vision/g"):
        put(tmp_path, f"{place}.safetensors")
    for place in ("loras/readme.txt", "loras/.hidden.safetensors", ".git/h.safetensors", "stray.safetensors"):
        put(tmp_path, place)
    async with store(tmp_path) as models:
        kinds = {file.key.name.partition(".")[0]: file.key.kind for file in models.files()}
        assert models.problems() == ()
        assert await hashed(models) == {
            f"{place}.safetensors": sha256(SMALL)
            for place in (
                "checkpoints/a",
                "loras/style/b",
                "diffusion_models/c",
                "text_encoders/d",
                "vae/e",
                "upscale_models/f",
                "clip_vision/g",
            )
        }
    assert kinds == {
        "a": "checkpoint",
        "style/b": "lora",
        "c": "diffusion_model",
        "d": "text_encoder",
        "e": "vae",
        "f": "upscaler",
        "g": "other",
    }


async def test_a_hash_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    first, second = put(tmp_path, "vae/a.safetensors"), put(tmp_path, "vae/b.safetensors")
    async with store(tmp_path) as models:
        await hashed(models)
    second.write_bytes(OTHER)
    slow = 1e-9  # nothing is hashed in this life
    async with store(tmp_path, hash_bytes_per_s=slow) as models:
        known = {file.path: file.sha256 for file in models.files()}
        assert known == {first: sha256(SMALL), second: None}
    async with store(tmp_path) as models:
        assert (await hashed(models))["vae/b.safetensors"] == sha256(OTHER)


async def test_hashing_keeps_to_its_rate(tmp_path: Path) -> None:
    put(tmp_path, "vae/a.safetensors", safetensors(10_000_000))
    now, slept = [0.0], asyncio.Event()

    async def sleep(seconds: float) -> None:
        now[0] += seconds
        slept.set()
        await asyncio.sleep(0)

    world = World(clock=lambda: now[0], sleep=sleep)
    async with store(tmp_path, world=world, hash_bytes_per_s=1e6) as models:
        await hashed(models)
    assert 9.0 <= now[0] <= 11.0


async def test_extra_roots_are_offered_and_never_changed(tmp_path: Path) -> None:
    put(tmp_path / "shared", "loras/a.safetensors")
    async with store(tmp_path / "models", extra_roots=(tmp_path / "shared",), evict_found=True) as models:
        assert models.held() == (ModelHeld("a.safetensors", "disk", len(SMALL)),)
        with pytest.raises(Exception, match="is not removed"):
            await models.evict("a.safetensors")


async def test_of_two_files_of_one_name_the_first_counts_and_the_other_is_told(tmp_path: Path) -> None:
    put(tmp_path, "diffusion_models/a.safetensors")
    put(tmp_path, "unet/a.safetensors", OTHER)
    put(tmp_path, "vae/a.safetensors", OTHER)
    async with store(tmp_path) as models:
        assert len(models.held()) == 1
        assert {str(file.path.relative_to(tmp_path)) for file in models.files()} == {
            "diffusion_models/a.safetensors",
            "vae/a.safetensors",
        }
        assert [(Path(one.path).parent.name, "same name" in one.reason) for one in models.problems()] == [
            ("unet", True)
        ]


async def test_what_cannot_be_offered_is_told_with_its_reason(tmp_path: Path) -> None:
    root = tmp_path / "models"
    put(tmp_path, "outside/secret.safetensors")
    put(root, "checkpoints/cut.safetensors", SMALL[:-1])
    put(root, "checkpoints/old.ckpt", pickle.dumps([1]))
    put(root, "checkpoints/sly.safetensors", pickle.dumps([1]))
    put(root, "checkpoints/odd\n.safetensors")
    (root / "checkpoints/link.safetensors").symlink_to(tmp_path / "outside/secret.safetensors")
    (root / "checkpoints/dangling.safetensors").symlink_to(tmp_path / "nowhere")
    (root / "loras").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "checkpoints/pipe.safetensors")
    (root / "checkpoints" / os.fsdecode(b"\xff.safetensors")).write_bytes(SMALL)
    async with store(root) as models:
        assert models.held() == ()
        told = {Path(one.path).name.partition(".")[0]: one.reason for one in models.problems()}
    assert set(told) == {"cut", "old", "sly", "odd\n", "link", "dangling", "loras", "pipe", "\ufffd"}
    assert "follow the header" in told["cut"]
    assert told["old"] == told["sly"] == "it is a pickle, and models.allow_pickle is false"
    assert "leads out of the folder" in told["link"]
    assert "cannot be told" in told["odd\n"]


async def test_a_damaged_journal_costs_only_time(tmp_path: Path) -> None:
    put(tmp_path, "vae/a.safetensors")
    async with store(tmp_path) as models:
        await hashed(models)
    (tmp_path / ".northstar/journal.db").write_bytes(b"not a database" * 1_000)
    async with store(tmp_path) as models:
        assert await hashed(models) == {"vae/a.safetensors": sha256(SMALL)}


async def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelStoreUnavailable, match="the models folder failed"):
        async with store(tmp_path / "file/models"):
            pass


async def test_what_is_in_memory_is_announced_as_resident_and_first(tmp_path: Path) -> None:
    put(tmp_path, "vae/a.safetensors")
    put(tmp_path, "vae/b.safetensors")
    async with store(tmp_path) as models:
        models.set_resident(["b.safetensors"])
        assert [(one.name, one.state) for one in models.held()] == [
            ("a.safetensors", "disk"),
            ("b.safetensors", "resident"),
        ]
        assert [one.name for one in models.held(limit=1)] == ["b.safetensors"]


# Changes -------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def listening(models: ModelStore) -> AsyncIterator[list[ModelChange]]:
    """Everything that is told while the block runs."""
    told: list[ModelChange] = []
    stream = models.changes()

    async def listen() -> None:
        async for change in stream:
            told.append(change)  # noqa: PERF401 -- each one at once, for whoever looks meanwhile

    task = asyncio.ensure_future(listen())
    yield told
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def test_fetches_and_evictions_are_told_in_order(tmp_path: Path) -> None:
    async with origin(SMALL) as server, store(tmp_path) as models:
        async with listening(models) as told:
            await models.fetch(order(f"{server.url}/a", SMALL))
            await models.evict("a.safetensors")
            with pytest.raises(FetchFailed):
                await models.fetch(order(f"{server.url}/a", SMALL, sha256="0" * 64))
        seen = [(one.what, one.outcome or one.code) for one in told]
        assert seen == [
            ("fetch_started", ""),
            ("fetch_ended", "fetched"),
            ("came", ""),
            ("gone", ""),
            ("fetch_started", ""),
            ("fetch_ended", "failed"),
        ]
        assert told[-1].code == "NS_MODEL_DAMAGED"
        assert {one.name for one in told} == {"a.safetensors"}


async def test_files_that_others_put_there_or_take_away_are_noticed(tmp_path: Path) -> None:
    async with store(tmp_path) as models:
        async with listening(models) as told:
            path = put(tmp_path, "vae/a.safetensors")
            await models.look()
            path.unlink()
            await models.look()
        assert [(one.what, one.name) for one in told] == [("came", "a.safetensors"), ("gone", "a.safetensors")]


async def test_a_model_that_somebody_deleted_is_fetched_again(tmp_path: Path) -> None:
    async with origin(SMALL) as server, store(tmp_path) as models:
        file = await models.fetch(order(f"{server.url}/a", SMALL))
        file.path.unlink()
        async with models.using([order(f"{server.url}/a", SMALL)]) as files:
            assert files[0].path.read_bytes() == SMALL
        assert len(server.asked) == 2


async def test_a_found_file_is_taken_for_the_ordered_one_when_its_hash_says_so(tmp_path: Path) -> None:
    put(tmp_path, "checkpoints/a.safetensors")
    no_progress: OnProgress | None = None
    async with origin(SMALL) as server, store(tmp_path, hash_bytes_per_s=1e-9) as models:
        file = await models.fetch(order(f"{server.url}/a", SMALL), on_progress=no_progress)
        assert file.sha256 == sha256(SMALL)
        assert server.asked == []


async def test_a_listener_that_is_too_slow_is_told_to_look_anew(tmp_path: Path) -> None:
    async with store(tmp_path) as models:
        stream = models.changes()
        for number in range(3_000):
            models._changes.tell(ModelChange(what="came", name=str(number)))
    told = [change async for change in stream]
    assert told[0].what == "missed"
    assert told[-1].name == "2999"
    assert len(told) < 1_100


async def test_a_model_that_is_evicted_cannot_be_used_by_name_but_that_is_no_error(tmp_path: Path) -> None:
    async with store(tmp_path) as models:
        with models.use(["nobody knows this"]):
            assert models.held() == ()
        with pytest.raises(ModelMissing):
            await models.evict("nobody knows this")
