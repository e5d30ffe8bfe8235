"""What a finished job has left, for its tenant: the result, and each file as it is kept."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote

import msgspec

from northstar.broker.gateway.outputs import ResultMalformed
from northstar.broker.job_outputs import NoOutputs
from northstar.domain.errors import Refused
from northstar.domain.job_resources import JobFile, JobResult, links
from northstar.domain.refusals import NoSuchJob
from northstar.store.assets import AssetRef

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from northstar.broker.job_desk import JobDesk
    from northstar.domain.api_keys import Caller
    from northstar.store.assets import AssetStore
    from northstar.store.cell import Cell

_TEXT: Final = "text/plain; charset=utf-8"


class NoSuchFile(Refused):
    """The job has left no file of this name."""

    code: ClassVar[str] = "NS_NO_SUCH_FILE"

    def __init__(self, job_id: str, name: str) -> None:
        super().__init__(f"job {job_id} has left no file {name[:200]!r}; its files are listed at {links(job_id).files}")
        self.job_id = job_id
        self.name = name


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a job has left: a file in the asset store, or a text that its result holds."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    asset: AssetRef | None = None
    text: bytes = b""


class _Output(msgspec.Struct):
    name: str
    asset: AssetRef | None = None
    text: str | None = None


class _Result(msgspec.Struct):
    outputs: list[_Output] = []


class JobFiles:
    """Results of one cell's jobs."""

    def __init__(self, cell: Cell, desk: JobDesk, assets: AssetStore) -> None:
        self._cell = cell
        self._desk = desk
        self._assets = assets

    async def result(self, caller: Caller, job_id: str) -> JobResult:
        """The answer of the job's engine, and its files. Raises NoSuchJob, NoOutputs, ResultMalformed."""
        told, kept = await self._of(caller, job_id)
        files = tuple(_file(job_id, one) for one in kept)
        shown: Any = told
        if isinstance(told, dict):
            shown = {name: value for name, value in told.items() if name != "outputs"}
        return JobResult(id=job_id, result=shown, files=files)

    async def files(self, caller: Caller, job_id: str) -> tuple[JobFile, ...]:
        """The job's files. Raises as `result`."""
        return (await self.result(caller, job_id)).files

    async def find(self, caller: Caller, job_id: str, name: str) -> Kept:
        """A file of the job, which is there to be read. Raises NoSuchFile, an asset store's error, and as `result`."""
        _, kept = await self._of(caller, job_id)
        found = next((one for one in kept if one.name == name), None)
        if found is None:
            raise NoSuchFile(job_id, name)
        if found.asset is not None:
            # A machine said where it lies: it must be this job's own.
            await self._assets.expect(found.asset, cell=self._cell.name, job_id=job_id)
        return found

    def read(self, kept: Kept, *, first: int = 0, count: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a file, or `count` of them from the one numbered `first`; see `AssetStore.chunks` and `part`."""
        if kept.asset is None:
            return _once(kept.text[first:] if count is None else kept.text[first : first + count])
        if count is None:
            return self._assets.chunks(kept.asset)
        return self._assets.part(kept.asset, first=first, count=count)

    async def _of(self, caller: Caller, job_id: str) -> tuple[Any, list[Kept]]:
        view = await self._desk.view(caller, job_id)
        if view.status == "moved":  # the other cell has what it leaves
            raise NoSuchJob({"job": job_id})
        if view.status != "succeeded":
            raise NoOutputs(job_id, status=view.status)
        try:
            result = msgspec.convert(view.result if isinstance(view.result, dict) else {}, _Result)
        except msgspec.ValidationError as exc:
            raise ResultMalformed(job_id, detail=str(exc)) from exc
        return view.result, [_kept(one) for one in result.outputs]


def _kept(output: _Output) -> Kept:
    if output.asset is not None:
        ref = output.asset
        return Kept(
            name=output.name, media_type=ref.media_type, size_bytes=ref.size_bytes, sha256=ref.sha256, asset=ref
        )
    text = (output.text or "").encode(errors="replace")
    digest = hashlib.sha256(text).hexdigest()
    return Kept(name=output.name, media_type=_TEXT, size_bytes=len(text), sha256=digest, text=text)


def _file(job_id: str, kept: Kept) -> JobFile:
    return JobFile(
        name=kept.name,
        media_type=kept.media_type,
        size_bytes=kept.size_bytes,
        sha256=kept.sha256,
        url=f"{links(job_id).files}/{quote(kept.name)}",
    )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
