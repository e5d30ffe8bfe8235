"""Back from an archive: first everything is verified, then everything is made ready beside its place, and only then it takes that place.

The cell goes last, and what was there goes first, so whatever is interrupted in between looks like no installation and not like a whole
one. The same command may be run again at any point.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from northstar.assembly.backups.errors import (
    BrokersRun,
    CellOfAnotherName,
    HistoryElsewhereThan,
    NoRoomToRestore,
    OutputsNotInAFolder,
    PlaceNotEmpty,
    PlaceUnwritable,
)
from northstar.assembly.backups.mark import Mark, read_mark, remove_mark, write_mark
from northstar.assembly.backups.private_files import holds_another, write_private
from northstar.assembly.backups.reaching import Reached, server_for_the_cell
from northstar.assembly.outputs import asset_store
from northstar.assembly.webhooks import key_path
from northstar.config import Settings
from northstar.domain.archives import Manifest
from northstar.store.archives.errors import ArchiveUnsupported
from northstar.store.archives.reader import (
    CONFIGURATION,
    HISTORY,
    OUTPUTS,
    WEBHOOK_KEY,
    Archive,
    opened_archive,
)
from northstar.store.asset_folder import LocalFolder
from northstar.store.asset_names import checked_key
from northstar.store.brokers import read_brokers
from northstar.store.cell import Cell
from northstar.store.copies.staging import StagedCell, staged
from northstar.store.function_library import SCHEMA_VERSION
from northstar.store.history.copies import draft_of, expect_whole, put_history
from northstar.store.history.database import HistoryDatabase
from northstar.store.history.rows import read_offset_if_any
from northstar.store.history.url import parse_history_url
from northstar.store.keys import KEY_KINDS, CellKeys

#: Where files of settings are put, below the data directory: nobody can know where they were wanted.
RESTORED_SETTINGS: Final = "restored-settings"


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was restored."""

    manifest: Manifest
    #: The cell's epoch now; whatever was given out before it is worth nothing.
    epoch: int
    #: Where the settings of the archive lie; None where it had none.
    settings_in: Path | None
    #: Files of finished jobs that were written.
    outputs: int
    #: Where outputs were when the archive was written, if that is elsewhere than now: results name their files by address.
    outputs_were_at: str


async def restore(
    settings: Settings,
    path: Path,
    *,
    replace: bool,
    history: bool,
    agree: Callable[[Manifest], None],
    new_id: Callable[[], str],
) -> Restored:
    """Make of the archive `path` what it was made of. `agree` is asked once all of it is verified, and raises what it likes.

    Without `history`, that of the archive is left out, and what is in its place stays.

    Raises:
        ArchiveUnreadable, ArchiveDamaged, ArchiveUnsupported, CellOfAnotherName, HistoryElsewhereThan, OutputsNotInAFolder: it cannot be
            restored here at all.
        CellNotEmpty, PlaceNotEmpty: something is there, and `replace` was not said. BrokersRun, DataDirectoryInUse: somebody works on it.
        NoRoomToRestore, PlaceUnwritable, Unavailable: it cannot be written; run it again.
    """
    with opened_archive(path) as archive:
        work = _Work(settings, archive, replace=replace, history=history, new_id=new_id)
        work.expect_understood()
        await asyncio.to_thread(archive.verify)
        agree(archive.manifest)
        await asyncio.to_thread(work.expect_room)
        async with server_for_the_cell(settings) as reached:
            return await work.run(reached)


