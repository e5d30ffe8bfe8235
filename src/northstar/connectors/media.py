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
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"glTF", "model/gltf-binary"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"\x76\x2f\x31\x01", "image/x-exr"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
)
_JPEG: Final = frozenset({"image/jpeg"})
_MOVIE: Final = frozenset({"video/mp4", "video/quicktime", "audio/mp4"})
_BY_SUFFIX: Final = {
    ".png": frozenset({"image/png"}),
    ".apng": frozenset({"image/png"}),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".gif": frozenset({"image/gif"}),
    ".webp": frozenset({"image/webp"}),
    ".avif": frozenset({"image/avif"}),
    ".tif": frozenset({"image/tiff"}),
    ".tiff": frozenset({"image/tiff"}),
    ".exr": frozenset({"image/x-exr"}),
    ".mp4": _MOVIE,
    ".mov": _MOVIE,
    ".m4a": _MOVIE,
    ".webm": frozenset({"video/webm"}),
    ".mkv": frozenset({"video/x-matroska", "video/webm"}),
    ".wav": frozenset({"audio/wav"}),
    ".mp3": frozenset({"audio/mpeg"}),
    ".flac": frozenset({"audio/flac"}),
    ".ogg": frozenset({"audio/ogg"}),
    ".opus": frozenset({"audio/ogg"}),
    ".glb": frozenset({"model/gltf-binary"}),
}
_EBML: Final = b"\x1a\x45\xdf\xa3"


def media_type_of_head(head: bytes) -> str | None:
    """The media type that the first `HEAD_BYTES` bytes prove, or None: it may be text."""
    for offset, magic, media_type in _MAGIC:
        if head.startswith(magic, offset) and (offset != 8 or head.startswith(b"RIFF")):
            return media_type
    if head.startswith(_EBML):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    return None


def fits_its_name(media_type: str, name: str) -> bool:
    """Whether a file of this proven type may bear this name; a name that promises nothing fits every type."""
    promised = _BY_SUFFIX.get(PurePath(name).suffix.lower())
    return promised is None or media_type in promised


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
