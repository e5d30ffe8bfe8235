"""Whether a file ends where its own format says that it ends: a download or a disk that stopped early shows here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

_TAIL_BYTES: Final = 4_096
_MAX_BOXES: Final = 10_000


def is_whole(path: Path, media_type: str) -> bool:
    """Whether the file is complete, as far as its kind can tell; kinds without an end of their own count as whole. Blocks."""
    judge = _JUDGES.get(media_type)
    if judge is None:
        return True
    with path.open("rb") as file:
        return judge(file, os.fstat(file.fileno()).st_size)


def _ends_with(mark: bytes) -> Callable[[BinaryIO, int], bool]:
    def judge(file: BinaryIO, size: int) -> bool:
        file.seek(max(0, size - _TAIL_BYTES))
        return mark in file.read(_TAIL_BYTES)

    return judge


def _riff(file: BinaryIO, size: int) -> bool:
    """A RIFF file says its size; writers that stream put zero or all ones, and pad to an even number."""
    said = int.from_bytes(file.read(8)[4:8], "little")
    return said in {0, 0xFFFFFFFF} or said + 8 <= size


def _gltf(file: BinaryIO, size: int) -> bool:
    return int.from_bytes(file.read(12)[8:12], "little") == size


def _boxes(file: BinaryIO, size: int) -> bool:
    """MP4 and its kin are a row of boxes, each with its size; the index `moov` must be among them."""
    at, kinds = 0, set()
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return False
        length = int.from_bytes(head[:4], "big")
        kinds.add(head[4:8])
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:
            length = size - at
        if length < 8 or at + length > size:
            return False
        at += length
        if at == size:
            return b"moov" in kinds
    return False


_JUDGES: Final = {
    "image/png": _ends_with(b"IEND\xaeB`\x82"),
    "image/jpeg": _ends_with(b"\xff\xd9"),
    "image/gif": _ends_with(b";"),
    "image/webp": _riff,
    "audio/wav": _riff,
    "model/gltf-binary": _gltf,
    "video/mp4": _boxes,
    "audio/mp4": _boxes,
    "video/quicktime": _boxes,
}
