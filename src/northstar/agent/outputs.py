"""Where the files of a finished job go before it counts as done: an asset store on this side, or a broker that keeps them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Protocol
from urllib.parse import quote

import aiohttp
import msgspec

from northstar.connectors.connection_words import connection_words
from northstar.domain.errors import NorthstarError, Refused, Unavailable
from northstar.store.assets import AssetRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.agent.dialing import Backoff, Dialling
    from northstar.connectors.contract import Output
    from northstar.domain.jobs import ClaimedJob
    from northstar.store.assets import AssetStore

#: Bytes of an answer to an upload.
_MAX_ANSWER_BYTES: Final = 65_536
_ATTEMPTS: Final = 5
#: A file gets this long, and for its size as if the link carried no more than this.
_LEAST_S: Final = 60.0
_LEAST_BYTES_PER_S: Final = 128 * 1024


class OutputChanged(NorthstarError):
    """A file is not what the connector verified; something wrote to it later."""

    code = "NS_OUTPUT_CHANGED"
    retryable = True

    def __init__(self, name: str) -> None:
        super().__init__(
            f"output {name} changed after it was verified; does a process of the engine still write to it?"
        )
        self.name = name


class OutputRefused(Refused):
    """The broker does not keep the file."""

    code: ClassVar[str] = "NS_OUTPUT_REFUSED"

    def __init__(self, name: str, *, detail: str) -> None:
        super().__init__(f"the broker refused output {name}: {detail}")


class OutputNotSent(Unavailable):
    """The broker could not be reached for so long that the attempt is given up."""

    code: ClassVar[str] = "NS_OUTPUT_NOT_SENT"

    def __init__(self, name: str, *, detail: str) -> None:
        super().__init__(f"output {name} could not be sent to the broker: {detail}")


class OutputStore(Protocol):
    """Keeps what jobs leave."""

    async def store(self, job: ClaimedJob, output: Output, path: Path) -> AssetRef:
        """Keep the file; give the reference by which it is fetched. Raises a NorthstarError."""
        ...


class LocalOutputs:
    """Straight into the asset store: for a machine in the data centre."""

    def __init__(self, assets: AssetStore, *, cell: str) -> None:
        self._assets = assets
        self._cell = cell

    async def store(self, job: ClaimedJob, output: Output, path: Path) -> AssetRef:
        """Raises OutputChanged, or an asset store's error."""
        ref = await self._assets.put(
            path, cell=self._cell, job_id=job.id, name=output.name, media_type=output.media_type
        )
        if ref.sha256 != output.sha256:
            await self._assets.remove(ref)
            raise OutputChanged(output.name)
        return ref


class UploadedOutputs:
    """Through the broker, which keeps them only from the machine that holds the job."""

    def __init__(
        self, http: aiohttp.ClientSession, dialling: Dialling, *, backoff: Backoff, jitter: Callable[[], float]
    ) -> None:
        self._http = http
        self._dialling = dialling
        self._backoff = backoff
        self._jitter = jitter

    async def store(self, job: ClaimedJob, output: Output, path: Path) -> AssetRef:
        """Raises OutputChanged, OutputRefused, OutputNotSent."""
        trouble: Exception = TimeoutError("not tried")
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(self._backoff.delay_s(attempt - 1, self._jitter()))
            try:
                async with asyncio.timeout(_LEAST_S + output.size_bytes / _LEAST_BYTES_PER_S):
                    status, answer = await self._sent(job, output, path)
            except (aiohttp.ClientError, OSError, TimeoutError) as exc:
                trouble = exc
                continue
            if status == 201:
                return msgspec.json.decode(answer, type=AssetRef)
            detail = _detail(answer)
            if status < 500 and status != 429:
                raise OutputRefused(output.name, detail=detail)
            trouble = OSError(detail)
        raise OutputNotSent(output.name, detail=connection_words(trouble))

    async def _sent(self, job: ClaimedJob, output: Output, path: Path) -> tuple[int, bytes]:
        name = "/".join(quote(part, safe="") for part in output.name.split("/"))
        url = f"{self._dialling.http_url}/agent/v1/jobs/{quote(job.id, safe='')}/outputs/{name}"
        headers = {
            "Authorization": f"Bearer {self._dialling.token.reveal()}",
            "X-Northstar-Lease": job.token,
            "X-Northstar-Sha256": output.sha256,
            "Content-Type": output.media_type,
            "Content-Length": str(output.size_bytes),
        }
        if await asyncio.to_thread(_size, path) != output.size_bytes:
            raise OutputChanged(output.name)
        with path.open("rb") as file:
            async with self._http.put(url, data=file, headers=headers, allow_redirects=False) as response:
                return response.status, await response.content.read(_MAX_ANSWER_BYTES)


def _size(path: Path) -> int:
    return path.stat().st_size


class _Problem(msgspec.Struct):
    title: str = ""
    detail: str = ""


def _detail(answer: bytes) -> str:
    try:
        told = msgspec.json.decode(answer, type=_Problem)
    except msgspec.MsgspecError:
        return answer[:200].decode(errors="replace")
    return f"{told.title} {told.detail}".strip()
