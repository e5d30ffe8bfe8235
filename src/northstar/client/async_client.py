"""The client for programs with asyncio: `submit` gives a handle, and the handle everything about its job."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self
from urllib.parse import quote

import msgspec

from northstar.client.current_trace import trace_headers
from northstar.client.errors import AnswerUnreadable, JobFailed, NotFound, WaitTooLong
from northstar.client.job_events import JobEvent, read_events
from northstar.client.patience import Patience
from northstar.client.transport import Transport
from northstar.domain.errors import InvalidRequest
from northstar.domain.job_resources import (
    BulkOutcome,
    JobFile,
    JobFilter,
    JobPage,
    JobResource,
    JobResult,
    SubmittedJob,
    SubmittedJobs,
)
from northstar.domain.jobs import JobRequest, JobStatus

#: Seconds that one call may hang at the server, and the pause where a server does not hold it.
_HELD_S: Final = 20
_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 2.0
#: Longer than the pause of a server between two signs of life.
_SILENCE_S: Final = 60.0


class JobMalformed(InvalidRequest):
    """What was passed to `submit` is no job; nothing was sent."""

    code: ClassVar[str] = "NS_JOB_MALFORMED"

    def __init__(self, reason: str) -> None:
        super().__init__(f"this is no job: {reason}")
        self.reason = reason


class FileDamaged(AnswerUnreadable):
    """A file did not come as it was announced, more than once."""


class AsyncClient:
    """One server, with one key. Use it by `async with`.

    Where `url` or `key` are left out, NORTHSTAR_API_URL and NORTHSTAR_API_KEY say them. Calls are repeated as `patience` allows, and
    never so that a job could be submitted twice: each carries an idempotency key.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        patience: Patience | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """`timeout_s` bounds a single try. Raises ClientNotConfigured."""
        self._transport = Transport(url, key, patience=patience or Patience(), timeout_s=timeout_s)

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def submit(
        self,
        service: str | JobRequest,
        payload: dict[str, Any] | None = None,
        *,
        traceparent: str | None = None,
        **more: Any,
    ) -> AsyncJob:
        """Submit one job: a request, or a service with its payload and what else a request has, such as `priority`.

        It goes on in the trace that `traceparent` names (W3C), where that is left out in the current one of OpenTelemetry; "" is none.

        Raises:
            RequestInvalid, KeyRefused, RequestRefused: the server does not take it.
        """
        body = _with_key(_request(service, payload, more))
        headers = trace_headers(traceparent)
        taken = await self._transport.call("POST", "/v1/jobs", SubmittedJob, body=body, headers=headers)
        return AsyncJob(self._transport, taken.id, submitted=taken)

    async def submit_many(self, requests: Sequence[JobRequest], *, traceparent: str | None = None) -> list[AsyncJob]:
        """Submit 1 to 500 jobs, all or none, of one trace. Raises as `submit`."""
        wanted = [_with_key(request) for request in requests]
        headers = trace_headers(traceparent)
        taken = await self._transport.call("POST", "/v1/jobs/batch", SubmittedJobs, body=wanted, headers=headers)
        return [AsyncJob(self._transport, one.id, submitted=one) for one in taken.jobs]

    async def run(
        self,
        service: str | JobRequest,
        payload: dict[str, Any] | None = None,
        *,
        timeout_s: float = 3_600.0,
        **more: Any,
    ) -> JobResult:
        """Submit one job and wait for its result. Raises as `submit` and `AsyncJob.result`."""
        return await (await self.submit(service, payload, **more)).result(timeout_s=timeout_s)

    def job(self, job_id: str) -> AsyncJob:
        """The handle of a job that was submitted before."""
        return AsyncJob(self._transport, job_id)

    async def find(self, idempotency_key: str, *, tenant: str | None = None) -> AsyncJob | None:
        """The job that was submitted with this key; None: there is none."""
        query = {"idempotency_key": idempotency_key} | ({} if tenant is None else {"tenant": tenant})
        try:
            page = await self._transport.call("GET", "/v1/jobs", JobPage, query=query)
        except NotFound:
            return None
        return AsyncJob(self._transport, page.jobs[0].id)

    async def jobs(self, wanted: JobFilter | None = None) -> AsyncIterator[JobResource]:
        """All jobs that the filter means, page by page; one that changes its place meanwhile may come twice."""
        query = {
            name: str(value) for name, value in msgspec.to_builtins(wanted or JobFilter()).items() if value is not None
        }
        cursor = ""
        while True:
            page = await self._transport.call(
                "GET", "/v1/jobs", JobPage, query=query | {"limit": "500", "cursor": cursor}
            )
            for job in page.jobs:
                yield job
            cursor = page.cursor
            if not cursor:
                return

    async def cancel_many(self, job_ids: Iterable[str], *, because: str = "") -> BulkOutcome:
        """Cancel up to 500 jobs; each by itself."""
        change = {"action": "cancel", "ids": list(job_ids), "because": because}
        return await self._transport.call("POST", "/v1/jobs/changes", BulkOutcome, body=change)


