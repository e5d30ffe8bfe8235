"""Everything that an installation needs to come back, as one file.

First the cell, as it was at one moment; then the history, cut back to that moment; then, where it is wished, the files of finished jobs,
which the cell names; last the settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from northstar import __version__
from northstar.assembly.backups.errors import OutputsNotInAFolder
from northstar.assembly.backups.reaching import Reached, server_with_the_cell
from northstar.assembly.job_past import HistoryUnreadable
from northstar.assembly.outputs import asset_store
from northstar.assembly.webhooks import key_path
from northstar.config import Settings
from northstar.domain.archives import FORMAT, ArchivedCell, ArchivedHistory, ArchivedOutputs, Manifest
from northstar.domain.events import EventId
from northstar.store.archives.reader import CELL, CONFIGURATION, HISTORY, OUTPUTS, WEBHOOK_KEY
from northstar.store.archives.writer import ArchiveWriter, new_archive
from northstar.store.asset_errors import AssetStoreUnavailable
from northstar.store.asset_folder import LocalFolder
from northstar.store.cell import Cell
from northstar.store.copies.frames import encoded
from northstar.store.copies.snapshot import CellCopy, copied
from northstar.store.history import read_bond
from northstar.store.history.bond import Bond
from northstar.store.history.copies import copy_history, identity_in, revision_in
from northstar.store.history.url import parse_history_url
from northstar.store.keys import CellKeys

#: Largest file of settings that goes along.
_MAX_SETTINGS_BYTES: Final = 1_000_000
_MAX_KEY_BYTES: Final = 4_096


class BackUp(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, and where."""

    path: Path
    size_bytes: int
    manifest: Manifest
    #: Files of finished jobs that went, as their time was over, while they were being copied.
    outputs_gone: int = 0


async def back_up(
    settings: Settings,
    path: Path,
    *,
    outputs: bool,
    history: bool,
    files: tuple[Path, ...],
    new_id: Callable[[], str],
) -> BackUp:
    """Write the archive `path`, with the files of finished jobs if `outputs`, and these files of settings.

    Raises:
        ArchiveExists, ArchiveUnwritable: it cannot be written, and nothing of it is left.
        OutputsNotInAFolder: the files of finished jobs are in a bucket, and were wished for.
        NotRunning, CellMissing: there is nothing to back up. HistoryUnreadable: the history is another one than the cell's.
        Unavailable: a part of it cannot be reached.
    """
    folder = _folder_of_outputs(settings) if outputs else None
    async with server_with_the_cell(settings) as reached:
        with ExitStack() as stack:
            archive = stack.enter_context(new_archive(path))
            keys = CellKeys(reached.cell)
            bond = await read_bond(Cell(reached.client, reached.cell))
            async with copied(reached.client, keys, copy_id=new_id()) as copy:
                await _write_cell(archive, copy)
            kept = await asyncio.to_thread(_write_history, archive, settings, copy, reached.cell, bond, history=history)
            written, gone = ArchivedOutputs(place=asset_store(settings).url), 0
            if folder is not None:
                written, gone = await asyncio.to_thread(_write_outputs, archive, folder, cell=reached.cell)
            await asyncio.to_thread(_write_files, archive, files)
            await asyncio.to_thread(_write_webhook_key, archive, settings)
            manifest = Manifest(
                format=FORMAT,
                id=new_id(),
                northstar=__version__,
                cell=_cell_of(reached, copy),
                history=kept,
                outputs=written,
                parts=tuple(archive.parts),
            )
            await asyncio.to_thread(archive.end, manifest)
    status = await asyncio.to_thread(path.stat)
    return BackUp(path=path, size_bytes=status.st_size, manifest=manifest, outputs_gone=gone)


async def _write_cell(archive: ArchiveWriter, copy: CellCopy) -> None:
    with archive.part(CELL) as part:
        async for frame in copy.frames():
            await asyncio.to_thread(part.write, encoded(frame))


def _cell_of(reached: Reached, copy: CellCopy) -> ArchivedCell:
    return ArchivedCell(
        name=reached.cell,
        id=copy.identity.id,
        schema=copy.identity.schema,
        clock=copy.identity.clock,
        epoch=copy.identity.epoch,
        event="" if copy.latest is None else str(copy.latest),
        at_ms=copy.at_ms,
        server=f"{reached.facts.kind} {reached.facts.version}",
        entries=copy.sizes,
        waiting=copy.sizes.get("waiting", 0),
        running=copy.sizes.get("leases", 0),
    )


def _write_history(
    archive: ArchiveWriter, settings: Settings, copy: CellCopy, cell: str, bond: Bond | None, *, history: bool
) -> ArchivedHistory:
    """The history as it is in the archive; the copy needs as much room beside the archive as the history has. Blocks."""
    url = parse_history_url(settings.history_url)
    if not history or url.path is None:
        return ArchivedHistory(kind="elsewhere", place=url.shown)
    if not url.path.exists():
        if bond is None:
            return ArchivedHistory(kind="none", place=url.shown)
        raise HistoryUnreadable(tried=url.shown, bond=bond, reason="the file is not there")
    draft = archive.path.with_name(f".{archive.path.name}.history.part")
    try:
        draft.unlink(missing_ok=True)  # of one that was killed
        copy_history(url.path, draft, cell=cell, up_to=copy.latest or EventId(0, 0))
        if bond is not None and identity_in(draft) != bond.history:
            raise HistoryUnreadable(tried=url.shown, bond=bond, reason="it is another one")
        revision = revision_in(draft)
        archive.add_file(HISTORY, draft)
    finally:
        draft.unlink(missing_ok=True)
    return ArchivedHistory(kind="file", place=url.shown, revision=revision)


def _folder_of_outputs(settings: Settings) -> LocalFolder:
    place = asset_store(settings).place
    if not isinstance(place, LocalFolder):
        raise OutputsNotInAFolder(place.url)
    return place


def _write_outputs(archive: ArchiveWriter, folder: LocalFolder, *, cell: str) -> tuple[ArchivedOutputs, int]:
    """Every file of a finished job of the cell, hour by hour, so that no list of them is long. Blocks."""
    files = size_bytes = gone = 0
    try:
        for hour in sorted(folder.folders(cell)):
            for file in sorted(folder.files(f"{cell}/{hour}"), key=lambda found: found.key):
                try:
                    archive.add_file(OUTPUTS + file.key, folder.local_path(file.key), packed=False)
                except FileNotFoundError:
                    gone += 1
                    continue
                files, size_bytes = files + 1, size_bytes + file.size_bytes
    except OSError as exc:
        raise AssetStoreUnavailable(str(exc)) from exc
    return ArchivedOutputs(place=folder.url, files=files, size_bytes=size_bytes, included=True), gone


def _write_files(archive: ArchiveWriter, files: tuple[Path, ...]) -> None:
    """The files of settings under names of their own. Blocks. Raises ArchiveUnwritable, OSError."""
    for number, file in enumerate(files, start=1):
        with archive.part(f"{CONFIGURATION}{number}-{_plain(file.name)}") as part:
            part.write(file.read_bytes()[:_MAX_SETTINGS_BYTES])


def _write_webhook_key(archive: ArchiveWriter, settings: Settings) -> None:
    """The key without which no webhook of the cell can be signed again; where the environment has it, it stays there. Blocks."""
    file = key_path(settings)
    if file.is_file():
        with archive.part(WEBHOOK_KEY) as part:
            part.write(file.read_bytes()[:_MAX_KEY_BYTES])


def _plain(name: str) -> str:
    """A name that any file system takes, and that the archive's reader knows for harmless."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)[
        -100:
    ]
