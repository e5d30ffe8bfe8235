"""A machine at work: claims by credit, runs jobs side by side, keeps their leases, and goes in order."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
import structlog

from northstar.agent.held_jobs import HeldJobs
from northstar.domain.errors import NorthstarError, Unavailable
from northstar.domain.refusals import MachineReplaced, NoSuchMachine
from northstar.store.bells import Canceled, MachineChanged, Offered
from northstar.store.messages import Done, Failure, Held

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from northstar.agent.engine import JobRunner
    from northstar.agent.link import BrokerLink
    from northstar.connectors.contract import Progress
    from northstar.domain.jobs import ClaimedJob
    from northstar.domain.machines import MachineDescription, MachineProfile
    from northstar.domain.models import ModelHeld
    from northstar.store.messages import ClaimReply

log = structlog.get_logger(__name__)


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker behaves. Durations in seconds."""

    slots: int = 1
    #: Renew leases so often; a third of the lease, so that two renewals may be lost.
    renew_every_s: float = 10.0
    #: While idle, look for work so often even if no bell rang: what a lost bell can cost.
    reclaim_every_s: float = 1.0
    #: On stop, let running jobs finish for so long before they are handed back.
    drain_s: float = 30.0
    #: Pause after a call that the broker could not answer.
    retry_s: float = 0.2
    #: Results and claims per call.
    batch: int = 500


