"""A cell with a client's side, and workers whose jobs end when the test says so."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

from northstar.agent.direct_link import DirectLink
from northstar.agent.engine import JobRunner
from northstar.agent.link import BrokerLink
from northstar.agent.model_link import DialledModelLink, ModelLink
from northstar.agent.presence import FixedPresence, Presence
from northstar.agent.run_meter import RunMeters
from northstar.agent.websocket_link import WebSocketLink
from northstar.agent.worker import Worker
from northstar.agent.worker_settings import WorkerSettings
from northstar.broker.dispatch import Dispatcher
from northstar.broker.submission import Submitter
from northstar.domain.jobs import ClaimedJob, JobRequest
from northstar.domain.limits import CellLimits
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.models import ModelHeld
from northstar.domain.progress import Progress
from northstar.store.cell import Cell
from northstar.store.messages import JobRecord
from northstar.store.model_reports import ModelReports
from northstar.store.valkey import ValkeyClient, connect
from tests.servers import eventually

PROFILE = MachineProfile(pools=("standard",), services=("waits",))
LIMITS = CellLimits(lease_ms=1_000, alive_ms=3_000, offer_ms=500)
SOON_S = 10.0


def nonce() -> str:
    return secrets.token_hex(8)


class Runs:
    """A runner whose jobs wait for the test's word: `finish`, `fail`, or the end by cancellation."""

    def __init__(self) -> None:
        self.started: list[ClaimedJob] = []
        self.canceled: list[str] = []
        self._ends: dict[str, asyncio.Future[str]] = {}

    async def run(self, job: ClaimedJob, report: Callable[[Progress], None]) -> str:
        self.started.append(job)
        end = self._ends.setdefault(job.id, asyncio.get_running_loop().create_future())
        try:
            return await asyncio.shield(end)
        except asyncio.CancelledError:
            self.canceled.append(job.id)
            raise

    @property
    def ids(self) -> list[str]:
        return [job.id for job in self.started]

    def finish(self, job_id: str, result: str = "{}") -> None:
        self._end(job_id).set_result(result)

    def fail(self, job_id: str, error: Exception) -> None:
        self._end(job_id).set_exception(error)

    def _end(self, job_id: str) -> asyncio.Future[str]:
        return self._ends.setdefault(job_id, asyncio.get_running_loop().create_future())


class Rig:
    """Everything closes when it is left."""

    def __init__(self, url: str, *, limits: CellLimits = LIMITS) -> None:
        self.url = url
        self.limits = limits
        self.name = f"a{nonce()}"
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.cell = await self.opened()
        await self.cell.declare(["pool:standard", "service:waits"], by="test")
        self.submitter = Submitter(self.cell, new_id=lambda: nonce() + nonce(), monotonic=time.monotonic, view_s=0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def client(self, url: str | None = None) -> ValkeyClient:
        client = connect(url or self.url)
        self._stack.push_async_callback(client.aclose)
        return client

    async def opened(self, url: str | None = None) -> Cell:
        """The cell through a client of its own, perhaps by another way."""
        cell = Cell(self.client(url), self.name)
        await cell.open(self.limits)
        return cell

    async def link(self, machine: str = "m", *, url: str | None = None) -> DirectLink:
        return DirectLink(await self.opened(url), machine=machine, session=nonce(), new_nonce=nonce)

    def model_link(self, link: BrokerLink) -> ModelLink:
        """What the same machine says of its models, by the same way."""
        if isinstance(link, WebSocketLink):
            return DialledModelLink(link)
        assert isinstance(link, DirectLink)
        return ModelReports(self.cell, machine=link.machine, session=link.session)

    async def joined(self, machine: str = "m", *, slots: int = 4, url: str | None = None) -> DirectLink:
        link = await self.link(machine, url=url)
        await link.register(PROFILE, MachineDescription(), slots=slots, models=())
        return link

    def worker(
        self,
        link: BrokerLink,
        runs: JobRunner,
        *,
        models: tuple[ModelHeld, ...] = (),
        presence: Presence | None = None,
        meters: RunMeters | None = None,
        **settings: Any,
    ) -> Worker:
        defaults = {"slots": 4, "renew_every_s": 0.2, "drain_s": 5.0, "reclaim_every_s": 0.8}
        return Worker(
            link,
            runs,
            profile=PROFILE,
            presence=presence or FixedPresence(held=models),
            settings=WorkerSettings(**defaults | settings),
            jitter=lambda: 0.0,
            meters=meters,
        )

    @contextlib.asynccontextmanager
    async def working(self, worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
        """The worker at work; stopped in good order on the way out."""
        task = asyncio.create_task(worker.run())
        try:
            yield task
        finally:
            worker.stop()
            async with asyncio.timeout(SOON_S):
                with contextlib.suppress(Exception):
                    await task

    @contextlib.asynccontextmanager
    async def dispatching(self) -> AsyncIterator[Dispatcher]:
        dispatcher = Dispatcher(await self.opened(), new_nonce=nonce)
        task = asyncio.create_task(dispatcher.run())
        try:
            yield dispatcher
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def registered(self, machine: str) -> None:
        """Wait until the cell knows the machine."""

        async def is_so() -> bool:
            return bool(await self.cell.client.execute_command("HEXISTS", self.cell.keys["machines"], machine))

        await eventually(is_so, what=f"{machine} is registered")

    async def plan(self) -> None:
        """What a dispatcher would write now."""
        await Dispatcher(self.cell, new_nonce=nonce).plan()

    async def submit(self, *ids: str, **fields: Any) -> list[str]:
        accepted = await self.submitter.submit([JobRequest(service="waits", id=job, **fields) for job in ids])
        return [job.id for job in accepted]

    async def record(self, job_id: str) -> JobRecord:
        (job,) = (await self.cell.inspect([job_id])).jobs
        return job.record

    async def status(self, job_id: str) -> str:
        return (await self.record(job_id)).status

    async def becomes(self, job_id: str, status: str, *, within_s: float = SOON_S) -> None:
        async def is_so() -> bool:
            return await self.status(job_id) == status

        await eventually(is_so, what=f"{job_id} is {status}", within_s=within_s)


async def soon(is_so: Callable[[], Any], what: str, *, within_s: float = SOON_S) -> None:
    async def ask() -> Any:
        return is_so()

    await eventually(ask, what=what, within_s=within_s)
