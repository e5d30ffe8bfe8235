"""Where the files of a finished job go before it counts as done: an asset store on this side, or a broker that keeps them."""

from __future__ import annotations

import asyncio
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Final, Protocol
from urllib.parse import quote

import aiohttp
import msgspec

from northstar.connectors.connection_words import connection_words
from northstar.domain.errors import NorthstarError, Refused, Unavailable
from northstar.store.asset_errors import AssetStoreFull, AssetStoreUnavailable
from northstar.store.assets import AssetRef

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from northstar.agent.dialing import Backoff, Dialling
    from northstar.connectors.contract import Output
    from northstar.domain.jobs import ClaimedJob
    from northstar.store.assets import AssetStore

#: Bytes of an answer to an upload.
_MAX_ANSWER_BYTES: Final = 65_536
#: How often a file is sent that was changed on the way.
_ATTEMPTS: Final = 5
#: What the broker says of a file that was changed on the way: another try may bring it whole.
_CHANGED_ON_THE_WAY: Final = "NS_OUTPUT_NOT_AS_ANNOUNCED"
#: How long a finished job's files are held while nobody takes them. Doing the work again would cost more; and whoever loses the
#: lease meanwhile is stopped by that, and charged nothing.
HOLD_S: Final = 900.0
#: What a held file waits for, as its job's progress says it.
_ROOM: Final = "room in the asset store"
_STORE: Final = "the asset store, which does not take it at present"
_BROKER: Final = "the broker, which does not take it at present"
_WAITS_FOR: Final = {AssetStoreFull.code: _ROOM, AssetStoreUnavailable.code: _STORE}
_LEAST_PAUSE_S: Final = 0.05
#: Bytes of a file that are read, sent and told of at a time.
_PIECE_BYTES: Final = 256 * 1024
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
    """The broker, or its store, did not take the file for so long that the attempt is given up."""

    code: ClassVar[str] = "NS_OUTPUT_NOT_SENT"

    def __init__(self, name: str, *, detail: str) -> None:
        super().__init__(f"output {name} could not be sent to the broker: {detail}")


def _unheard(_: str) -> None:
    """For whoever does not want to know."""


class OutputStore(Protocol):
    """Keeps what jobs leave."""

    async def store(
        self,
        job: ClaimedJob,
        output: Output,
        path: Path,
        *,
        sent: Callable[[int], None],
        waits: Callable[[str], None] = _unheard,
    ) -> AssetRef:
        """Keep the file; give the reference by which it is fetched. Raises a NorthstarError.

        `sent` is told how many of its bytes have gone, from 0 again when the file is sent again. `waits` is
        told for what, whenever nobody takes the file; it is held until somebody does, or for too long.
        """
        ...


class LocalOutputs:
    """Straight into the asset store: for a machine in the data centre."""

    def __init__(
        self,
        assets: AssetStore,
        *,
        cell: str,
        clock_ms: Callable[[], int],
        pause_s: float = 10.0,
        hold_s: float = HOLD_S,
    ) -> None:
        """`clock_ms` gives the time in ms since epoch. A file that the store does not take is offered every `pause_s` for `hold_s` seconds."""
        self._pause_s = pause_s
        self._offers = 1 + max(0, int(hold_s / pause_s))
        self._assets = assets
        self._cell = cell
        self._clock_ms = clock_ms

    async def store(
        self,
        job: ClaimedJob,
        output: Output,
        path: Path,
        *,
        sent: Callable[[int], None],
        waits: Callable[[str], None] = _unheard,
    ) -> AssetRef:
        """Raises OutputChanged, or an asset store's error. The file goes as one piece, and is told of when it is stored."""
        for offers_left in reversed(range(self._offers)):
            try:
                ref = await self._put(job, output, path)
                break
            except (AssetStoreFull, AssetStoreUnavailable) as exc:
                if not (offers_left and exc.retryable):
                    raise
                waits(_ROOM if isinstance(exc, AssetStoreFull) else _STORE)
                await asyncio.sleep(self._pause_s)
        if ref.sha256 != output.sha256:
            await self._assets.remove(ref)
            raise OutputChanged(output.name)
        sent(ref.size_bytes)
        return ref

    async def _put(self, job: ClaimedJob, output: Output, path: Path) -> AssetRef:
        return await self._assets.put(
            path,
            cell=self._cell,
            job_id=job.id,
            name=output.name,
            media_type=output.media_type,
            at_ms=self._clock_ms(),
        )


