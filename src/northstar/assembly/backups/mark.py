"""That a restore began to put things into their places: there until it has ended well, so that nobody takes what it left for whole."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec

from northstar.assembly.backups.errors import PlaceUnwritable, RestoreUnfinished

NAME: Final = "restoring.json"
_MAX_BYTES: Final = 65_536


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Of which archive, and where that file was."""

    archive: str
    file: str


def read_mark(data_dir: Path) -> Mark | None:
    """The mark of a restore that has not ended well, if there is one."""
    try:
        with (data_dir / NAME).open("rb") as stream:
            return msgspec.json.decode(stream.read(_MAX_BYTES), type=Mark)
    except (OSError, msgspec.MsgspecError):
        return None


def expect_no_mark(data_dir: Path) -> None:
    """Make sure that no restore broke off here. Raises RestoreUnfinished."""
    mark = read_mark(data_dir)
    if mark is not None:
        raise RestoreUnfinished(data_dir, mark.file)


def write_mark(data_dir: Path, mark: Mark) -> None:
    """Blocks. Raises PlaceUnwritable."""
    path = data_dir / NAME
    draft = path.with_name(f"{NAME}.new")
    try:
        with draft.open("wb") as stream:
            stream.write(msgspec.json.encode(mark))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as exc:
        raise PlaceUnwritable(path, reason=exc.strerror or str(exc)) from exc


def remove_mark(data_dir: Path) -> None:
    """It has ended well. Blocks."""
    with contextlib.suppress(FileNotFoundError):
        (data_dir / NAME).unlink()
