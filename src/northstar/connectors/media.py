"""What a file is, by its first bytes; its name is only a hint between kinds of text."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

import msgspec

HEAD_BYTES: Final = 4096
UNKNOWN: Final = "application/octet-stream"

_MAGIC: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftyp", "video/mp4"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
)
_EBML: Final = b"\x1a\x45\xdf\xa3"


def media_type_of_head(head: bytes) -> str | None:
    """The media type that the first `HEAD_BYTES` bytes prove, or None: it may be text."""
    for offset, magic, media_type in _MAGIC:
        if head.startswith(magic, offset) and (offset != 8 or head.startswith(b"RIFF")):
            return media_type
    if head.startswith(_EBML):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    return None


def media_type_of_text(data: bytes, name: str) -> str:
    """The media type of a whole file without magic bytes: JSON, text, or unknown."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return UNKNOWN
    if PurePath(name).suffix == ".json" or text.lstrip()[:1] in {"{", "["}:
        try:
            msgspec.json.decode(data)
        except msgspec.MsgspecError:
            return "text/plain; charset=utf-8"
        return "application/json"
    return "text/plain; charset=utf-8" if text.isprintable() or not _has_controls(text) else UNKNOWN


def _has_controls(text: str) -> bool:
    return any(character < " " and character not in "\t\n\r\f\x1b" for character in text)
