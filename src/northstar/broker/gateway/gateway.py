"""All machines that dialled this process: each heard, each told what the cell's bells say to it, each missed soon when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.fleet_log import MAX_NAMED
from northstar.broker.gateway.broker_watch import BrokerWatch
from northstar.broker.gateway.calls import Calls
from northstar.broker.gateway.conversation import Conversation, greeted, say_goodbye
from northstar.broker.gateway.machine_terms import MachineTerms
from northstar.broker.gateway.pool_door import PoolDoor
from northstar.broker.gateway.refusal_log import RefusalLog
from northstar.broker.gateway.socket import ConnectionReplaced, GatewayCrowded, GatewayFull, SocketClosed
from northstar.broker.job_log import UNSAID, JobLog
from northstar.domain.errors import NorthstarError
from northstar.domain.refusals import MachineReplaced, QueueRefusal, TokenRevoked
from northstar.policy.fleet.broker_beats import BeatRule
from northstar.store import wire
from northstar.store.bells import Canceled, Connected, MachineChanged, Offered, Ordered, Revoked, listen
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from northstar.broker.gateway.outputs import Outputs
    from northstar.broker.gateway.socket import Admission, Socket
    from northstar.domain.admission import Admitted
    from northstar.domain.pools import Pools
    from northstar.policy.models.catalogue_index import CatalogueIndex
    from northstar.store.bells import Ring
    from northstar.store.cell import Cell

log = logger(__name__)

#: Machines whose records are changed at once when pools have changed.
FOLLOWING_AT_ONCE: Final = 16


class GatewayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one gateway. Durations in seconds."""

    #: Machines that are let in, at a time.
    max_machines: int = 5_000
    #: Connections of which nobody knows yet whose they are: a fleet that dials anew, or strangers, who take no machine's place.
    max_strangers: int = 5_000
    #: After a connection broke, the machine may dial again for so long before it counts as lost.
    grace_s: float = 4.0
    #: Another broker that stands still for so long is taken for gone, whatever connections of it seem to be open.
    silence_s: float = 10.0
    #: Machines that are let in and registered at a time; the others wait, so that a whole fleet which dials anew leaves connections to the
    #: cell for those that are here, whose leases end if they are not renewed.
    joining_at_once: int = 16
    #: How often machines that should wait for work are compared with those that do: what a lost bell can cost.
    sweep_every_s: float = 0.8