class AsyncJob:
    """A job on the server. `submitted` says where it waits and why, where this program submitted it."""

    def __init__(self, transport: Transport, job_id: str, *, submitted: SubmittedJob | None = None) -> None:
        self._transport = transport
        self.id = job_id
        self.submitted = submitted
        self._path = f"/v1/jobs/{quote(job_id, safe='')}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    async def look(self) -> JobResource:
        """The job as it stands, with its place in the queue while it waits. Raises NotFound."""
        return await self._transport.call("GET", self._path, JobResource)

    async def status(self) -> JobStatus:
        """Raises NotFound."""
        return (await self.look()).status

    async def wait(self, *, timeout_s: float = 3_600.0) -> JobResource:
        """The job once it is over, however it ended. Raises WaitTooLong, NotFound."""
        clock = asyncio.get_running_loop()
        ends_s, pause_s = clock.time() + timeout_s, _PAUSE_S
        while True:
            asked_s = clock.time()
            held_s = max(0, min(_HELD_S, int(ends_s - asked_s)))
            headers = {"Prefer": f"wait={held_s}"} if held_s else {}
            job = await self._transport.call("GET", self._path, JobResource, headers=headers, timeout_s=held_s + 30.0)
            if job.status.is_final:
                return job
            if clock.time() >= ends_s:
                raise WaitTooLong(job, timeout_s=timeout_s)
            if clock.time() - asked_s < pause_s:  # the server does not hold calls, or has too many to hold
                await asyncio.sleep(max(0.0, min(pause_s, ends_s - clock.time())))
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 1.5)

    async def result(self, *, timeout_s: float = 3_600.0) -> JobResult:
        """Wait for what the job leaves.

        Raises:
            JobFailed: it is over without a result. WaitTooLong: it goes on. NotFound: there is no such job.
        """
        job = await self.wait(timeout_s=timeout_s)
        if job.status != JobStatus.SUCCEEDED:
            raise JobFailed(job)
        return await self._transport.call("GET", f"{self._path}/result", JobResult)

    async def events(self, *, after: str = "") -> AsyncIterator[JobEvent]:
        """What happens to the job, from its beginning (or after an event's id) until it is over.

        Changes of state come in order, each once, also when the connection breaks meanwhile; progress and text of a running job may be
        lost on the way.

        Raises:
            NotFound: there is no such job. ServerUnavailable: it cannot be reached any more.
        """
        events = read_events(
            self._transport,
            f"{self._path}/events",
            after=after,
            silence_s=_SILENCE_S,
            patience=self._transport.patience,
        )
        async with aclosing(events):
            async for event in events:
                yield event

    async def cancel(self, *, because: str = "") -> JobResource:
        """Cancel it wherever it is. Raises NotFound, RequestRefused."""
        return await self._transport.call("POST", f"{self._path}/cancel", JobResource, body={"because": because})

    async def retry(self) -> JobResource:
        """Send it back to work once it has failed for good. Raises NotFound, RequestRefused."""
        return await self._transport.call("POST", f"{self._path}/retry", JobResource, may_repeat=False)

    async def reprioritise(self, priority: int) -> JobResource:
        """Change its priority, 0 to 100, before it starts. Raises NotFound, RequestRefused, RequestInvalid."""
        return await self._transport.call("PATCH", self._path, JobResource, body={"priority": priority})

    async def files(self) -> list[JobFile]:
        """What it left, once it has succeeded. Raises NotFound, RequestRefused."""
        return await self._transport.call("GET", f"{self._path}/files", list[JobFile])

    async def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Bring all its files below a folder, each verified by its SHA-256; what is there already stays as it is.

        Raises:
            FileExistsError: a file of that name is there. FileDamaged: a file did not come as announced. ValueError: a name leads out of the
            folder. And as `files`.
        """
        return [await self._saved(file, Path(folder)) for file in await self.files()]

    async def _saved(self, file: JobFile, folder: Path) -> Path:
        path = _below(folder, file.name)
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".northstar-", dir=path.parent)
        try:
            digest, size = hashlib.sha256(), 0
            with os.fdopen(handle, "wb") as saved:
                async with aclosing(self._transport.stream(file.url, silence_s=_SILENCE_S)) as chunks:
                    async for chunk in chunks:
                        digest.update(chunk)
                        size += await asyncio.to_thread(saved.write, chunk)
            if (size, digest.hexdigest()) != (file.size_bytes, file.sha256):
                raise FileDamaged(file.url, reason=f"{size} bytes came of {file.size_bytes}, or others than announced")
            await asyncio.to_thread(_name, Path(draft), path)
        finally:
            await asyncio.to_thread(Path(draft).unlink, missing_ok=True)
        return path


def _below(folder: Path, name: str) -> Path:
    """Where a file goes. The name came from elsewhere, so it may lead nowhere else."""
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in name or "\\" in name:
        raise ValueError(f"the name {name!r} leads out of the folder")
    return folder.joinpath(*parts)


def _name(draft: Path, path: Path) -> None:
    """Give a whole file its name, unless another has it. Not every file system has links: there the name is taken first."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise FileExistsError(
            errno.EEXIST, "a file of this name is there; save each job to a folder of its own", str(path)
        ) from None
    except OSError:
        path.open("xb").close()
        draft.replace(path)


def _request(service: str | JobRequest, payload: dict[str, Any] | None, more: dict[str, Any]) -> JobRequest:
    if isinstance(service, JobRequest):
        if payload is not None or more:
            raise TypeError("a request says everything itself; change it by msgspec.structs.replace")
        return service
    try:
        return msgspec.convert({"service": service, "payload": payload or {}} | more, JobRequest)
    except msgspec.ValidationError as exc:
        raise JobMalformed(str(exc)) from exc


def _with_key(request: JobRequest) -> JobRequest:
    """So that a call that is repeated after a lost answer is the same job."""
    if request.idempotency_key is not None or request.id is not None:
        return request
    return msgspec.structs.replace(request, idempotency_key=f"sdk-{secrets.token_hex(16)}")
