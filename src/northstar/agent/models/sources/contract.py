"""What every kind of source can do: give a file's bytes, from where an earlier fetch broke off if that is possible."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec


class Resume(msgspec.Struct, frozen=True):
    """From where a fetch would go on. Without a validator only the hash of the whole will tell whether that was right."""

    offset: int = 0
    validator: str = ""


class Body:
    """An answer whose bytes are still to come."""

    def __init__(self, chunks: AsyncIterator[bytes], *, offset: int, total_bytes: int | None, validator: str) -> None:
        #: Bounded pieces.
        self.chunks = chunks
        #: Where they begin: where the fetch wished to go on, or 0.
        self.offset = offset
        #: Size of the whole file, where the source says it.
        self.total_bytes = total_bytes
        #: Tells this version of the file from others; empty where nothing to be relied on is known.
        self.validator = validator


class Source(Protocol):
    """One place to fetch one file from."""

    shown: str

    @property
    def id(self) -> str:
        """Tells it from other sources; not a secret."""
        ...

    def open(self, resume: Resume) -> AbstractAsyncContextManager[Body]:
        """Ask for the bytes.

        Raises:
            FetchFailed: also while the chunks are read.
            ModelAddressPrivate: the source leads into a private network.
        """
        ...
