"""A file that is there whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from northstar.domain.errors import Unavailable

if TYPE_CHECKING:
    from types import TracebackType


class FileUnwritable(Unavailable):
    """The file cannot be written."""

    code: ClassVar[str] = "NS_FILE_UNWRITABLE"

    def __init__(self, path: Path, exc: OSError) -> None:
        super().__init__(
            f"{path} cannot be written ({exc.strerror or exc}); nothing is left of it: mend that and begin again"
        )
        self.path = path


class NewFile:
    """Text written beside its place, which takes the place of what was there when the block ends well; else nothing is left of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._draft: Path | None = None
        self._fd = -1

    def __enter__(self) -> Self:
        """Raises FileUnwritable."""
        try:
            self._fd, draft = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent)
        except OSError as exc:
            raise FileUnwritable(self.path, exc) from exc
        self._draft = Path(draft)
        return self

    def write(self, text: str) -> None:
        """Add text. Raises FileUnwritable."""
        rest = memoryview(text.encode(errors="replace"))
        self.size_bytes += len(rest)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as exc:
            raise FileUnwritable(self.path, exc) from exc

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Raises FileUnwritable."""
        assert self._draft is not None  # noqa: S101 -- said to the type checker
        try:
            if kind is None:
                os.fsync(self._fd)
                self._draft.replace(self.path)
                self._draft = None
        except OSError as exc:
            raise FileUnwritable(self.path, exc) from exc
        finally:
            os.close(self._fd)
            if self._draft is not None:
                self._draft.unlink(missing_ok=True)