class UploadedOutputs:
    """Through the broker, which keeps them only from the machine that holds the job."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        dialling: Dialling,
        *,
        backoff: Backoff,
        jitter: Callable[[], float],
        hold_s: float = HOLD_S,
    ) -> None:
        """While the broker is away, or does not take it for want of room or of its store, a finished job's file is held and offered again.

        For `hold_s` seconds from the first such answer; then the attempt has failed.
        """
        self._hold_s = hold_s
        self._http = http
        self._dialling = dialling
        self._backoff = backoff
        self._jitter = jitter

    async def store(
        self,
        job: ClaimedJob,
        output: Output,
        path: Path,
        *,
        sent: Callable[[int], None],
        waits: Callable[[str], None] = _unheard,
    ) -> AssetRef:
        """Raises OutputChanged, OutputRefused, OutputNotSent."""
        trouble: Exception = TimeoutError("not tried")
        clock = asyncio.get_running_loop().time
        changed, held, until_s = 0, 0, math.inf
        while changed < _ATTEMPTS and clock() <= until_s:
            if changed or held:
                await asyncio.sleep(max(_LEAST_PAUSE_S, self._backoff.delay_s(changed + held - 1, self._jitter())))
            try:
                async with asyncio.timeout(_LEAST_S + output.size_bytes / _LEAST_BYTES_PER_S):
                    status, answer = await self._sent(job, output, path, told=sent)
            except (aiohttp.ClientError, OSError, TimeoutError) as exc:
                trouble, waiting_for = exc, _BROKER
            else:
                if status == 201:
                    return msgspec.json.decode(answer, type=AssetRef)
                problem = _problem(answer)
                trouble = OSError(problem.sentence)
                if problem.title == _CHANGED_ON_THE_WAY:
                    changed += 1
                    continue
                if status < 500 and status != 429:
                    raise OutputRefused(output.name, detail=problem.sentence)
                waiting_for = _WAITS_FOR.get(problem.title, _BROKER)
            # The work is done, and whoever is away comes back: waiting costs less than doing it again.
            held += 1
            until_s = min(until_s, clock() + self._hold_s)
            waits(waiting_for)
        raise OutputNotSent(output.name, detail=connection_words(trouble))

    async def _sent(
        self, job: ClaimedJob, output: Output, path: Path, *, told: Callable[[int], None]
    ) -> tuple[int, bytes]:
        name = "/".join(quote(part, safe="") for part in output.name.split("/"))
        url = f"{self._dialling.http_url}/agent/v1/jobs/{quote(job.id, safe='')}/outputs/{name}"
        headers = {
            "Authorization": f"Bearer {self._dialling.token.reveal()}",
            "X-Northstar-Lease": job.token,
            "X-Northstar-Sha256": output.sha256,
            "Content-Type": output.media_type,
            "Content-Length": str(output.size_bytes),
        }
        file = await asyncio.to_thread(_opened, path, output)
        with file:
            data = _pieces(file, told)
            async with self._http.put(url, data=data, headers=headers, allow_redirects=False) as response:
                return response.status, await response.content.read(_MAX_ANSWER_BYTES)


async def _pieces(file: BinaryIO, told: Callable[[int], None]) -> AsyncIterator[bytes]:
    """The file piece by piece; each is told once the next is asked for, since then it has gone."""
    gone = 0
    while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
        yield piece
        gone += len(piece)
        told(gone)


def _opened(path: Path, output: Output) -> BinaryIO:
    """The file, if it is what the connector verified. Raises OutputChanged."""
    try:
        file = path.open("rb")
    except OSError as exc:  # not the broker's, and no wait brings it back
        raise OutputChanged(output.name) from exc
    if os.fstat(file.fileno()).st_size != output.size_bytes:
        file.close()
        raise OutputChanged(output.name)
    return file


class _Problem(msgspec.Struct):
    title: str = ""
    detail: str = ""

    @property
    def sentence(self) -> str:
        return f"{self.title} {self.detail}".strip()


def _problem(answer: bytes) -> _Problem:
    try:
        return msgspec.json.decode(answer, type=_Problem)
    except msgspec.MsgspecError:
        return _Problem(detail=answer[:200].decode(errors="replace"))
