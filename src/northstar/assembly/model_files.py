"""What a model file is, by reading all of it once: its hash and its size, in bounded memory, and nothing of it kept."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from northstar.agent.models.errors import ModelTooLarge
from northstar.agent.models.files import facts_of
from northstar.agent.models.hashing import hash_of
from northstar.agent.models.settings import patience_of, source_rules
from northstar.agent.models.sources.choice import Sources
from northstar.agent.models.sources.contract import Resume
from northstar.config import ModelSettings
from northstar.domain.errors import InvalidRequest

#: Hears how many bytes have been read, and of how many if that is known.
OnBytes = Callable[[int, int], None]

_GIB: Final = 1024**3


class ModelFileUnreadable(InvalidRequest):
    """A file of this machine that was named cannot be read as it is."""

    code: ClassVar[str] = "NS_MODEL_FILE_UNREADABLE"

    def __init__(self, path: Path, *, reason: str) -> None:
        super().__init__(f"{path} cannot be read as a model file: {reason}")
        self.path = path
        self.reason = reason


class ReadFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is."""

    sha256: str
    size_bytes: int


async def read_file(path: Path, *, on_bytes: OnBytes) -> ReadFile:
    """Hash a file of this machine.

    Raises:
        ModelFileUnreadable: it is not there, is no regular file, or changes while it is read.
    """
    try:
        facts = await asyncio.to_thread(facts_of, path)
        if facts is None:
            raise ModelFileUnreadable(path, reason="there is no such file, or it is no regular one")
        sha256 = await hash_of(path, facts, on_bytes=lambda read: on_bytes(read, facts.size_bytes))
    except OSError as exc:
        raise ModelFileUnreadable(path, reason=exc.strerror or type(exc).__name__) from exc
    if sha256 is None:
        raise ModelFileUnreadable(path, reason="it changes while it is read")
    return ReadFile(sha256=sha256, size_bytes=facts.size_bytes)


async def read_source(source: str, *, model: str, settings: ModelSettings, on_bytes: OnBytes) -> ReadFile:
    """Download a file once to know its hash and size, as a machine with these settings would: private networks only where they allow it.

    Raises:
        FetchFailed, ModelSourceRefused, ModelAddressPrivate: it cannot be had, or not from there.
        ModelTooLarge: it has more bytes than `models.largest_gib`.
        InvalidSettings: a variable that should hold a token does not.
    """
    limit_bytes = int(settings.largest_gib * _GIB)
    sources = Sources(source_rules(settings, os.environ), patience=patience_of(settings))
    digest, received = hashlib.sha256(), 0
    try:
        async with sources.at(source, model=model).open(Resume()) as body:
            async for chunk in body.chunks:
                received += len(chunk)
                if received > limit_bytes:
                    raise ModelTooLarge(model, limit_bytes=limit_bytes)
                await asyncio.to_thread(digest.update, chunk)
                on_bytes(received, body.total_bytes or 0)
    finally:
        await sources.close()
    return ReadFile(sha256=digest.hexdigest(), size_bytes=received)
