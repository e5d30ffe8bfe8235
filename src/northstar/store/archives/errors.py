"""What can be wrong with an archive."""

from __future__ import annotations

from pathlib import Path

from northstar.domain.errors import InvalidRequest, Refused, Unavailable


class ArchiveUnwritable(Unavailable):
    """The archive cannot be written; nothing of it is left."""

    code = "NS_ARCHIVE_UNWRITABLE"

    def __init__(self, path: Path, *, reason: str) -> None:
        super().__init__(
            f"the backup {path} cannot be written ({reason}); nothing is left of it: make room or name another place, and begin again"
        )
        self.path = path


class ArchiveExists(Refused):
    """There is a file of this name, and a backup overwrites none."""

    code = "NS_ARCHIVE_EXISTS"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is there already, and is not overwritten: name another file, or a folder")
        self.path = path


class ArchiveUnreadable(InvalidRequest):
    """There is no such file, or it may not be read."""

    code = "NS_ARCHIVE_UNREADABLE"

    def __init__(self, path: Path, *, reason: str) -> None:
        super().__init__(f"the backup {path} cannot be read: {reason}")
        self.path = path


class ArchiveDamaged(InvalidRequest):
    """The file is no backup, is not whole, or some of its bytes are not what was written. Nothing was changed by it."""

    code = "NS_ARCHIVE_DAMAGED"

    def __init__(self, path: Path, *, reason: str) -> None:
        super().__init__(
            f"the backup {path} is damaged or is none ({reason}); nothing was changed: copy it anew, or take another"
        )
        self.path = path
        self.reason = reason


class ArchiveUnsupported(InvalidRequest):
    """Another version of North Star wrote it, and this one does not know its form."""

    code = "NS_ARCHIVE_UNSUPPORTED"

    def __init__(self, path: Path, *, what: str, found: str, known: str) -> None:
        super().__init__(
            f"the backup {path} has {what} {found}, and this version of North Star reads {known}; nothing was changed: restore it with "
            "the version that wrote it"
        )
        self.path = path
