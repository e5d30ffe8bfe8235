"""Files of this machine and of S3-compatible stores: whatever can be opened, sought in and read."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Final

import fsspec
import msgspec

from northstar.agent.models.errors import ModelSourceRefused
from northstar.agent.models.fetch_errors import (
    FetchFailed,
    FetchStalled,
    SourceDenied,
    SourceExtraMissing,
    SourceGone,
    SourceMissing,
)
from northstar.agent.models.sources.contract import Body, Resume
from northstar.connectors.secret import Secret
from northstar.policy.models.sources import BucketAddress, FileAddress

CHUNK_BYTES: Final = 4 * 1024 * 1024


class OpenStream(msgspec.Struct):
    """A file that is open for reading."""

    stream: IO[bytes]
    size_bytes: int
    #: Tells this version of it from others.
    version: str


class StreamSource:
    """One file that is read in threads. A read that hangs is given up; its thread ends when the read does."""

    def __init__(self, opened: Callable[[], OpenStream], *, shown: str, model: str, stall_s: float) -> None:
        self._opened = opened
        self.shown = shown
        self.id = shown
        self._model = model
        self._stall_s = stall_s

    @asynccontextmanager
    async def open(self, resume: Resume) -> AsyncIterator[Body]:
        """Open the file; see `Source`."""
        found = await self._in_thread(self._opened)
        try:
            goes_on = resume.offset <= found.size_bytes and resume.validator in {"", found.version}
            offset = resume.offset if goes_on else 0
            await self._in_thread(lambda: found.stream.seek(offset))
            yield Body(self._chunks(found), offset=offset, total_bytes=found.size_bytes, validator=found.version)
        finally:
            await asyncio.to_thread(found.stream.close)

    async def _chunks(self, found: OpenStream) -> AsyncIterator[bytes]:
        while chunk := await self._in_thread(lambda: found.stream.read(CHUNK_BYTES)):
            yield chunk

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        named = {"model": self._model, "source": self.shown}
        try:
            async with asyncio.timeout(self._stall_s):
                return await asyncio.to_thread(work)
        except (FetchFailed, ModelSourceRefused):
            raise
        except TimeoutError:
            raise FetchStalled(stall_s=self._stall_s, **named) from None
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise SourceMissing(**named) from None
        except PermissionError:
            raise SourceDenied(status=403, **named) from None
        except ImportError:
            raise SourceExtraMissing(**named) from None
        # Each remote store brings a tree of errors of its own, some with keys in their text.
        except Exception as error:  # noqa: BLE001
            raise SourceGone(type(error).__name__, **named) from None


def open_file(address: FileAddress, *, folders: tuple[Path, ...], model: str) -> OpenStream:
    """Open a file of this machine, if it lies in one of the folders from which models may come.

    Raises:
        ModelSourceRefused: it lies elsewhere, or is no regular file.
        OSError: it cannot be opened.
    """
    path = Path(os.path.realpath(address.path))
    if not any(path.is_relative_to(os.path.realpath(folder)) for folder in folders):
        reason = "the file lies in none of models.source_folders"
        raise ModelSourceRefused(model, source=address.shown, reason=reason)
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    stream = os.fdopen(fd, "rb")
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        stream.close()
        raise ModelSourceRefused(model, source=address.shown, reason="it is no regular file")
    return OpenStream(stream, facts.st_size, f"{facts.st_mtime_ns}-{facts.st_size}-{facts.st_ino}")


class BucketOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the S3-compatible store. Without keys, those of the machine's own role are used."""

    endpoint: str = ""
    key: Secret | None = None
    secret: Secret | None = None


def bucket_files(options: BucketOptions) -> Any:
    """The store's file system.

    Raises:
        ImportError: its package is not installed.
    """
    keys: dict[str, Any] = {}
    if options.key is not None and options.secret is not None:
        keys = {"key": options.key.reveal(), "secret": options.secret.reveal()}
    endpoint = {"endpoint_url": options.endpoint} if options.endpoint else {}
    return fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False, **keys, **endpoint)


def open_object(address: BucketAddress, *, files: Callable[[], Any]) -> OpenStream:
    """Open an object; raises whatever the store's client raises."""
    store = files()
    facts = store.info(address.path)
    if facts.get("type") != "file":
        raise FileNotFoundError(address.path)
    stream = store.open(address.path, "rb", block_size=CHUNK_BYTES)
    version = str(facts.get("ETag") or facts.get("LastModified") or facts.get("created") or "")
    return OpenStream(stream, int(facts["size"]), version)
