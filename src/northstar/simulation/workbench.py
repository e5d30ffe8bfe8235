"""The jobs that a simulated machine has: their models come and are loaded, their work is done, and what became of them is put in the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from northstar.agent.models.layout import key_of
from northstar.policy.fleet.engine_memory import EngineMemory
from northstar.simulation.clock import in_ms
from northstar.simulation.run import Run
from northstar.store.messages import Done, Failure, Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from northstar.agent.outbox import Outbox
    from northstar.domain.errors import NorthstarError
    from northstar.domain.jobs import ClaimedJob
    from northstar.simulation.inputs import SimulatedJob, SimulatedMachine
    from northstar.simulation.model_store import Came, SimulatedStore
    from northstar.simulation.model_talk import ModelTalk
    from northstar.simulation.world import World

_RESULT: Final = "null"


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


class Workbench:
    """Of one life of a machine: as many jobs as it has slots."""

    def __init__(
        self,
        world: World,
        machine: SimulatedMachine,
        *,
        store: SimulatedStore,
        talk: ModelTalk,
        outbox: Outbox,
        watches: Watches,
        attend: Callable[[], None],
    ) -> None:
        """`attend` has the machine look for results to send and slots to fill."""
        self._world = world
        self._machine = machine
        self._store = store
        self._talk = talk
        self._outbox = outbox
        self._watches = watches
        self._attend = attend
        self._runs: dict[str, Run] = {}
        #: What really lies in the engines' memory; the news say what jobs that ended have told.
        self._memory = EngineMemory(vram_bytes=machine.vram_mb * 1_000_000)
        self._loads_until_ms = 0

    def __len__(self) -> int:
        return len(self._runs)

    def held(self) -> list[Held]:
        """The jobs that are under way, with the tokens of their leases."""
        return [Held(run.job.id, run.job.token) for run in self._runs.values()]

    async def start(self, jobs: Iterable[ClaimedJob]) -> None:
        """Begin with these; what is under way already goes on."""
        for job in jobs:
            known = self._runs.get(job.id)
            if known is not None and known.job.token == job.token:
                continue  # a claim that accepts what a bell had brought before
            if known is not None:
                self.stop(job.id, known.job.token)
            run = self._runs[job.id] = Run(job, self._watches.job(job.id), now_ms=self._world.clock.now_ms)
            self._watches.taken(run, self._machine)
            await self._fetch(run)

    def stop(self, job_id: str, token: str) -> None:
        """Its work is for nothing any more."""
        run = self._runs.get(job_id)
        if run is not None and run.job.token == token:
            self._end(run)
            self._watches.stopped(run, self._machine)

    def stop_all(self) -> None:
        """All work is."""
        for held in self.held():
            self.stop(held.id, held.token)

    def fail_all(self, code: str, message: str) -> None:
        """The engines died: what runs fails and may be tried again, and their memory is empty."""
        for run in list(self._runs.values()):
            self._end(run)
            self._watches.failed(run, self._machine, code)
            self._fail(run, code, message, retryable=True)
        self._memory = EngineMemory(vram_bytes=self._memory.vram_bytes)

    async def _fetch(self, run: Run) -> None:
        shelf, orders = self._store.shelf, run.orders()
        run.keeps.enter_context(shelf.reserving([need.name for need in run.needs]))
        run.keeps.enter_context(shelf.wanting([key_of(order) for order in orders]))
        missing = self._store.missing(orders)
        for order in missing:
            run.note_fetch(order)

        async def ended(error: NorthstarError | None, came: Came) -> None:
            await self._fetched(run, error, came)

        for order in missing:
            if not run.is_over:
                await self._store.fetch(order, ended)
        if not missing:
            self._load(run)
        self._talk.mind()

    async def _fetched(self, run: Run, error: NorthstarError | None, came: Came) -> None:
        self._talk.mind()
        if not run.came(*came):
            self._store.came_apart(came)
        if run.is_over:
            return
        run.missing -= 1
        if error is not None:
            self._end(run)
            self._watches.failed(run, self._machine, error.code)
            self._fail(run, error.code, str(error), retryable=error.retryable)
            self._attend()
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
        takes_ms = in_ms(wanted / self._machine.load_bytes_per_s)
        begins_ms = max(now_ms, self._loads_until_ms) if takes_ms else now_ms
        if takes_ms:
            self._loads_until_ms = begins_ms + takes_ms
        run.begins_ms = begins_ms + takes_ms
        done_ms = run.begins_ms + in_ms(run.simulated.seconds_on(self._machine.gpu_class))

        async def done() -> None:
            await self._done(run)

        run.next = self._world.agenda.at(done_ms, done)

    async def _done(self, run: Run) -> None:
        self._end(run)
        self._talk.used(run.body.service, run.needs)
        if run.simulated.fails:
            self._watches.failed(run, self._machine, "NS_ENGINE_FAILED")
            self._fail(run, "NS_ENGINE_FAILED", "the simulated work failed", retryable=True)
        else:
            self._watches.ran(run, self._machine)
            self._outbox.add_result(Done(run.job.id, run.job.token, _RESULT))
        self._attend()

    def _end(self, run: Run) -> None:
        run.end(now_ms=self._world.clock.now_ms)
        if self._runs.get(run.job.id) is run:
            del self._runs[run.job.id]

    def _fail(self, run: Run, code: str, message: str, *, retryable: bool) -> None:
        self._outbox.add_failure(
            Failure(run.job.id, run.job.token, code, message[:2048], retryable, self._world.rng.random())
        )
