"""The client for programs without asyncio: the same calls, run on a loop in a thread of the client's own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from northstar.client.async_client import AsyncClient, AsyncJob
from northstar.client.job_events import JobEvent
from northstar.client.patience import Patience
from northstar.domain.job_resources import BulkOutcome, JobFile, JobFilter, JobResource, JobResult, SubmittedJob
from northstar.domain.jobs import JobRequest, JobStatus

Told = TypeVar("Told")


class _Loop:
    """An event loop in a thread, for calls from any other thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="northstar-client", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def call(self, asked: Coroutine[Any, Any, Told]) -> Told:
        """What it gives. Interrupted, it is cancelled before the interruption goes on. Raises RuntimeError: the client is not open."""
        if not self._thread.is_alive():
            asked.close()
            raise RuntimeError("the client is not open: use it by `with`")
        future = asyncio.run_coroutine_threadsafe(asked, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def each(self, items: AsyncIterator[Told]) -> Iterator[Told]:
        """One after the other, as they are asked for."""

        async def following() -> tuple[bool, Any]:
            try:
                return True, await anext(items)
            except StopAsyncIteration:
                return False, None

        try:
            while True:
                more, item = self.call(following())
                if not more:
                    return
                yield item
        finally:
            closing = getattr(items, "aclose", None)
            if closing is not None and self._thread.is_alive():
                self.call(closing())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Client:
    """As `AsyncClient`, for programs without asyncio. Use it by `with`; it may be used from several threads."""

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        patience: Patience | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """`timeout_s` bounds a single try. Raises ClientNotConfigured."""
        self._client = AsyncClient(url, key=key, patience=patience, timeout_s=timeout_s)
        self._loop = _Loop()

    def __enter__(self) -> Self:
        self._loop.start()
        self._loop.call(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._loop.call(self._client.__aexit__(kind, error, trace))
        finally:
            self._loop.stop()

    def submit(self, service: str | JobRequest, payload: dict[str, Any] | None = None, **more: Any) -> Job:
        """See `AsyncClient.submit`."""
        return Job(self._loop, self._loop.call(self._client.submit(service, payload, **more)))

    def submit_many(self, requests: Sequence[JobRequest], *, traceparent: str | None = None) -> list[Job]:
        """See `AsyncClient.submit_many`."""
        submitted = self._loop.call(self._client.submit_many(requests, traceparent=traceparent))
        return [Job(self._loop, job) for job in submitted]

    def run(
        self,
        service: str | JobRequest,
        payload: dict[str, Any] | None = None,
        *,
        timeout_s: float = 3_600.0,
        **more: Any,
    ) -> JobResult:
        """See `AsyncClient.run`."""
        return self._loop.call(self._client.run(service, payload, timeout_s=timeout_s, **more))

    def job(self, job_id: str) -> Job:
        """See `AsyncClient.job`."""
        return Job(self._loop, self._client.job(job_id))

    def find(self, idempotency_key: str, *, tenant: str | None = None) -> Job | None:
        """See `AsyncClient.find`."""
        found = self._loop.call(self._client.find(idempotency_key, tenant=tenant))
        return None if found is None else Job(self._loop, found)

    def jobs(self, wanted: JobFilter | None = None) -> Iterator[JobResource]:
        """See `AsyncClient.jobs`."""
        return self._loop.each(self._client.jobs(wanted))

    def cancel_many(self, job_ids: Iterable[str], *, because: str = "") -> BulkOutcome:
        """See `AsyncClient.cancel_many`."""
        return self._loop.call(self._client.cancel_many(job_ids, because=because))


class Job:
    """As `AsyncJob`, for programs without asyncio."""

    def __init__(self, loop: _Loop, job: AsyncJob) -> None:
        self._loop = loop
        self._job = job

    def __repr__(self) -> str:
        return f"Job({self._job.id!r})"

    @property
    def id(self) -> str:
        """The job's id."""
        return self._job.id

    @property
    def submitted(self) -> SubmittedJob | None:
        """Where it waits and why, where this program submitted it."""
        return self._job.submitted

    def look(self) -> JobResource:
        """See `AsyncJob.look`."""
        return self._loop.call(self._job.look())

    def status(self) -> JobStatus:
        """See `AsyncJob.status`."""
        return self._loop.call(self._job.status())

    def wait(self, *, timeout_s: float = 3_600.0) -> JobResource:
        """See `AsyncJob.wait`."""
        return self._loop.call(self._job.wait(timeout_s=timeout_s))

    def result(self, *, timeout_s: float = 3_600.0) -> JobResult:
        """See `AsyncJob.result`."""
        return self._loop.call(self._job.result(timeout_s=timeout_s))

    def events(self, *, after: str = "") -> Iterator[JobEvent]:
        """See `AsyncJob.events`."""
        return self._loop.each(self._job.events(after=after))

    def cancel(self, *, because: str = "") -> JobResource:
        """See `AsyncJob.cancel`."""
        return self._loop.call(self._job.cancel(because=because))

    def retry(self) -> JobResource:
        """See `AsyncJob.retry`."""
        return self._loop.call(self._job.retry())

    def reprioritise(self, priority: int) -> JobResource:
        """See `AsyncJob.reprioritise`."""
        return self._loop.call(self._job.reprioritise(priority))

    def files(self) -> list[JobFile]:
        """See `AsyncJob.files`."""
        return self._loop.call(self._job.files())

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """See `AsyncJob.save`."""
        return self._loop.call(self._job.save(folder))
