"""What a machine may ask, and how the cell is asked for it. The machine's name is its token's, never what a frame says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.broker.gateway.enrolment import Enrolment
from northstar.broker.gateway.machine_terms import Told
from northstar.broker.gateway.model_calls import MODEL_CALLS, ModelCalls
from northstar.broker.gateway.socket import FrameInvalid
from northstar.broker.job_log import UNSAID, JobLog
from northstar.domain.errors import NorthstarError, Unavailable
from northstar.domain.refusals import NoSuchMachine
from northstar.domain.run_reports import believed
from northstar.store import wire
from northstar.store.messages import Failure, Held

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence

    from northstar.broker.gateway.machine_terms import MachineTerms
    from northstar.broker.gateway.outputs import Outputs
    from northstar.broker.gateway.pool_door import PoolDoor
    from northstar.domain.admission import Admitted
    from northstar.domain.jobs import ClaimedJob
    from northstar.domain.pools import Pools
    from northstar.store.cell import Cell
    from northstar.store.messages import ClaimReply, Done, Outcome, RenewReply


class Calls:
    """The calls of one connection."""

    def __init__(
        self,
        cell: Cell,
        admitted: Admitted,
        *,
        session: str,
        holder: str,
        outputs: Outputs,
        pools: Callable[[], Pools],
        terms: MachineTerms,
        door: PoolDoor,
        joining: asyncio.Semaphore,
        new_nonce: Callable[[], str],
        job_log: JobLog = UNSAID,
        registered: Callable[[wire.Registration], None],
        refused: Callable[[NorthstarError], None],
    ) -> None:
        """`pools` gives those that hold now, `terms` what follows from them, `door` says who may enter them, `joining` how many register at a time.

        `registered` is told when the machine can be reached by this connection, and by no other; `refused` when it may not come.
        """
        self._cell = cell
        self._admitted = admitted
        self._session = session
        self._enrolment = Enrolment(
            cell, admitted, session=session, holder=holder, pools=pools, door=door, new_nonce=new_nonce
        )
        self._joining = joining
        self._outputs = outputs
        #: What the machine was told to follow from its pools.
        self.terms = Told(terms)
        self._new_nonce = new_nonce
        self._job_log = job_log
        self._registered = registered
        self._refused = refused
        #: Leases of this machine as this connection knows them: what progress may be told of. Bounded by its slots.
        self.leases: dict[str, str] = {}
        #: Whether the machine waits for work, as its latest claim left it, or should have.
        self.parked = False
        #: Whether it has gone in order: then its connection is not missed.
        self.left = False
        self._slots = 0
        self._models = ModelCalls(cell, admitted, session=session)

    async def answer(self, call: wire.Call) -> Any:
        """What the call gives. Raises FrameInvalid, and what the cell refuses."""
        known = _CALLS.get(call.name)
        if known is None:
            raise FrameInvalid(f"there is no call {call.name[:64]!r}")
        decoder, owner, method = known
        try:
            body = decoder.decode(call.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise FrameInvalid(f"body of {call.name}: {exc}") from exc
        return await method(self if owner is Calls else self._models, body)

    def offered(self, jobs: Sequence[ClaimedJob]) -> None:
        """Jobs that a bell brought."""
        self.parked = False
        self._job_log.given(self._admitted.machine, jobs)
        self._remember({job.id: job.token for job in jobs})

    def _remember(self, jobs: dict[str, str]) -> None:
        self.leases.update(jobs)
        # The oldest go first: a machine that never says what became of its jobs makes nobody keep them for ever.
        for job in list(self.leases)[: max(0, len(self.leases) - 2 * self._slots - wire.MAX_BATCH)]:
            del self.leases[job]

    def _forget(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self.leases.pop(outcome.id, None)

    async def register(self, body: wire.Registration) -> wire.Registered:
        """The machine joins, or tells its broker anew where it can be reached."""
        try:
            async with self._joining:
                return await self._register(body)
        except NoSuchMachine:  # given up meanwhile; it registers anew
            raise
        except NorthstarError as exc:
            self._refused(exc)
            raise

    async def _register(self, body: wire.Registration) -> wire.Registered:
        reply = await self._enrolment.enter(body)
        self.left = False
        self._registered(body)
        self._slots = body.slots
        self.leases = dict(reply.held)
        request = {"machine": self._admitted.machine, "session": self._session, "models": body.models}
        await self._cell.call("models_present", request, dict[str, bool])
        held = tuple(Held(job, token) for job, token in reply.held)
        return wire.Registered(held, reply.node_set_wanted, self.terms.enters(body.profile.pools, body.description))

    async def follow_pools(self) -> bool:
        """As `Enrolment.follow_pools`."""
        return await self._enrolment.follow_pools()

    async def tell_node_set(self, body: wire.TellNodeSet) -> wire.Nothing:
        """The node classes that its profile names. Raises NodeSetInvalid, and what the cell refuses."""
        await self._cell.tell_node_set(body.node_set, machine=self._admitted.machine, session=self._session)
        return wire.Nothing()

    def _claimed(self, reply: ClaimReply, credits_: int) -> ClaimReply:
        # What a bell brought before takes no slot of those that were asked for: a machine that does not ask again is found by the sweep.
        new = [job for job in reply.jobs if self.leases.get(job.id) != job.token]
        self._job_log.given(self._admitted.machine, new)
        self._remember({job.id: job.token for job in reply.jobs})
        self.parked = credits_ > len(new)
        return reply

    async def claim(self, body: wire.Claim) -> ClaimReply:
        """Work for free slots."""
        reply = await self._cell.claim(
            machine=self._admitted.machine, session=self._session, credits_=body.credits, nonce=body.nonce, park=True
        )
        return self._claimed(reply, body.credits)

    async def complete_and_claim(self, body: wire.CompleteAndClaim) -> ClaimReply:
        """Results, and work for free slots."""
        good, bad = await self._sorted(body.done)
        reply = await self._cell.complete_and_claim(
            machine=self._admitted.machine,
            session=self._session,
            done=good,
            credits_=body.credits,
            nonce=body.nonce,
            park=True,
        )
        completed = await self._settled(body.done, reply.completed, bad)
        return self._claimed(msgspec.structs.replace(reply, completed=completed), body.credits)

    async def complete(self, body: wire.Complete) -> wire.Outcomes:
        """Results only."""
        good, bad = await self._sorted(body.done)
        outcomes = await self._cell.complete(machine=self._admitted.machine, session=self._session, done=good)
        return wire.Outcomes(tuple(await self._settled(body.done, outcomes, bad)))

    async def _sorted(self, done: tuple[Done, ...]) -> tuple[list[Done], list[Failure]]:
        """Results whose outputs can be fetched, and failures in place of the others: a job succeeds only with its outputs."""
        good: list[Done] = []
        bad: list[Failure] = []
        for one in done:
            try:
                await self._outputs.check(job=one.id, result=one.result)
            except Unavailable:
                raise
            except NorthstarError as exc:
                took = believed(one.report)
                why = str(exc)[:2048]
                bad.append(Failure(one.id, one.token, exc.code, why, retryable=True, jitter=0.5, report=took))
            else:
                good.append(msgspec.structs.replace(one, report=believed(one.report)))
        return good, bad

    async def _settled(self, done: tuple[Done, ...], kept: list[Outcome], bad: list[Failure]) -> list[Outcome]:
        """What became of each result, in the order in which they came."""
        outcomes = {outcome.id: outcome for outcome in kept}
        if bad:
            failed = await self._cell.fail(machine=self._admitted.machine, session=self._session, failures=bad)
            outcomes |= {outcome.id: outcome for outcome in failed}
        self._forget(list(outcomes.values()))
        self._job_log.ended(self._admitted.machine, outcomes.values(), how="job_succeeded", failures=bad)
        return [outcomes[one.id] for one in done]

    async def fail(self, body: wire.Fail) -> wire.Outcomes:
        """The work failed."""
        failures = [msgspec.structs.replace(one, report=believed(one.report)) for one in body.failures]
        outcomes = await self._cell.fail(machine=self._admitted.machine, session=self._session, failures=failures)
        self._forget(outcomes)
        self._job_log.ended(self._admitted.machine, outcomes, how="job_failed", failures=failures)
        return wire.Outcomes(tuple(outcomes))

    async def release(self, body: wire.Release) -> wire.Outcomes:
        """Jobs handed back."""
        outcomes = await self._cell.release(
            machine=self._admitted.machine,
            session=self._session,
            held=[msgspec.structs.replace(one, report=believed(one.report)) for one in body.held],
            because=body.because,
            nonce=self._new_nonce(),
        )
        self._forget(outcomes)
        self._job_log.ended(self._admitted.machine, outcomes, how="job_handed_back")
        return wire.Outcomes(tuple(outcomes))

    async def renew(self, body: wire.Renew) -> RenewReply:
        """The machine lives."""
        return await self._cell.renew(machine=self._admitted.machine, session=self._session, held=body.held)

    async def drain(self, _: wire.Drain) -> wire.Nothing:
        """No new work."""
        self.parked = False
        await self._cell.drain_machine(
            self._admitted.machine, draining=True, nonce=self._new_nonce(), session=self._session
        )
        return wire.Nothing()

    async def leave(self, body: wire.Leave) -> wire.Nothing:
        """The machine goes."""
        self.parked = False
        await self._enrolment.leave(because=body.because)
        self.left = True
        return wire.Nothing()


def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


#: By name: what reads the body, whose call it is, and what answers.
_CALLS: Final[dict[str, tuple[msgspec.msgpack.Decoder[Any], type, Callable[[Any, Any], Awaitable[Any]]]]] = {
    "register": (_decoder(wire.Registration), Calls, Calls.register),
    "tell_node_set": (_decoder(wire.TellNodeSet), Calls, Calls.tell_node_set),
    "claim": (_decoder(wire.Claim), Calls, Calls.claim),
    "complete_and_claim": (_decoder(wire.CompleteAndClaim), Calls, Calls.complete_and_claim),
    "complete": (_decoder(wire.Complete), Calls, Calls.complete),
    "fail": (_decoder(wire.Fail), Calls, Calls.fail),
    "release": (_decoder(wire.Release), Calls, Calls.release),
    "renew": (_decoder(wire.Renew), Calls, Calls.renew),
    "drain": (_decoder(wire.Drain), Calls, Calls.drain),
    "leave": (_decoder(wire.Leave), Calls, Calls.leave),
    **{name: (_decoder(kind), ModelCalls, answer) for name, (kind, answer) in MODEL_CALLS.items()},
}