class Worker:
    """One machine. `jitter` gives random numbers in [0, 1) for the pauses after failures."""

    def __init__(
        self,
        link: BrokerLink,
        runner: JobRunner,
        *,
        profile: MachineProfile,
        description: MachineDescription,
        models: Sequence[ModelHeld] = (),
        settings: WorkerSettings,
        jitter: Callable[[], float],
    ) -> None:
        self._link = link
        self._runner = runner
        self._profile = profile
        self._description = description
        self._models = models
        self._settings = settings
        self._jitter = jitter
        self._held = HeldJobs()
        self._done: list[Done] = []
        self._failed: list[Failure] = []
        self._attention = asyncio.Event()
        self._stopping = False
        self._draining = False

    def stop(self) -> None:
        """Take no more work, finish or hand back what runs, then return from `run`. May be called from a signal handler."""
        self._stopping = True
        self._attention.set()

    async def run(self) -> None:
        """Work until `stop`, or until a newer agent takes this machine's name (MachineReplaced)."""
        await self._until_answered(self._register)
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._listen(tasks), name="worker-bells"),
                tasks.create_task(self._renew_for_ever(), name="worker-renew"),
            ]
            try:
                await self._work(tasks)
                await self._drain()
            finally:
                for task in background:
                    task.cancel()
        with contextlib.suppress(Unavailable):
            await self._link.leave(because="stopped")

    # Work -------------------------------------------------------------------------------------------------------------

    async def _work(self, tasks: asyncio.TaskGroup) -> None:
        while not self._stopping:
            self._attention.clear()
            done, failed = self._take_finished()
            free = 0 if self._draining else self._settings.slots - len(self._held)
            try:
                claimed = await self._report(done, failed, credits_=min(free, self._settings.batch))
            except NoSuchMachine:
                self._put_back(done, failed)
                self._held.cancel_all()
                await self._until_answered(self._register)
                continue
            except Unavailable as exc:
                log.warning("broker_unavailable", code=exc.code, error=str(exc))
                self._put_back(done, failed)
                await asyncio.sleep(self._settings.retry_s)
                continue
            self._start(claimed.jobs if claimed else (), tasks)
            if not self._done and not self._failed:
                await self._wait()

    async def _report(self, done: list[Done], failed: list[Failure], *, credits_: int) -> ClaimReply | None:
        """One round: failures, results, and a claim where slots are free or offers may wait."""
        if failed:
            await self._link.fail(failed)
            failed.clear()
        if done:
            reply = await self._link.complete_and_claim(done, credits_=credits_)
            self._warn_about(reply)
            done.clear()
            return reply
        return await self._link.claim(credits_=credits_) if credits_ > 0 else None

    def _warn_about(self, reply: ClaimReply) -> None:
        for outcome in reply.completed:
            if outcome.word not in {"ok", "replayed"}:
                log.warning("result_refused", job=outcome.id, code=outcome.word)

    def _take_finished(self) -> tuple[list[Done], list[Failure]]:
        batch = self._settings.batch
        done, self._done = self._done[:batch], self._done[batch:]
        failed, self._failed = self._failed[:batch], self._failed[batch:]
        return done, failed

    def _put_back(self, done: list[Done], failed: list[Failure]) -> None:
        self._done[:0] = done
        self._failed[:0] = failed

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.reclaim_every_s):
                await self._attention.wait()

    # Jobs -------------------------------------------------------------------------------------------------------------

    def _start(self, jobs: Sequence[ClaimedJob], tasks: asyncio.TaskGroup) -> None:
        for job in jobs:
            if self._held.begin(job.token):
                self._held.add(job.id, job.token, tasks.create_task(self._run_one(job), name=f"job-{job.id}"))

    async def _run_one(self, job: ClaimedJob) -> None:
        def report(progress: Progress) -> None:
            self._held.tell(self._link, job, progress)

        try:
            result = await self._runner.run(job, report)
            self._done.append(Done(job.id, job.token, result))
        except NorthstarError as exc:
            self._failed.append(self._failure(job, exc.code, str(exc), retryable=exc.retryable))
        except Exception as exc:
            log.exception("job_raised", job=job.id)
            self._failed.append(self._failure(job, "NS_WORKER_FAULT", f"{type(exc).__name__}: {exc}", retryable=True))
        finally:
            self._held.remove(job.id, job.token)
            self._attention.set()

    def _failure(self, job: ClaimedJob, code: str, message: str, *, retryable: bool) -> Failure:
        return Failure(job.id, job.token, code, message[:2048], retryable, self._jitter())

    # Leases and bells -------------------------------------------------------------------------------------------------

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.renew_every_s)
            with contextlib.suppress(Unavailable, NoSuchMachine):
                await self._renew()

    async def _renew(self) -> None:
        held = [*self._held.named(), *(Held(done.id, done.token) for done in self._done)]
        for first in range(0, max(len(held), 1), self._settings.batch):
            reply = await self._link.renew(held[first : first + self._settings.batch])
            for job_id, code in reply.lost:
                log.warning("lease_lost", job=job_id, code=code)
                self._held.stop(job_id)

    async def _listen(self, tasks: asyncio.TaskGroup) -> None:
        async for ring in self._link.bells():
            match ring:
                case Offered(jobs=jobs) if not (self._stopping or self._draining):
                    self._start(jobs, tasks)
                case Canceled(job, token):
                    self._held.stop(job, token)
                case MachineChanged(status=status):
                    self._draining = status == "draining"
                case _:
                    pass
            self._attention.set()

    # Coming and going -------------------------------------------------------------------------------------------------

    async def _register(self) -> None:
        still_held = await self._link.register(
            self._profile, self._description, slots=self._settings.slots, models=self._models
        )
        mine = {(held.id, held.token) for held in (*self._held.named(), *(Held(d.id, d.token) for d in self._done))}
        strangers = [held for held in still_held if (held.id, held.token) not in mine]
        if strangers:
            await self._link.release(strangers, because="unknown to the agent")

    async def _until_answered(self, call: Callable[[], Awaitable[None]]) -> None:
        while not self._stopping:
            try:
                await call()
            except MachineReplaced:
                raise
            except Unavailable as exc:
                log.warning("broker_unavailable", code=exc.code, error=str(exc))
                await asyncio.sleep(self._settings.retry_s)
            else:
                return

    async def _drain(self) -> None:
        """Report what finishes within `drain_s`; hand the rest back."""
        deadline = asyncio.get_running_loop().time() + self._settings.drain_s
        while (len(self._held) or self._done or self._failed) and asyncio.get_running_loop().time() < deadline:
            self._attention.clear()
            done, failed = self._take_finished()
            try:
                await self._report(done, failed, credits_=0)
            except (Unavailable, NoSuchMachine):
                self._put_back(done, failed)
                await asyncio.sleep(self._settings.retry_s)
                continue
            if len(self._held) and not self._done:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        await self._attention.wait()
        rest = self._held.named()
        self._held.cancel_all()
        if rest:
            with contextlib.suppress(Unavailable):
                await self._link.release(rest, because="machine stops")
