"""The SHA-256 of a file that lies there already, read no faster than the pace allows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from northstar.agent.models.files import FileFacts, facts_of
from northstar.agent.models.threads import to_its_end

if TYPE_CHECKING:
    from northstar.agent.models.pace import Pace

CHUNK_BYTES: Final = 4 * 1024 * 1024


async def hash_of(
    path: Path, facts: FileFacts, *, pace: Pace | None = None, on_bytes: Callable[[int], None] | None = None
) -> str | None:
    """The hash of this very file; None if it is gone or changed meanwhile. `on_bytes` hears how many have been read.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        fd = await to_its_end(lambda: os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except FileNotFoundError:
        return None
    try:
        read_bytes = 0
        while read_bytes < facts.size_bytes:
            chunk = await to_its_end(lambda: _read(fd, digest.update))
            if not chunk:
                break
            read_bytes += chunk
            if on_bytes is not None:
                on_bytes(read_bytes)
            if pace is not None:
                await pace.spend(chunk)
    finally:
        os.close(fd)
    is_same = await to_its_end(lambda: facts_of(path)) == facts
    return digest.hexdigest() if is_same and read_bytes == facts.size_bytes else None


def _read(fd: int, take: Callable[[bytes], None]) -> int:
    data = os.read(fd, CHUNK_BYTES)
    take(data)
    return len(data)