class Gateway:
    """One process's connections. `serve` is its name in the cell: the holder of its machines' bells."""

    def __init__(
        self,
        cell: Cell,
        *,
        serve: str,
        outputs: Outputs,
        pools: Callable[[], Pools],
        catalogue: Callable[[], CatalogueIndex],
        new_nonce: Callable[[], str],
        hear: Callable[[Ring], None],
        options: GatewayOptions | None = None,
        job_log: JobLog = UNSAID,
    ) -> None:
        """`pools` and `catalogue` give those that hold now. `hear` is told of every ring: admission forgets what is true no more."""
        self._cell = cell
        #: Its name in the cell.
        self.name = serve
        self._outputs = outputs
        self._pools = pools
        self._followed_pools = pools()
        self._terms = MachineTerms(pools, catalogue)
        self._door = PoolDoor(cell, pools)
        self._new_nonce = new_nonce
        self._hear = hear
        self._job_log = job_log
        self._options = options or GatewayOptions()
        self._conversations: dict[str, Conversation] = {}
        self._machines = 0
        self._strangers = 0
        self._joining = asyncio.Semaphore(self._options.joining_at_once)
        #: Who was not let in, here or at the door where machines join.
        self.refusals = RefusalLog(time.monotonic)
        self._stopping = False
        self._watch = BrokerWatch(
            cell,
            serve=serve,
            grace_s=self._options.grace_s,
            monotonic=time.monotonic,
            jitter=random.random,
            was_away=self.look_again,
            rule=BeatRule(still_s=self._options.silence_s),
        )

    @property
    def machines(self) -> tuple[str, ...]:
        """Machines that are connected here now."""
        return tuple(self._conversations)

    async def run(self) -> None:
        """Pass on bells, look for lost ones, and miss other brokers that vanish, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name="gateway-bells")
            tasks.create_task(self._sweep_for_ever(), name="gateway-sweep")
            tasks.create_task(self._watch.run(), name="gateway-brokers")
            tasks.create_task(self._follow_pools_for_ever(), name="gateway-pools")

    async def serve_machine(self, socket: Socket, token: str, admission: Admission) -> None:
        """One connection from hello to goodbye. Whatever is wrong with it is said to the peer, not raised."""
        machine = ""
        try:
            admitted = await self._let_in(token, admission)
            machine = admitted.machine
            with self._place():
                hello = await greeted(socket, admitted)
                await self._converse(socket, admitted, hello)
        except SocketClosed:
            await socket.close()
        except NorthstarError as exc:
            self.refusals.refused(exc, machine=machine)
            await say_goodbye(socket, exc)

    async def _let_in(self, token: str, admission: Admission) -> Admitted:
        """Raises GatewayCrowded, and what admission raises."""
        if self._strangers >= self._options.max_strangers:
            raise GatewayCrowded(self._options.max_strangers)
        self._strangers += 1
        try:
            async with self._joining:
                return await admission.authenticate(token)
        finally:
            self._strangers -= 1

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        """A machine's place. Raises GatewayFull."""
        if self._machines >= self._options.max_machines:
            raise GatewayFull(self._options.max_machines)
        self._machines += 1
        try:
            yield
        finally:
            self._machines -= 1

    def hang_up(self, error: NorthstarError) -> None:
        """End all conversations, and say why: this process stops. Its machines are not suspected: they dial its successor."""
        self._stopping = True
        for conversation in list(self._conversations.values()):
            conversation.end(error)

    async def _converse(self, socket: Socket, admitted: Admitted, hello: wire.Hello) -> None:
        calls = Calls(
            self._cell,
            admitted,
            session=hello.session,
            holder=self.name,
            outputs=self._outputs,
            pools=self._pools,
            terms=self._terms,
            door=self._door,
            joining=self._joining,
            new_nonce=self._new_nonce,
            job_log=self._job_log,
            registered=lambda body: self._settle(conversation, hello, body),
            refused=lambda error: self.refusals.refused(error, machine=admitted.machine),
        )
        conversation = Conversation(socket, calls, self._cell, machine=admitted.machine, session=hello.session)
        log.debug("machine_connected", machine=admitted.machine, session=hello.session, agent=hello.version[:64])
        try:
            protocol = min(hello.newest, wire.NEWEST_PROTOCOL)
            await conversation.run(wire.Welcome(protocol, self.name, self._cell.name))
        finally:
            if self._conversations.get(admitted.machine) is conversation:
                del self._conversations[admitted.machine]
                if not (self._stopping or calls.left):
                    await self._suspect(conversation)

    def _settle(self, conversation: Conversation, hello: wire.Hello, body: wire.Registration) -> None:
        """From here on the machine is reached by this conversation. Only now: an agent whose name another has taken disturbs nobody."""
        older = self._conversations.get(conversation.machine)
        if older is not conversation:
            log.info(
                "machine_back" if body.again else "machine_joined",
                machine=conversation.machine,
                region=body.description.region or "(not said)",
                services=list(body.profile.services),
                pools=list(body.profile.pools),
                slots=body.slots,
                protocol=min(hello.newest, wire.NEWEST_PROTOCOL),
                agent=hello.version[:64],
            )
        if older is not None and older is not conversation:
            same = older.session == conversation.session
            name = conversation.machine
            older.end(ConnectionReplaced(name) if same else MachineReplaced({"machine": name}))
        self._conversations[conversation.machine] = conversation

    async def _suspect(self, conversation: Conversation) -> None:
        jobs = list(conversation.calls.leases)
        log.info(
            "machine_disconnected",
            machine=conversation.machine,
            jobs=jobs[:MAX_NAMED],
            now=f"it counts as lost unless it dials again within {self._options.grace_s:g} s",
        )
        try:
            await self._cell.suspect_machine(
                conversation.machine,
                session=conversation.session,
                holder=self.name,
                grace_ms=round(self._options.grace_s * 1000),
            )
        except NorthstarError as exc:
            # Its leases end by themselves, only later.
            log.warning("machine_not_suspected", machine=conversation.machine, code=exc.code, error=str(exc))

    async def _listen(self) -> None:
        async for ring in listen(self._cell.client, self._cell.keys, (self.name, "tick")):
            self._hear(ring)
            match ring:
                case Offered(machine) | Ordered(machine) | MachineChanged(machine=machine) | Canceled(machine=machine):
                    if conversation := self._conversations.get(machine):
                        conversation.ring(ring)
                case Revoked(machine):
                    if conversation := self._conversations.get(machine):
                        conversation.end(TokenRevoked({"machine": machine}))
                case Connected():
                    self.look_again()
                case _:
                    pass

    def look_again(self) -> None:
        """Bells may have been lost, or machines been doubted: those at work renew their leases. Who waits for work is found by the sweep."""
        for conversation in self._conversations.values():
            if conversation.calls.leases:
                conversation.ring(Connected())

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._options.sweep_every_s)
            self.refusals.flush()
            self.tell_changed_terms()
            try:
                await self.sweep()
            except NorthstarError as exc:
                log.warning("sweep_failed", code=exc.code, error=str(exc))

    def tell_changed_terms(self) -> None:
        """Pools that were changed reach machines that are here already; whether these may stay is asked when they register anew.

        So does a catalogue that says something else of the models that pools keep.
        """
        if not self._terms.have_changed():
            return
        for conversation in list(self._conversations.values()):
            if (terms := conversation.calls.terms.news()) is not None:
                conversation.tell_terms(terms)

    async def _follow_pools_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._options.sweep_every_s)
            await self.follow_pools()

    async def follow_pools(self) -> int:
        """Have the cell know of machines that are kept for their pools by now, or no more; gives how many. What fails is tried again."""
        pools, conversations = self._pools(), list(self._conversations.values())
        if pools is self._followed_pools:
            return 0
        changed, all_done = 0, True
        for first in range(0, len(conversations), FOLLOWING_AT_ONCE):
            some = conversations[first : first + FOLLOWING_AT_ONCE]
            answers = await asyncio.gather(*(one.calls.follow_pools() for one in some), return_exceptions=True)
            for one, answer in zip(some, answers, strict=True):
                if isinstance(answer, QueueRefusal):
                    continue  # it has gone, or comes back anew, and registers by the pools that hold then
                if isinstance(answer, NorthstarError):
                    log.warning("pools_not_followed", machine=one.machine, code=answer.code, error=str(answer))
                    all_done = False
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    changed += answer
        if all_done:
            self._followed_pools = pools
        return changed

    async def sweep(self) -> int:
        """Wake machines that should wait for work and, by the cell, do not: their bell was lost. Gives how many."""
        waiting = [machine for machine, known in self._conversations.items() if known.calls.parked]
        found = 0
        for machine in await self._cell.unparked(waiting):
            conversation = self._conversations.get(machine)
            # An offer may have come while the cell was asked.
            if conversation is not None and conversation.calls.parked:
                conversation.ring(Offered(machine))
                found += 1
        return found
