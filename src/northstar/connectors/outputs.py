"""The files that a program left in its `out/` folder, verified: regular, not empty, of the expected kinds, hashed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from northstar.connectors.contract import Output
from northstar.connectors.errors import EmptyOutput, LimitExceeded, MalformedAnswer, OutputMissing, OutputTooLarge
from northstar.connectors.media import HEAD_BYTES, UNKNOWN, media_type_of_head, media_type_of_text

_CHUNK_BYTES: Final = 1024 * 1024
#: Files without magic bytes are looked at whole, to tell JSON from text; above this size they are not.
_TEXT_BYTES: Final = 16 * 1024 * 1024
_MAX_DEPTH: Final = 8


class OutputRules(msgspec.Struct, frozen=True, kw_only=True):
    """What may come out. `expects` are media types with wildcards; every file must match one, and one file must exist."""

    expects: tuple[str, ...]
    max_bytes: int
    max_files: int


def collect_outputs(folder: Path, rules: OutputRules, *, service: str) -> tuple[Output, ...]:
    """Every file below `folder`, in the order of its name. Blocks; links are refused, never followed.

    Raises:
        OutputMissing: no file, or a file of another kind than expected.
        EmptyOutput: a file without a byte.
        OutputTooLarge: all files together exceed `rules.max_bytes`.
        LimitExceeded: more files than `rules.max_files`.
        MalformedAnswer: a link, a device, or a name that no client could use.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise OutputMissing(f"the folder {folder.name}/", found="none", service=service)
    outputs: list[Output] = []
    left_bytes = rules.max_bytes
    for path in sorted(_files(folder, service=service)):
        if len(outputs) == rules.max_files:
            raise LimitExceeded("files", allowed=f"{rules.max_files}", service=service)
        output = _verified(path, folder, rules, service=service, left_bytes=left_bytes)
        left_bytes -= output.size_bytes
        outputs.append(output)
    if not outputs:
        raise OutputMissing(" or ".join(rules.expects), found="", service=service)
    return tuple(outputs)


def _files(folder: Path, *, service: str) -> Iterator[Path]:
    ahead: list[tuple[Path, int]] = [(folder, 0)]
    while ahead:
        here, depth = ahead.pop()
        if depth > _MAX_DEPTH:
            raise MalformedAnswer(f"outputs nested deeper than {_MAX_DEPTH} folders", service=service)
        for entry in os.scandir(here):
            if entry.is_dir(follow_symlinks=False):
                ahead.append((Path(entry.path), depth + 1))
            else:
                yield Path(entry.path)


def _verified(path: Path, folder: Path, rules: OutputRules, *, service: str, left_bytes: int) -> Output:
    name = path.relative_to(folder).as_posix()
    if not name.isprintable() or len(name) > 255:
        raise MalformedAnswer(f"an output has the unusable name {name[:80]!r}", service=service)
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise MalformedAnswer(f"the output {name!r} cannot be opened: {error.strerror}", service=service) from error
    with os.fdopen(file, "rb") as stream:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise MalformedAnswer(f"the output {name!r} is not a regular file", service=service)
        digest = hashlib.sha256()
        beginning = bytearray()
        size_bytes = 0
        while chunk := stream.read(_CHUNK_BYTES):
            size_bytes += len(chunk)
            if size_bytes > left_bytes:
                raise OutputTooLarge("all outputs together", service=service, limit_bytes=rules.max_bytes)
            digest.update(chunk)
            if size_bytes <= _TEXT_BYTES or not beginning:
                beginning += chunk
    if size_bytes == 0:
        raise EmptyOutput(f"the output {name!r}", service=service)
    media_type = _media_type(bytes(beginning), name, whole=len(beginning) == size_bytes)
    if not any(fnmatchcase(media_type.partition(";")[0], expected) for expected in rules.expects):
        raise OutputMissing(" or ".join(rules.expects), found=f"{name!r} of type {media_type}", service=service)
    return Output(name=name, media_type=media_type, size_bytes=size_bytes, sha256=digest.hexdigest(), path=path)


def _media_type(beginning: bytes, name: str, *, whole: bool) -> str:
    found = media_type_of_head(beginning[:HEAD_BYTES])
    if found is not None:
        return found
    return media_type_of_text(beginning, name) if whole else UNKNOWN
