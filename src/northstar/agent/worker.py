"""A machine at work: claims by credit, runs jobs side by side, keeps their leases, and goes in order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import msgspec

from northstar.agent.held_jobs import HeldJobs
from northstar.agent.log_lines import LogLines, RunLines
from northstar.agent.outbox import Outbox
from northstar.agent.readiness import EngineNotReady
from northstar.agent.renewal import Renewal, RenewalEvents
from northstar.agent.run_meter import RunMeters
from northstar.domain.errors import NorthstarError, Unavailable
from northstar.domain.refusals import NoSuchMachine
from northstar.store.bells import Canceled, Connected, Offered, Ordered
from northstar.store.messages import Done, Failure, Held
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.agent.engine import JobRunner
    from northstar.agent.link import BrokerLink
    from northstar.agent.presence import Presence
    from northstar.agent.worker_settings import WorkerSettings
    from northstar.domain.jobs import ClaimedJob
    from northstar.domain.machines import MachineDescription, MachineProfile
    from northstar.domain.models import ModelHeld
    from northstar.domain.node_sets import NodeSet
    from northstar.domain.progress import Progress

log = logger(__name__)


class Worker:
    """One machine. `jitter` gives random numbers in [0, 1) for the pauses after failures."""

    def __init__(
        self,
        link: BrokerLink,
        runner: JobRunner,
        *,
        profile: MachineProfile,
        presence: Presence,
        settings: WorkerSettings,
        jitter: Callable[[], float],
        node_set: NodeSet | None = None,
        meters: RunMeters | None = None,
    ) -> None:
        """`presence` says what the machine holds, and hears when there may be orders about models; `meters` measure the runs."""
        self._link = link
        self._runner = runner
        self._profile, self._node_set = profile, node_set
        self._presence = presence
        self._settings = settings
        self._jitter = jitter
        self._held = HeldJobs()
        self._meters = meters or RunMeters(time.monotonic)
        self._outbox = Outbox(link, batch=settings.batch)
        self._attention = asyncio.Event()
        self._renewal = Renewal(
            link,
            self._held,
            self._outbox,
            every_s=settings.renew_every_s,
            retry_s=settings.retry_s,
            batch=settings.batch,
            tell=RenewalEvents(lost=self._is_lost, strangers=self._found_strangers, orders=presence.look),
        )
        self._stopping = False
        self._lost = False
        self._handed_back = 0
        self._strangers: list[Held] = []
        self._refused: list[Held] = []
        self._offered = profile.services
        self._offer_changed = False
        self._telling = LogLines(time.monotonic, jobs_per_s=settings.job_lines_per_s)

    def offer(self, services: Sequence[str], *, trouble: str = "") -> None:
        """Take work for these services of the profile from now on; for none, take no work until told again.

        `trouble` says why the others take none, for people.
        """
        self._offered = tuple(services)
        self._presence.offers(takes_work=bool(self._offered), trouble=trouble)
        self._offer_changed = True
        self._attention.set()

    def announce(
        self,
        profile: MachineProfile,
        description: MachineDescription,
        *,
        models: Sequence[ModelHeld],
        node_set: NodeSet | None = None,
    ) -> None:
        """Say something else of the machine from now on. What is offered of the profile stays as it was told."""
        self._profile, self._node_set = profile, node_set
        self._presence.announce(description, models)
        self._offer_changed = True
        self._attention.set()

    @property
    def holds_nothing(self) -> bool:
        """Whether no job runs here and no outcome waits to be told."""
        return not (len(self._held) or len(self._outbox) or self._refused)

    def stop(self) -> None:
        """Take no more work, finish or hand back what runs, then return from `run`. May be called from a signal handler."""
        self._stopping = True
        self._attention.set()

    async def run(self) -> None:
        """Work until `stop`.

        Raises:
            MachineReplaced: a newer agent took this machine's name; what ran here was stopped.
            NorthstarError: the broker does not want this machine any more, and why.
        """
        await self._register()
        try:
            await self._work_and_drain()
        except BaseExceptionGroup as group:
            _, others = group.split(NorthstarError)
            if others is None:
                raise _leaf(group) from None
            raise
        with contextlib.suppress(Unavailable):
            await self._link.leave(because="stopped")
        self._telling.left(handed_back=self._handed_back)

    async def _work_and_drain(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._listen(tasks), name="worker-bells"),
                tasks.create_task(self._renewal.run(), name="worker-renew"),
            ]
            try:
                await self._work(tasks)
                await self._drain()
            finally:
                for task in background:
                    task.cancel()

    # Work -------------------------------------------------------------------------------------------------------------

    async def _work(self, tasks: asyncio.TaskGroup) -> None:
        while not self._stopping:
            self._attention.clear()
            try:
                if self._lost:
                    await self._join_again()
                if self._offer_changed:
                    await self._announce_offer()
                strangers, self._strangers = self._strangers, []
                credits_ = self._settings.slots - len(self._held) if self._offered else 0
                self._start(await self._outbox.send_and_claim(credits_), tasks)
                await self._hand_back(strangers)
                await self._hand_back_refused()
            except NoSuchMachine:
                self._lost = True
            except Unavailable as exc:
                await self._pause(exc)
            else:
                self._telling.over()
                if not len(self._outbox):
                    await self._wait()

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.reclaim_every_s):
                await self._attention.wait()

    async def _pause(self, exc: Unavailable) -> None:
        self._telling.trouble(exc)
        await asyncio.sleep(self._settings.retry_s)

    # Jobs -------------------------------------------------------------------------------------------------------------

    def _start(self, jobs: Sequence[ClaimedJob], tasks: asyncio.TaskGroup) -> None:
        for job in jobs:
            if self._held.begin(job.token):
                run = tasks.create_task(self._run_one(job), name=f"job-{job.id}")
                self._held.add(job.id, job.token, run)
                run.add_done_callback(lambda _: self._attention.set())
            else:
                # A claim that accepted what a bell had brought before spent its credit on it: the slot that it was for is still free.
                self._attention.set()

    async def _run_one(self, job: ClaimedJob) -> None:
        def report(progress: Progress) -> None:
            self._meters.hear(job.token, progress)
            self._held.tell(self._link, job, progress)

        said = self._telling.begins(job)
        self._meters.begin(job.token)
        try:
            result = await self._runner.run(job, report)
            said.done()
            self._outbox.add_result(Done(job.id, job.token, result, self._meters.end(job.token)))
        except EngineNotReady as exc:
            log.info("job_handed_back", code=exc.code, reason=exc.reason)
            self._refused.append(Held(job.id, job.token, self._meters.end(job.token)))
        except asyncio.CancelledError:
            said.stopped()
            if not self._stopping:
                self._meters.end(
                    job.token
                )  # the run is nobody's any more; one that is handed back at the end is asked for
            raise
        except NorthstarError as exc:
            self._failed(job, exc.code, str(exc), retryable=exc.retryable, said=said)
        except Exception as exc:
            log.exception("job_raised")
            self._failed(job, "NS_WORKER_FAULT", f"{type(exc).__name__}: {exc}", retryable=True, said=said)
        finally:
            self._held.tell_rest(self._link, job)
            self._held.remove(job.id, job.token)

    def _failed(self, job: ClaimedJob, code: str, message: str, *, retryable: bool, said: RunLines) -> None:
        said.failed(code, message, retryable=retryable)
        took = self._meters.end(job.token)
        self._outbox.add_failure(
            Failure(job.id, job.token, code, message[:2048], retryable, self._jitter(), report=took)
        )

    # Leases and bells -------------------------------------------------------------------------------------------------

    def _is_lost(self) -> None:
        self._lost = True
        self._attention.set()

    def _found_strangers(self, strangers: list[Held]) -> None:
        self._strangers = strangers
        if strangers:
            self._attention.set()

    async def _listen(self, tasks: asyncio.TaskGroup) -> None:
        async for ring in self._link.bells():
            match ring:
                case Offered(jobs=jobs) if jobs and not self._stopping:
                    self._start(jobs, tasks)
                    # An offer is short; naming its token makes it a lease.
                    self._renewal.soon()
                case Connected():
                    # Cancellations may have rung while nobody listened.
                    self._renewal.soon()
                    self._presence.look()
                case Canceled(job, token):
                    self._held.stop(job, token)
                case Ordered():
                    self._presence.look()
                case _:
                    pass
            self._attention.set()

    # Coming and going -------------------------------------------------------------------------------------------------

    async def _announce_offer(self) -> None:
        """Say what may be asked of this machine now. Registering unparks it, so one that does not claim after it is given nothing."""
        self._offer_changed = False
        try:
            await self._register()
        except BaseException:
            self._offer_changed = True
            raise

    async def _hand_back_refused(self) -> None:
        """Jobs that came for an engine which takes no work now: uncharged, for another machine."""
        if refused := self._refused[: self._settings.batch]:
            await self._link.release(refused, because="the engine takes no work now")
            del self._refused[: len(refused)]

    async def _register(self) -> None:
        """Join, and hand back what the broker believes to run here but does not.

        One that offers nothing names the services of its profile all the same, and says beside it that it takes no work: what it could do
        is known, so it is told apart from one that cannot.
        """
        while not self._stopping:
            try:
                profile = msgspec.structs.replace(self._profile, services=self._offered or self._profile.services)
                still_held = await self._link.register(
                    profile,
                    self._presence.description(),
                    slots=self._settings.slots,
                    models=self._presence.models(),
                    node_set=self._node_set,
                )
                mine = {(held.id, held.token) for held in (*self._held.named(), *self._outbox.named())}
                if strangers := [held for held in still_held if (held.id, held.token) not in mine]:
                    await self._link.release(strangers, because="unknown to the agent")
            except Unavailable as exc:
                await self._pause(exc)
            else:
                self._telling.ready(
                    profile, slots=self._settings.slots, still_held=len(mine), offered=bool(self._offered)
                )
                return

    async def _hand_back(self, strangers: Sequence[Held]) -> None:
        """Jobs that run here by the books, in answers that never came; a claim that was answered since has brought the others."""
        if unknown := [held for held in strangers if not self._held.knows(held.token)]:
            await self._link.release(unknown, because="unknown to the agent")

    async def _join_again(self) -> None:
        """The broker took this machine for lost and gave its jobs to others."""
        await self._held.end_all(within_s=self._settings.cancel_s)
        self._lost = False
        await self._register()

    async def _drain(self) -> None:
        """Report what finishes within `drain_s`; hand the rest back."""
        self._telling.drains(len(self._held), up_to_s=self._settings.drain_s)
        with contextlib.suppress(Unavailable, NoSuchMachine):
            await self._link.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_s):
                await self._finish()
        rest = self._held.named()
        await self._held.end_all(within_s=self._settings.cancel_s)
        rest = [Held(held.id, held.token, self._meters.end(held.token)) for held in rest]
        if rest:
            with contextlib.suppress(Unavailable):
                await self._link.release(rest, because="machine stops")
        self._handed_back = len(rest)

    async def _finish(self) -> None:
        while len(self._held) or len(self._outbox):
            self._attention.clear()
            try:
                await self._outbox.send()
            except Unavailable as exc:
                await self._pause(exc)
            else:
                if not len(self._outbox):
                    await self._attention.wait()


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group; several tasks meet the same one."""
    first = group.exceptions[0]
    return _leaf(first) if isinstance(first, BaseExceptionGroup) else first
