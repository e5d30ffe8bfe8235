"""Files that machines hand in: received whole, compared with what was announced, kept as assets; and looked for when a result names them."""

from __future__ import annotations

import asyncio
import errno
import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from northstar.broker.gateway.shares import Shares
from northstar.domain.amounts import exactly
from northstar.domain.errors import InvalidRequest, Refused
from northstar.store.asset_errors import AssetStoreFull, AssetStoreUnavailable
from northstar.store.assets import AssetRef
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from northstar.broker.gateway.incoming import Incoming
    from northstar.store.assets import AssetStore
    from northstar.store.cell import Cell

log = logger(__name__)

_DISK_CHUNK_BYTES = 1024 * 1024


class OutputTooLarge(InvalidRequest):
    """A file is larger than the broker takes."""

    code: ClassVar[str] = "NS_OUTPUT_TOO_LARGE"

    def __init__(self, name: str, *, limit_bytes: int) -> None:
        super().__init__(
            f"output {name[:200]} is larger than {exactly(limit_bytes)}; nothing of it was kept: make it smaller, or raise assets.max_asset_mib"
        )


class OutputNotAsAnnounced(InvalidRequest):
    """What arrived is not what the machine said it would send."""

    code: ClassVar[str] = "NS_OUTPUT_NOT_AS_ANNOUNCED"
    retryable = True

    def __init__(self, name: str) -> None:
        super().__init__(f"output {name[:200]} arrived with another hash than announced; send it again")


class ResultMalformed(InvalidRequest):
    """A result names its outputs in no known way."""

    code: ClassVar[str] = "NS_RESULT_MALFORMED"

    def __init__(self, job: str, *, detail: str) -> None:
        super().__init__(f"the result of job {job} cannot be read: {detail}")


class NotYourJob(Refused):
    """The lease is not, or no longer, this machine's."""

    code: ClassVar[str] = "NS_LEASE_LOST"

    def __init__(self, job: str) -> None:
        super().__init__(f"job {job} is not held by this machine under this lease; its output was not kept")


class _Named(msgspec.Struct, frozen=True):
    """One output of a result, as far as it matters here."""

    asset: AssetRef | None = None


class _Result(msgspec.Struct, frozen=True):
    outputs: list[_Named]


class Outputs:
    """Outputs of one cell's jobs."""

    def __init__(
        self, cell: Cell, assets: AssetStore, *, incoming: Incoming, max_bytes: int, max_job_bytes: int
    ) -> None:
        """`max_bytes` of one file, `max_job_bytes` of all files of one lease that come through this process."""
        self._cell = cell
        self._assets = assets
        self._incoming = incoming
        self._max_bytes = max_bytes
        self._shares = Shares(most_bytes=max_job_bytes)
        self._is_full = False

    async def receive(
        self,
        chunks: AsyncIterator[bytes],
        *,
        machine: str,
        job: str,
        lease: str,
        name: str,
        media_type: str,
        sha256: str,
    ) -> AssetRef:
        """Keep one file of a job that this machine holds. Nothing stays of one that is refused.

        Raises:
            NotYourJob, OutputTooLarge, OutputsTooLarge, OutputNotAsAnnounced, or an asset store's error (AssetStoreFull: send it again later).
        """
        await self._expect_lease(machine=machine, job=job, lease=lease)
        with self._telling_of_room(machine=machine, job=job):
            return await self._received(
                chunks, machine=machine, job=job, lease=lease, name=name, media_type=media_type, sha256=sha256
            )

    @contextmanager
    def _telling_of_room(self, *, machine: str, job: str) -> Iterator[None]:
        """Say once that finished jobs wait for room, and once that they do no longer: each asks every few seconds."""
        try:
            yield
        except AssetStoreFull as exc:
            if not self._is_full:
                hint = "finished jobs hold their files and their slots until there is room"
                log.warning("outputs_wait_for_room", machine=machine, job=job, error=str(exc), hint=hint)
            self._is_full = True
            raise
        if self._is_full:
            log.info("outputs_have_room_again")
        self._is_full = False

    async def _received(
        self,
        chunks: AsyncIterator[bytes],
        *,
        machine: str,
        job: str,
        lease: str,
        name: str,
        media_type: str,
        sha256: str,
    ) -> AssetRef:
        await self._assets.expect_room(cell=self._cell.name)  # before its bytes have travelled
        await asyncio.to_thread(self._incoming.expect_room)
        with self._incoming.draft() as draft, self._shares.sending(job=job, lease=lease) as came:
            found = await self._written(chunks, draft, name=name, came=came)
            if found != sha256:
                raise OutputNotAsAnnounced(name)
            # It may have taken long; a job that was given to another meanwhile gets no files from here.
            now_ms = await self._expect_lease(machine=machine, job=job, lease=lease)
            return await self._assets.put(
                draft, cell=self._cell.name, job_id=job, name=name, media_type=media_type, at_ms=now_ms
            )

    async def check(self, *, job: str, result: str) -> None:
        """Every file that a result names is the job's own and can be fetched. Raises ResultMalformed, or an asset store's error."""
        try:
            told = msgspec.json.decode(result)
            named = msgspec.convert(told, _Result).outputs if isinstance(told, dict) and "outputs" in told else []
        except (msgspec.MsgspecError, RecursionError) as exc:
            raise ResultMalformed(job, detail=str(exc)) from exc
        for output in named:
            if output.asset is not None:
                await self._assets.expect(output.asset, cell=self._cell.name, job_id=job)

    async def _written(
        self, chunks: AsyncIterator[bytes], draft: Path, *, name: str, came: Callable[[int], None]
    ) -> str:
        """Write what comes; gives its SHA-256."""
        digest, size_bytes, held = hashlib.sha256(), 0, bytearray()
        with draft.open("wb", buffering=0) as file:
            async for chunk in chunks:
                size_bytes += len(chunk)
                if size_bytes > self._max_bytes:
                    raise OutputTooLarge(name, limit_bytes=self._max_bytes)
                came(len(chunk))
                held += chunk
                if len(held) >= _DISK_CHUNK_BYTES:
                    await asyncio.to_thread(_append, file, digest, bytes(held))
                    held.clear()
            await asyncio.to_thread(_append, file, digest, bytes(held))
        return digest.hexdigest()

    async def _expect_lease(self, *, machine: str, job: str, lease: str) -> int:
        """The job is held so; gives the time, ms since epoch by the cell's clock."""
        reply = await self._cell.inspect([job])
        if not reply.jobs:
            raise NotYourJob(job)
        record = reply.jobs[0].record
        if record.machine != machine or record.token != lease:
            raise NotYourJob(job)
        return reply.now_ms


def _append(file: Any, digest: Any, data: bytes) -> None:
    left = memoryview(data)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise AssetStoreFull(place=str(file.name)) from exc
        raise AssetStoreUnavailable(f"{file.name}: {exc.strerror or exc}") from exc
    digest.update(data)
