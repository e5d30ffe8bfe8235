"""What a restore refuses, what it survives, and what is there afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from northstar.assembly.backups import restore as module
from northstar.assembly.backups.errors import (
    BrokersRun,
    CellOfAnotherName,
    HistoryElsewhereThan,
    NoRoomToRestore,
    OutputsNotInAFolder,
    PlaceNotEmpty,
    PlaceUnwritable,
    RestoreUnfinished,
)
from northstar.assembly.job_past import HistoryUnreadable
from northstar.assembly.run_file import NotRunning
from northstar.assembly.serve import running_serve
from northstar.config import Settings
from northstar.domain.archives import Manifest
from northstar.domain.refusals import CellMissing
from northstar.store.archives.errors import ArchiveDamaged, ArchiveUnsupported
from northstar.store.cell import Cell
from northstar.store.copies.errors import CellNotEmpty
from northstar.store.copies.staging import StagedCell
from northstar.store.errors import DataDirectoryInUse
from northstar.store.history.copies import copy_history
from northstar.store.history.errors import HistoryTooNew
from northstar.surfaces.http.server import open_door
from tests import servers
from tests.assembly.backups.conftest import (
    Installation,
    at_work,
    caught_up,
    expect_restored,
    files_below,
    furnish,
    made_of,
    restored,
    running,
    settings_of,
    state_of,
)
from tests.store.archives.test_archives import rewritten

Elsewhere = Callable[..., Settings]


async def test_it_comes_back_on_a_host_that_has_nothing(installation: Installation, elsewhere: Elsewhere) -> None:
    done = await restored(elsewhere(), installation.archive)
    before = installation.made.manifest.cell
    assert done.epoch == before.epoch + 1
    state = await expect_restored(elsewhere())
    assert state.epoch > done.epoch
    assert state.in_history == {"done"}


async def test_nothing_is_written_by_an_archive_that_is_damaged(
    installation: Installation, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    whole = installation.archive.read_bytes()
    at = len(whole) // 2
    for damaged in (whole[:at], whole[:-1], whole[:at] + b"\x00" * 64 + whole[at + 64 :]):
        installation.archive.write_bytes(damaged)
        with pytest.raises(ArchiveDamaged):
            await restored(elsewhere(), installation.archive)
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda told: told.update(format=2), ArchiveUnsupported),
        (lambda told: told["cell"].update(schema=2), ArchiveUnsupported),
        (lambda told: told["cell"]["entries"].update(wishes=3), ArchiveUnsupported),
        (lambda told: told["cell"].update(clock="virtual"), ArchiveUnsupported),
        (lambda told: told["history"].update(revision="9999"), HistoryTooNew),
        (lambda told: told["cell"].update(name="another"), CellOfAnotherName),
    ],
    ids=["form", "layout", "parts", "clock", "history", "name"],
)
async def test_nothing_is_written_by_an_archive_that_does_not_fit(
    installation: Installation,
    elsewhere: Elsewhere,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
    error: type[Exception],
) -> None:
    rewritten(installation.archive, change)
    with pytest.raises(error):
        await restored(elsewhere(), installation.archive)
    assert not (tmp_path / "second").exists()


async def test_what_is_there_stays_unless_it_is_said(installation: Installation, elsewhere: Elsewhere) -> None:
    with pytest.raises(CellNotEmpty):
        await restored(installation.settings, installation.archive)
    async with running(installation.settings) as stack:
        assert (await state_of(stack)).statuses["held"] == "running"
        with pytest.raises(DataDirectoryInUse):
            await restored(installation.settings, installation.archive, replace=True)
    only_history = elsewhere()
    only_history.data_path.mkdir()
    (only_history.data_path / "history.db").write_bytes(b"somebody's")
    with pytest.raises(PlaceNotEmpty):
        await restored(only_history, installation.archive)
    assert (only_history.data_path / "history.db").read_bytes() == b"somebody's"
    await restored(only_history, installation.archive, replace=True)
    await expect_restored(only_history)


async def test_who_does_not_agree_changes_nothing(
    installation: Installation, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    def refuse(manifest: Manifest) -> None:
        assert manifest.cell.running == 1
        raise KeyError("no")

    with pytest.raises(KeyError):
        await restored(elsewhere(), installation.archive, agree=refuse)
    assert not (tmp_path / "second").exists()


async def test_a_disk_without_room_is_named_before_anything_is_written(
    installation: Installation, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=10))
    with pytest.raises(NoRoomToRestore, match="10 bytes free"):
        await restored(elsewhere(), installation.archive)
    assert not (tmp_path / "second").exists()


# Interruptions --------------------------------------------------------------------------------------------------------


class Broken(BaseException):
    """Stands for the end of the process."""


#: Where a restore may break off once it has begun to put things into their places.
STEPS = [
    (StagedCell, "clear"),
    (module._Work, "_write_outputs"),
    (module._Work, "_put_history"),
    (module._Work, "_write_settings"),
    (StagedCell, "take_its_place"),
    (module, "remove_mark"),
]


@pytest.mark.parametrize(("where", "step"), STEPS, ids=[step for _, step in STEPS])
async def test_a_restore_that_breaks_off_looks_like_none_and_is_ended_by_running_it_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, where: Any, step: str
) -> None:
    def broken(*_: Any) -> Any:
        raise Broken

    monkeypatch.setattr(where, step, broken)
    with pytest.raises(Broken):
        await restored(installation.settings, installation.archive, replace=True)
    with pytest.raises(RestoreUnfinished, match=r"run it again: northstar restore .*backup\.zip"):
        async with running(installation.settings):
            pass
    monkeypatch.undo()
    await restored(installation.settings, installation.archive)  # it knows its own work again
    await expect_restored(installation.settings)


@pytest.mark.parametrize("step", ["write", "begin_anew", "clear", "take_its_place"])
async def test_a_restore_that_is_killed_leaves_nothing_in_the_way_of_the_next(
    installation: Installation, elsewhere: Elsewhere, step: str
) -> None:
    target = elsewhere()
    replace = step == "clear"
    code = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from northstar.store.copies.staging import StagedCell\n"
        "from tests.assembly.backups.conftest import restored, settings_of\n"
        f"StagedCell.{step} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"asyncio.run(restored(settings_of(Path(sys.argv[1])), Path(sys.argv[2]), replace={replace}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(target.data_path), str(installation.archive)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    await restored(target, installation.archive)
    await expect_restored(target)


async def test_a_place_that_cannot_be_written_is_named_and_left_as_it_was(
    installation: Installation, elsewhere: Elsewhere
) -> None:
    target = elsewhere(history__url="sqlite:////proc/northstar/history.db")
    with pytest.raises(PlaceUnwritable, match="/proc/northstar"):
        await restored(target, installation.archive)
    await restored(elsewhere(), installation.archive)
    await expect_restored(elsewhere())


# Servers elsewhere ----------------------------------------------------------------------------------------------------


@pytest.mark.redis7
async def test_a_cell_goes_from_the_embedded_server_to_one_elsewhere_and_back(
    installation: Installation, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    async with servers.redis7() as server:
        there = elsewhere(valkey__url=server.url)
        await restored(there, installation.archive)
        async with running(there) as stack:
            assert (await state_of(stack)).statuses["held"] == "queued"
            again = await made_of(there, tmp_path / "again.zip")
        with pytest.raises(BrokersRun, match="serve on "):
            async with running_serve(there, open_door=open_door):
                await restored(there, installation.archive, replace=True)
    assert again.manifest.cell.server.startswith("redis 7")
    await restored(elsewhere("third"), again.path)
    await expect_restored(elsewhere("third"))


async def test_a_cell_in_a_cluster_comes_back(elsewhere: Elsewhere, tmp_path: Path) -> None:
    async with servers.cluster() as cluster:
        there = elsewhere(valkey__url=cluster.url)
        async with running(there) as stack:
            await furnish(stack)
            made = await made_of(there, tmp_path / "cluster.zip")
        async with cluster.client() as client:
            for node in cluster.nodes:
                async with servers.RunningServer(node.url).client() as one:
                    await one.execute_command("FLUSHALL")
            assert client is not None
        (there.data_path / "history.db").unlink()
        await restored(there, made.path)
        await expect_restored(there)


# Histories ------------------------------------------------------------------------------------------------------------


async def test_a_history_that_went_on_takes_the_events_of_the_restored_cell(
    installation: Installation, tmp_path: Path
) -> None:
    settings = installation.settings
    for _ in range(3):  # each start raises the epoch, and the history follows
        async with running(settings) as stack:
            await at_work(stack).submit(f"later-{_}")
            await caught_up(stack)
    done = await restored(settings, installation.archive, replace=True, history=False)
    assert done.epoch > installation.made.manifest.cell.epoch + 3
    async with running(settings) as stack:
        await caught_up(stack)
        assert (await state_of(stack)).statuses["held"] == "queued"


async def test_the_history_of_a_backup_ends_where_its_cell_ends(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from northstar.assembly.backups import backup

    settings = elsewhere()
    async with running(settings) as stack:
        await furnish(stack)

        async def more() -> None:
            await at_work(stack).submit("later")
            await stack.cell.cancel(["waits-1", "later"], because="test")
            await caught_up(stack)

        loop = asyncio.get_running_loop()

        def late(*arguments: Any, **named: Any) -> None:
            """Between the copy of the cell and that of the history, work goes on."""
            asyncio.run_coroutine_threadsafe(more(), loop).result(timeout=30)
            copy_history(*arguments, **named)

        monkeypatch.setattr(backup, "copy_history", late)
        made = await made_of(settings, tmp_path / "late.zip")
    await restored(elsewhere("third"), made.path)
    state = await expect_restored(elsewhere("third"))
    assert state.in_history == {"done"}


async def test_a_history_of_another_cell_is_not_taken_along(installation: Installation, elsewhere: Elsewhere) -> None:
    async with running(elsewhere()) as stack:
        await furnish(stack)
    path = installation.settings.data_path / "history.db"
    path.write_bytes((elsewhere().data_path / "history.db").read_bytes())
    for end in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + end).unlink()
    with pytest.raises(HistoryUnreadable, match="it is another one"):
        await made_of(installation.settings, installation.archive.with_name("other.zip"))
    assert not installation.archive.with_name("other.zip").exists()
    path.unlink()
    with pytest.raises(HistoryUnreadable, match="the file is not there"):
        await made_of(installation.settings, installation.archive.with_name("other.zip"))
    made = await made_of(installation.settings, installation.archive.with_name("other.zip"), history=False)
    assert made.manifest.history.kind == "elsewhere"


async def test_a_history_in_a_database_server_is_named_and_left(
    installation: Installation, elsewhere: Elsewhere
) -> None:
    pytest.importorskip("psycopg")
    target = elsewhere(history__url="postgresql://me:secret@127.0.0.1:1/history")
    with pytest.raises(HistoryElsewhereThan, match="--without-history") as refused:
        await restored(target, installation.archive)
    assert "secret" not in str(refused.value)
    made = await made_of(
        settings_of(installation.settings.data_path, history__url="postgresql://me:secret@127.0.0.1:1/history"),
        installation.archive.with_name("other.zip"),
    )
    assert made.manifest.history.kind == "elsewhere"
    assert b"secret" not in made.path.read_bytes()


# Webhooks -------------------------------------------------------------------------------------------------------------


async def test_the_key_of_webhooks_comes_back_and_none_is_overwritten_unasked(
    installation: Installation, elsewhere: Elsewhere
) -> None:
    key, target = installation.settings.data_path / "webhooks.key", elsewhere()
    await restored(target, installation.archive)
    there = target.data_path / "webhooks.key"
    assert there.read_bytes() == key.read_bytes()
    assert there.stat().st_mode & 0o077 == 0
    another = elsewhere("third")
    another.data_path.mkdir()
    (another.data_path / "webhooks.key").write_text("somebody's")
    with pytest.raises(PlaceNotEmpty, match=r"webhooks\.key"):
        await restored(another, installation.archive)
    assert (another.data_path / "webhooks.key").read_text() == "somebody's"


# Nothing to back up ---------------------------------------------------------------------------------------------------


async def test_there_must_be_something_to_back_up(elsewhere: Elsewhere, tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        await made_of(elsewhere(), tmp_path / "x.zip")
    async with servers.embedded_valkey() as server:
        with pytest.raises(CellMissing):
            await made_of(elsewhere(valkey__url=server.url), tmp_path / "x.zip")
        async with server.client() as client:
            assert await client.execute_command("KEYS", "*") == []
            assert Cell(client, "x").name == "x"
    assert files_below(tmp_path) == set()


async def test_outputs_in_a_bucket_are_named_and_left(installation: Installation, elsewhere: Elsewhere) -> None:
    wanted = settings_of(installation.settings.data_path, assets__url="memory://bucket/outputs")
    with pytest.raises(OutputsNotInAFolder, match="leave --outputs out"):
        await made_of(wanted, installation.archive.with_name("other.zip"), outputs=True)
    made = await made_of(wanted, installation.archive.with_name("other.zip"))
    assert made.manifest.outputs.included is False
    assert "memory" in made.manifest.outputs.place
