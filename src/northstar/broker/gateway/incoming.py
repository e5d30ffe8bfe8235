"""Files on their way in: received whole into a folder of this process, before any of their bytes is in the asset store."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from northstar.store.asset_errors import AssetStoreFull, AssetStoreUnavailable

_PREFIX: Final = "output-"


class Incoming:
    """A folder that several processes of this host may share."""

    def __init__(self, folder: Path, *, keep_free_bytes: int = 0) -> None:
        """The folder is made when it is first needed. On its disk, where more than files may lie, so many bytes stay free."""
        self._folder = folder
        self._keep_free_bytes = keep_free_bytes

    def expect_room(self) -> None:
        """Raises AssetStoreFull where the disk has no more to give; blocks for a moment."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            free_bytes = shutil.disk_usage(self._folder).free
        except OSError as exc:
            raise AssetStoreUnavailable(f"{self._folder} cannot be used ({exc.strerror})") from exc
        if free_bytes < self._keep_free_bytes:
            raise AssetStoreFull(place=str(self._folder))

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A place for one file, which goes when the block ends."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=self._folder, ignore_cleanup_errors=True) as own:
            yield Path(own) / "file"

    def drop_old(self, *, before_s: float) -> int:
        """Remove what killed processes left: drafts that nobody has written to since `before_s` (epoch); gives how many. Blocks."""
        dropped = 0
        for own in self._folder.glob(f"{_PREFIX}*") if self._folder.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                latest = max(path.lstat().st_mtime for path in (own, own / "file") if path.exists())
                if latest < before_s:
                    shutil.rmtree(own, ignore_errors=True)
                    dropped += 1
        return dropped
