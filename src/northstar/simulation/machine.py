"""A simulated machine at work: it does what `agent.worker` does, at the moments of the agenda.

It speaks to its cell through the agent's own link, keeps results in the agent's own outbox, and tells of its models by the agent's own
`ModelNews`. What is left here is the order in which an agent does these things, without tasks and pauses: a bell, a result or a free
slot has it look at once, and since no bell is lost here it need not look once a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.agent.direct_link import DirectLink
from northstar.agent.outbox import Outbox
from northstar.domain.refusals import MachineReplaced, NoSuchMachine
from northstar.simulation.model_talk import ModelTalk
from northstar.simulation.workbench import Workbench
from northstar.store.bells import Canceled, Offered, Ordered

if TYPE_CHECKING:
    from northstar.simulation.inputs import SimulatedMachine
    from northstar.simulation.model_store import SimulatedStore
    from northstar.simulation.workbench import Watches
    from northstar.simulation.world import World
    from northstar.store.bells import Ring

#: As many results and claims as go with one call of an agent.
_BATCH: Final = 500


class MachineAtWork:
    """One life of a machine."""

    def __init__(
        self, world: World, machine: SimulatedMachine, *, life: int, store: SimulatedStore, watches: Watches
    ) -> None:
        self._world = world
        self.machine = machine
        self.store = store
        session = f"{machine.id}.{life}"
        self.link = DirectLink(world.cell, machine=machine.id, session=session, new_nonce=world.new_id)
        self._outbox = Outbox(self.link, batch=_BATCH)
        self._looks = False
        self._takes_work = True
        self._must_register = False
        self._drains = False
        self.is_cut_off = False
        self.is_gone = False
        self._talk = ModelTalk(
            world,
            machine,
            session=session,
            store=store,
            is_gone=lambda: self.is_gone,
            is_heard=lambda: self.is_heard,
        )
        self._bench = Workbench(
            world,
            machine,
            store=store,
            talk=self._talk,
            outbox=self._outbox,
            watches=watches,
            attend=self.attend,
        )

    @property
    def is_heard(self) -> bool:
        """Whether what it says reaches the queue now."""
        return not (self.is_gone or self.is_cut_off or self._world.is_server_away)

    @property
    def is_idle(self) -> bool:
        """Whether it has no job, and no result that is not told."""
        return not len(self._bench) and not len(self._outbox)

    # Coming and going -------------------------------------------------------------------------------------------------

    async def come(self) -> None:
        """Register, and look for work."""
        if not self.is_heard:
            return
        await self._register()
        await self._work()

    async def drain(self) -> None:
        """Take no new work."""
        self._takes_work = False
        self._drains = True
        if self.is_heard:
            await self.link.drain()

    async def leave(self, *, grace_ms: int) -> None:
        """Hand back what still runs, and go; where the server is away, it counts as lost once that is back."""
        was_heard, held = self.is_heard, self._bench.held()
        self.is_gone = True
        self._bench.stop_all()
        if was_heard:
            if held:
                await self.link.release(held, because="machine stops")
            await self.link.leave(because="stopped")
        elif not self.is_cut_off:
            await self._suspect(grace_ms)
        self.store.end()

    async def vanish(self, *, grace_ms: int) -> None:
        """It is gone without a word; its connection breaks, and whoever held it waits so long before it counts as lost."""
        self.is_gone = True
        self._bench.stop_all()
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
            reply = await self.link.renew(self._bench.held())
        except NoSuchMachine:
            await self._join_again()
            return
        for job_id, token in reply.lost:
            self._bench.stop(job_id, token)
        if self._drains:
            await self.link.drain()
        await self._talk.look_at_orders()
        await self._work()

    async def engine_dies(self, *, for_ms: int) -> None:
        """What runs fails and may be tried again; its memory is empty, and for so long it takes no work."""
        self._bench.fail_all("NS_ENGINE_GONE", "the simulated engine died")
        self._talk.news.restarted(self.machine.services)
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
        self._talk.news.offers(takes_work=takes_work, trouble=trouble)
        self._must_register = True

    async def _suspect(self, grace_ms: int) -> None:
        async def suspect() -> None:
            try:
                await self._world.cell.suspect_machine(
                    self.machine.id, session=self.link.session, holder=self.machine.id, grace_ms=grace_ms
                )
            except (NoSuchMachine, MachineReplaced):
                return  # while the server was away it came and went, or came again

        await self._world.once_there(suspect)

    async def _register(self) -> None:
        self._must_register = False
        held = await self.link.register(
            self.machine.profile(),
            self._talk.news.description(),
            slots=self.machine.slots,
            models=self._talk.news.models(),
        )
        mine = {(one.id, one.token) for one in self._bench.held()}
        mine |= {(one.id, one.token) for one in self._outbox.named()}
        strangers = [one for one in held if (one.id, one.token) not in mine]
        if strangers:
            await self.link.release(strangers, because="unknown to the agent")
        self._talk.mind()

    async def _join_again(self) -> None:
        """The broker took it for lost, and gave its jobs to others."""
        self._bench.stop_all()
        await self._register()
        await self._work()

    # Work -------------------------------------------------------------------------------------------------------------

    async def hear(self, ring: Ring) -> None:
        """A bell for this machine."""
        if not self.is_heard:
            return
        match ring:
            case Offered(jobs=jobs):
                if jobs:
                    await self._bench.start(jobs)
                    # An offer is short; naming its token makes it a lease.
                    await self.link.renew(self._bench.held())
                self.attend()
            case Canceled(job, token):
                self._bench.stop(job, token)
                self.attend()
            case Ordered():
                await self._talk.look_at_orders()
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
        if not self.is_heard:
            return
        try:
            if self._must_register:
                await self._register()
            free = self.machine.slots - len(self._bench) if self._takes_work else 0
            jobs = await self._outbox.send_and_claim(free) if free or len(self._outbox) else ()
        except (NoSuchMachine, MachineReplaced):
            await self._join_again()
            return
        if jobs:
            await self._bench.start(jobs)
        self._talk.mind()
