"""Looking at a model file before anybody loads it: is it what its ending says. All of it blocks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Final

from northstar.policy.models.formats import HEAD_BYTES, check_header, header_length, is_pickle
from northstar.policy.models.names import PICKLES, suffix_of

_SAFETENSORS: Final = frozenset({".safetensors", ".sft"})
_LENGTH_BYTES: Final = 8


class IsPickle(Exception):
    """The file can run code when it is loaded."""


def check_format(path: Path, *, name: str, allow_pickle: bool) -> None:
    """Check that a file is of the format that its name says, as far as its first bytes tell.

    Raises:
        IsPickle: it is a pickle, or could be one, and that is not allowed.
        ValueError: it is malformed; the text says how.
        OSError: it cannot be read.
    """
    suffix = suffix_of(name)
    # Not waiting: in the place of a file there might be a pipe by now.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        head = stream.read(HEAD_BYTES)
        try:
            _check(stream, head, suffix=suffix)
        except ValueError:
            if is_pickle(head):
                raise IsPickle from None
            raise
    # A file that proved to be safetensors or GGUF may begin like a pickle by chance, and is none.
    could_be = suffix in PICKLES or (suffix not in _SAFETENSORS | {".gguf"} and is_pickle(head))
    if could_be and not allow_pickle:
        raise IsPickle


def _check(stream: IO[bytes], head: bytes, *, suffix: str) -> None:
    if not head:
        raise ValueError("it is empty")
    if suffix == ".gguf" and not head.startswith(b"GGUF"):
        raise ValueError("it does not begin like a GGUF file")
    if suffix in _SAFETENSORS:
        size_bytes = os.fstat(stream.fileno()).st_size
        length = header_length(head, size_bytes=size_bytes)
        stream.seek(_LENGTH_BYTES)
        check_header(stream.read(length), size_bytes=size_bytes)
