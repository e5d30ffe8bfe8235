"""Where the bytes of a result go: short text into the result itself, everything else into a file of the workspace."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from northstar.connectors.contract import INLINE_TEXT_BYTES, Output


def placed_text(name: str, text: str, workspace: Path, *, media_type: str | None = None) -> Output:
    """The text itself where it is short, else a file of it. Blocks while it writes."""
    output = Output.of_text(name, text)
    if media_type is not None:
        output = msgspec.structs.replace(output, media_type=media_type)
    if output.size_bytes <= INLINE_TEXT_BYTES:
        return output
    path = workspace / name
    path.write_bytes(text.encode())
    return msgspec.structs.replace(output, path=path, text=None)


def placed_file(name: str, data: bytes, workspace: Path, *, media_type: str) -> Output:
    """A file of these bytes. Blocks while it writes."""
    path = workspace / name
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return Output(name=name, media_type=media_type, size_bytes=len(data), sha256=digest, path=path)