class _Work:
    def __init__(
        self, settings: Settings, archive: Archive, *, replace: bool, history: bool, new_id: Callable[[], str]
    ) -> None:
        self._settings = settings
        self._archive = archive
        self._manifest = archive.manifest
        self._new_id = new_id
        mark = read_mark(settings.data_path)
        # What an interrupted run of this very archive left is its own.
        self._replace = replace or (mark is not None and mark.archive == archive.manifest.id)
        self._history = history
        self._history_path = parse_history_url(settings.history_url).path

    def expect_understood(self) -> None:
        """Raises ArchiveUnsupported, CellOfAnotherName, HistoryElsewhereThan, OutputsNotInAFolder, HistoryTooNew."""
        cell, path = self._manifest.cell, self._archive.path
        if cell.schema != SCHEMA_VERSION:
            raise ArchiveUnsupported(path, what="a cell of layout", found=str(cell.schema), known=str(SCHEMA_VERSION))
        if unknown := sorted(cell.entries.keys() - KEY_KINDS.keys()):
            raise ArchiveUnsupported(path, what="parts of a cell", found=", ".join(unknown), known="none of them")
        if cell.clock != "live":
            raise ArchiveUnsupported(path, what="a cell on the clock", found=cell.clock, known="live")
        if cell.name != self._settings.cell_name:
            raise CellOfAnotherName(found=cell.name, wanted=self._settings.cell_name)
        if self._takes_history:
            if self._history_path is None:
                raise HistoryElsewhereThan(parse_history_url(self._settings.history_url).shown)
            from northstar.store.history.upgrade import expect_known  # noqa: PLC0415 -- its libraries take long

            expect_known(self._manifest.history.revision, place=str(path))
        if self._manifest.outputs.included:
            self._outputs_folder()

    def expect_room(self) -> None:
        """Raises NoRoomToRestore."""
        sizes = {part.name: part.size_bytes for part in self._manifest.parts}
        wanted: list[tuple[Path, int]] = [(self._settings.data_path, sum(sizes.values()) - _outputs_bytes(sizes))]
        if self._manifest.outputs.included:
            wanted.append((self._outputs_folder().local_path("x").parent, _outputs_bytes(sizes)))
        for folder, needed in wanted:
            there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
            free = shutil.disk_usage(there).free
            if needed > free:
                raise NoRoomToRestore(folder, needed_bytes=needed, free_bytes=free)

    async def run(self, reached: Reached) -> Restored:
        """Make everything ready, then put it into its place."""
        keys = CellKeys(self._manifest.cell.name)
        if not reached.alone:
            brokers = await read_brokers(Cell(reached.client, reached.cell))
            if brokers:
                raise BrokersRun([f"{broker.kind} on {broker.host}" for broker in brokers])
        async with staged(reached.client, keys, restore_id=self._new_id()) as cell:
            if not self._replace:
                await cell.expect_empty()
                self._expect_no_files()
            above = 0 if self._takes_history else await self._epoch_elsewhere()
            try:
                await asyncio.to_thread(self._stage_history)
                await cell.write(self._archive.frames(), sizes=self._manifest.cell.entries)
                opened = await cell.begin_anew(self._settings.limits, nonce=self._new_id()[:16], above_epoch=above)
                outputs, settings_in = await self._take_place(cell)
            finally:
                if self._takes_history and self._history_path is not None:
                    draft_of(self._history_path).unlink(missing_ok=True)
        return Restored(
            manifest=self._manifest,
            epoch=opened.epoch,
            settings_in=settings_in,
            outputs=outputs,
            outputs_were_at=self._outputs_were_at(),
        )

    # Making ready -----------------------------------------------------------------------------------------------------

    @property
    def _takes_history(self) -> bool:
        return self._history and self._manifest.history.kind == "file"

    def _expect_no_files(self) -> None:
        if self._has_webhook_key and holds_another(key_path(self._settings), self._archive.chunks(WEBHOOK_KEY)):
            raise PlaceNotEmpty(key_path(self._settings))
        has_one = self._history and self._manifest.history.kind != "elsewhere"
        if has_one and self._history_path is not None and self._history_path.exists():
            raise PlaceNotEmpty(self._history_path)

    async def _epoch_elsewhere(self) -> int:
        """The epoch up to which the history that stays has the cell: it takes no events of an earlier one."""
        if self._history_path is not None and not self._history_path.exists():
            return 0
        database = HistoryDatabase(self._settings.history_url)
        try:
            return (await database.read(lambda asked: read_offset_if_any(asked, self._manifest.cell.name))).epoch
        finally:
            await database.close()

    def _stage_history(self) -> None:
        if not self._takes_history or self._history_path is None:
            return
        draft = draft_of(self._history_path)
        try:
            draft.parent.mkdir(parents=True, exist_ok=True)
            write_private(draft, self._archive.chunks(HISTORY))
        except OSError as exc:
            raise PlaceUnwritable(draft, reason=exc.strerror or str(exc)) from exc
        expect_whole(draft)

    # Taking its place -------------------------------------------------------------------------------------------------

    async def _take_place(self, cell: StagedCell) -> tuple[int, Path | None]:
        mark = Mark(archive=self._manifest.id, file=str(self._archive.path.absolute()))
        await asyncio.to_thread(write_mark, self._settings.data_path, mark)
        if self._replace:
            await cell.clear()
        outputs = await asyncio.to_thread(self._write_outputs)
        await asyncio.to_thread(self._put_history)
        await asyncio.to_thread(self._write_webhook_key)
        settings_in = await asyncio.to_thread(self._write_settings)
        await cell.take_its_place()
        await asyncio.to_thread(remove_mark, self._settings.data_path)
        return outputs, settings_in

    def _put_history(self) -> None:
        if self._history_path is None:
            return
        try:
            if self._takes_history:
                put_history(self._history_path)
            elif self._history and self._manifest.history.kind == "none":
                self._history_path.unlink(missing_ok=True)  # it is of what was replaced
        except OSError as exc:
            raise PlaceUnwritable(self._history_path, reason=exc.strerror or str(exc)) from exc

    def _write_outputs(self) -> int:
        if not self._manifest.outputs.included:
            return 0
        folder, written = self._outputs_folder(), 0
        for part in self._manifest.parts:
            if not part.name.startswith(OUTPUTS):
                continue
            key = checked_key(part.name.removeprefix(OUTPUTS))
            there = folder.local_path(key)
            try:
                # The name has the hash of what is in it.
                if there.exists() and there.stat().st_size == part.size_bytes:
                    continue
                folder.write(key, self._archive.chunks(part.name), sha256=part.sha256)
            except OSError as exc:
                raise PlaceUnwritable(there, reason=exc.strerror or str(exc)) from exc
            written += 1
        return written

    @property
    def _has_webhook_key(self) -> bool:
        return WEBHOOK_KEY in self._archive.names

    def _write_webhook_key(self) -> None:
        if self._has_webhook_key:
            path = key_path(self._settings)
            try:
                write_private(path, self._archive.chunks(WEBHOOK_KEY))
            except OSError as exc:
                raise PlaceUnwritable(path, reason=exc.strerror or str(exc)) from exc

    def _write_settings(self) -> Path | None:
        names = [name for name in self._archive.names if name.startswith(CONFIGURATION)]
        if not names:
            return None
        folder = self._settings.data_path / RESTORED_SETTINGS
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            for name in names:
                write_private(folder / name.removeprefix(CONFIGURATION), self._archive.chunks(name))
        except OSError as exc:
            raise PlaceUnwritable(folder, reason=exc.strerror or str(exc)) from exc
        return folder

    def _outputs_folder(self) -> LocalFolder:
        place = asset_store(self._settings).place
        if not isinstance(place, LocalFolder):
            raise OutputsNotInAFolder(place.url)
        return place

    def _outputs_were_at(self) -> str:
        was = self._manifest.outputs.place
        return "" if was == asset_store(self._settings).url else was


def _outputs_bytes(sizes: dict[str, int]) -> int:
    return sum(size for name, size in sizes.items() if name.startswith(OUTPUTS))
