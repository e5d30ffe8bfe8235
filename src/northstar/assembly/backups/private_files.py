"""Files that only their owner may read, as a restore writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from northstar.assembly.backups.errors import PlaceUnwritable


def write_private(path: Path, chunks: Iterator[bytes]) -> None:
    """A file that only its owner may read, in the place of any that was there, and on the disk. Raises OSError."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())


def holds_another(path: Path, chunks: Iterator[bytes]) -> bool:
    """Whether there is a small file that holds something else."""
    try:
        return path.read_bytes() != b"".join(chunks)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise PlaceUnwritable(path, reason=exc.strerror or str(exc)) from exc
