"""A simulated machine at work: it does what `agent.worker` does, at the moments of the agenda.

It speaks to its cell through the agent's own link, keeps results in the agent's own outbox, and tells of its models by the agent's own
`ModelNews`. What is left here is the order in which an agent does these things, without tasks and pauses: a bell, a result or a free
slot has it look at once, and since no bell is lost here it need not look once a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from northstar.agent.direct_link import DirectLink
from northstar.agent.model_news import SETTLE_S, ModelNews
from northstar.agent.models.layout import key_of
from northstar.agent.outbox import Outbox
from northstar.domain.errors import NorthstarError
from northstar.domain.models import ModelOrder
from northstar.domain.refusals import MachineReplaced, NoSuchMachine, NoSuchOrder
from northstar.policy.fleet.engine_memory import EngineMemory
from northstar.simulation.clock import in_ms
from northstar.simulation.run import Run
from northstar.store.bells import Canceled, Offered, Ordered
from northstar.store.messages import Done, Failure, Held
from northstar.store.model_reports import ModelReports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.jobs import ClaimedJob
    from northstar.simulation.inputs import SimulatedJob, SimulatedMachine
    from northstar.simulation.model_store import Came, SimulatedStore
    from northstar.simulation.world import World
    from northstar.store.bells import Ring
    from northstar.store.messages import StoredOrder

#: As many results and claims as go with one call of an agent.
_BATCH: Final = 500
_RESULT: Final = "null"
_SETTLE_MS: Final = in_ms(SETTLE_S)


class Watches(Protocol):
    """Who knows the jobs, and hears what becomes of them."""

    def job(self, job_id: str) -> SimulatedJob:
        """What the job really is."""
        ...

    def taken(self, run: Run, machine: SimulatedMachine) -> None:
        """A machine has begun a run of it."""
        ...

    def ran(self, run: Run, machine: SimulatedMachine) -> None:
        """Its work is done, and its result goes to the broker."""
        ...

    def failed(self, run: Run, machine: SimulatedMachine, code: str) -> None:
        """A run of it failed, and the broker is told."""
        ...

    def stopped(self, run: Run, machine: SimulatedMachine) -> None:
        """A run of it ended for nothing."""
        ...


class MachineAtWork:
    """One life of a machine."""

    def __init__(
        self, world: World, machine: SimulatedMachine, *, life: int, store: SimulatedStore, watches: Watches
    ) -> None:
        self._world = world
        self.machine = machine
        self.store = store
        self._watches = watches
        session = f"{machine.id}.{life}"
        self.link = DirectLink(world.cell, machine=machine.id, session=session, new_nonce=world.new_id)
        self._reports = ModelReports(world.cell, machine=machine.id, session=session)
        self.news = ModelNews(store, self._reports, said=machine.description(), vram_bytes=machine.vram_mb * 1_000_000)
        self._outbox = Outbox(self.link, batch=_BATCH)
        self.runs: dict[str, Run] = {}
        self._orders: set[str] = set()
        #: What really lies in the engines' memory; `news` says what jobs that ended have told.
        self._memory = EngineMemory(vram_bytes=machine.vram_mb * 1_000_000)
        self._loads_until_ms = 0
        self._looks = False
        self._tells = False
        self._takes_work = True
        self._trouble = ""
        self._must_register = False
        self.is_cut_off = False
        self.is_gone = False
        store.wake(self.news.note)

    # Coming and going -------------------------------------------------------------------------------------------------

    async def come(self) -> None:
        """Register, and look for work."""
        await self._register()
        await self._work()

    async def drain(self) -> None:
        """Take no new work."""
        self._takes_work = False
        if not self.is_cut_off:
            await self.link.drain()

    async def leave(self) -> None:
        """Hand back what still runs, and go."""
        self.is_gone = True
        held = [Held(run.job.id, run.job.token) for run in self.runs.values()]
        self._stop_all()
        if not self.is_cut_off:
            if held:
                await self.link.release(held, because="machine stops")
            await self.link.leave(because="stopped")
        self.store.end()

    async def vanish(self, *, grace_ms: int) -> None:
        """It is gone without a word; its connection breaks, and whoever held it waits so long before it counts as lost."""
        self.is_gone = True
        self._stop_all()
        self.store.end()
        await self._suspect(grace_ms)

    async def cut_off(self, *, grace_ms: int) -> None:
        """Nobody hears of it any more, and it of nobody; it works on."""
        self.is_cut_off = True
        await self._suspect(grace_ms)

    async def come_back(self) -> None:
        """It is heard of again."""
        self.is_cut_off = False
        try:
            reply = await self.link.renew([Held(run.job.id, run.job.token) for run in self.runs.values()])
        except NoSuchMachine:
            await self._join_again()
            return
        for job_id, token in reply.lost:
            self._stop(job_id, token)
        await self._work()

    async def engine_dies(self, *, for_ms: int) -> None:
        """What runs fails and may be tried again; its memory is empty, and for so long it takes no work."""
        for run in list(self.runs.values()):
            self._end(run)
            self._watches.failed(run, self.machine, "NS_ENGINE_GONE")
            self._fail(run, "NS_ENGINE_GONE", "the simulated engine died", retryable=True)
        self._memory = EngineMemory(vram_bytes=self._memory.vram_bytes)
        self.news.restarted(self.machine.services)
        self._offer(takes_work=False, trouble="the simulated engine died")
        await self._work()
        if for_ms:
            self._world.soon(self._engine_is_back, in_ms=for_ms)
        else:
            await self._engine_is_back()

    async def _engine_is_back(self) -> None:
        if not self.is_gone:
            self._offer(takes_work=True, trouble="")
            await self._work()

    def _offer(self, *, takes_work: bool, trouble: str) -> None:
        self._takes_work = takes_work
        self.news.offers(takes_work=takes_work, trouble=trouble)
        self._must_register = True

    async def _suspect(self, grace_ms: int) -> None:
        await self._world.cell.suspect_machine(
            self.machine.id, session=self.link.session, holder=self.machine.id, grace_ms=grace_ms
        )

    async def _register(self) -> None:
        self._must_register = False
        held = await self.link.register(
            self.machine.profile(), self.news.description(), slots=self.machine.slots, models=self.news.models()
        )
        mine = {(run.job.id, run.job.token) for run in self.runs.values()}
        mine |= {(one.id, one.token) for one in self._outbox.named()}
        strangers = [one for one in held if (one.id, one.token) not in mine]
        if strangers:
            await self.link.release(strangers, because="unknown to the agent")
        self._mind_news()

    async def _join_again(self) -> None:
        """The broker took it for lost, and gave its jobs to others."""
        self._stop_all()
        await self._register()
        await self._work()

    # Work -------------------------------------------------------------------------------------------------------------

    async def hear(self, ring: Ring) -> None:
        """A bell for this machine."""
        if self.is_gone or self.is_cut_off:
            return
        match ring:
            case Offered(jobs=jobs):
                if jobs:
                    await self._start(jobs)
                    # An offer is short; naming its token makes it a lease.
                    await self.link.renew([Held(run.job.id, run.job.token) for run in self.runs.values()])
                self.attend()
            case Canceled(job, token):
                self._stop(job, token)
                self.attend()
            case Ordered():
                await self._look_at_orders()
            case _:
                self.attend()

    def attend(self) -> None:
        """Look at this moment, once, for results to send and slots to fill."""
        if not self._looks:
            self._looks = True
            self._world.soon(self._attended)

    async def _attended(self) -> None:
        self._looks = False
        await self._work()

    async def _work(self) -> None:
        if self.is_gone or self.is_cut_off:
            return
        try:
            if self._must_register:
                await self._register()
            free = self.machine.slots - len(self.runs) if self._takes_work else 0
            jobs = await self._outbox.send_and_claim(free) if free or len(self._outbox) else ()
        except (NoSuchMachine, MachineReplaced):
            await self._join_again()
            return
        if jobs:
            await self._start(jobs)
        self._mind_news()

    async def _start(self, jobs: Sequence[ClaimedJob]) -> None:
        for job in jobs:
            known = self.runs.get(job.id)
            if known is not None and known.job.token == job.token:
                continue  # a claim that accepts what a bell had brought before
            if known is not None:
                self._stop(job.id, known.job.token)
            run = self.runs[job.id] = Run(job, self._watches.job(job.id), now_ms=self._world.clock.now_ms)
            self._watches.taken(run, self.machine)
            await self._fetch(run)

    # A run ------------------------------------------------------------------------------------------------------------

    async def _fetch(self, run: Run) -> None:
        shelf, orders = self.store.shelf, run.orders()
        run.keeps.enter_context(shelf.reserving([need.name for need in run.needs]))
        run.keeps.enter_context(shelf.wanting([key_of(order) for order in orders]))
        missing = self.store.missing(orders)
        for order in missing:
            run.note_fetch(order)

        async def ended(error: NorthstarError | None, came: Came) -> None:
            await self._fetched(run, error, came)

        for order in missing:
            if not run.is_over:
                await self.store.fetch(order, ended)
        if not missing:
            self._load(run)
        self._mind_news()

    async def _fetched(self, run: Run, error: NorthstarError | None, came: Came) -> None:
        self._mind_news()
        if not run.came(*came):
            self.store.came_apart(came)
        if run.is_over:
            return
        run.missing -= 1
        if error is not None:
            self._end(run)
            self._watches.failed(run, self.machine, error.code)
            self._fail(run, error.code, str(error), retryable=error.retryable)
            self.attend()
        elif run.missing == 0:
            self._load(run)

    def _load(self, run: Run) -> None:
        """What is not in memory is read from the disk; one job's models at a time, as from a real disk."""
        known = self._memory.engines.get(run.body.service)
        resident = set() if known is None else set(known.resident())
        sizes = [(need.name, need.size_bytes) for need in run.needs]
        wanted = sum(size_bytes for name, size_bytes in sizes if name not in resident)
        self._memory = self._memory.used(run.body.service, sizes)
        now_ms = self._world.clock.now_ms
        takes_ms = in_ms(wanted / self.machine.load_bytes_per_s)
        begins_ms = max(now_ms, self._loads_until_ms) if takes_ms else now_ms
        if takes_ms:
            self._loads_until_ms = begins_ms + takes_ms
        run.begins_ms = begins_ms + takes_ms
        done_ms = run.begins_ms + in_ms(run.simulated.seconds_on(self.machine.gpu_class))

        async def done() -> None:
            await self._done(run)

        run.next = self._world.agenda.at(done_ms, done)

    async def _done(self, run: Run) -> None:
        self._end(run)
        self.news.used(run.body.service, run.needs)
        if run.simulated.fails:
            self._watches.failed(run, self.machine, "NS_ENGINE_FAILED")
            self._fail(run, "NS_ENGINE_FAILED", "the simulated work failed", retryable=True)
        else:
            self._watches.ran(run, self.machine)
            self._outbox.add_result(Done(run.job.id, run.job.token, _RESULT))
        self.attend()

    def _end(self, run: Run) -> None:
        run.end(now_ms=self._world.clock.now_ms)
        if self.runs.get(run.job.id) is run:
            del self.runs[run.job.id]

    def _fail(self, run: Run, code: str, message: str, *, retryable: bool) -> None:
        self._outbox.add_failure(
            Failure(run.job.id, run.job.token, code, message[:2048], retryable, self._world.rng.random())
        )

    def _stop(self, job_id: str, token: str) -> None:
        run = self.runs.get(job_id)
        if run is not None and run.job.token == token:
            self._end(run)
            self._watches.stopped(run, self.machine)

    def _stop_all(self) -> None:
        for run in list(self.runs.values()):
            self._stop(run.job.id, run.job.token)

    # Models -----------------------------------------------------------------------------------------------------------

    def _mind_news(self) -> None:
        """Have what changed told, with whatever else changes until then."""
        if self.news.due.is_set() and not self._tells and not self.is_gone:
            self._tells = True
            self._world.soon(self._tell, in_ms=_SETTLE_MS)

    async def _tell(self) -> None:
        self._tells = False
        self.news.due.clear()
        if self.is_gone:
            return
        if self.is_cut_off:
            self.news.due.set()
            return
        try:
            await self.news.tell()
        except (NoSuchMachine, MachineReplaced):
            return  # it registers anew at its next word, and tells everything

    async def _look_at_orders(self) -> None:
        for order in await self._reports.pending_orders():
            if order.id not in self._orders:
                self._orders.add(order.id)
                await self._carry_out(order)
        self._mind_news()

    async def _carry_out(self, order: StoredOrder) -> None:
        if order.what == "evict":
            try:
                self.store.evict(order.model)
            except NorthstarError as exc:
                await self._answer(order, exc)
            else:
                await self._answer(order, None)
            return
        wanted = msgspec.json.decode(order.body, type=ModelOrder)
        if not self.store.missing([wanted]):
            await self._answer(order, None)
            return
        keeps = self.store.shelf.reserving([wanted.name])
        keeps.__enter__()

        async def ended(error: NorthstarError | None, came: Came) -> None:
            self.store.came_apart(came)
            keeps.__exit__(None, None, None)
            self._mind_news()
            await self._answer(order, error)

        await self.store.fetch(wanted, ended)

    async def _answer(self, order: StoredOrder, error: NorthstarError | None) -> None:
        self._orders.discard(order.id)
        if self.is_gone or self.is_cut_off:
            return
        try:
            await self._reports.order_ended(
                order.id,
                outcome="done" if error is None else "failed",
                code="" if error is None else error.code,
                message="" if error is None else str(error),
            )
        except (NoSuchOrder, NoSuchMachine, MachineReplaced):
            return  # it is not on the list any more
