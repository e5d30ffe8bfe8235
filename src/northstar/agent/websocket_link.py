"""The link of a machine anywhere: one WebSocket that it dials itself, and dials again whenever it breaks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from northstar.agent.link_errors import BrokerUnreachable
from northstar.agent.log_lines import ApprovalAwaited
from northstar.agent.node_set_refusals import refused_node_set
from northstar.agent.websocket_connection import BrokerConnection, LinkOptions
from northstar.domain.refusals import MachineReplaced, NoSuchMachine, TokenWaiting
from northstar.store import wire
from northstar.store.messages import ClaimReply, RenewReply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from northstar.agent.dialing import Dialling
    from northstar.domain.machines import MachineDescription, MachineProfile
    from northstar.domain.models import ModelHeld
    from northstar.domain.node_sets import NodeSet
    from northstar.store.bells import Ring
    from northstar.store.messages import Done, Failure, Held, Outcome


class WebSocketLink(BrokerConnection):
    """One machine's link; use it as a context manager. `session` is new for every start of the agent."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        dialling: Dialling,
        *,
        machine: str,
        session: str,
        version: str,
        new_nonce: Callable[[], str],
        jitter: Callable[[], float],
        options: LinkOptions | None = None,
    ) -> None:
        super().__init__(
            http, dialling, machine=machine, session=session, version=version, jitter=jitter, options=options
        )
        self._new_nonce = new_nonce
        self._claim_nonce: str | None = None

    def note(self, *, description: MachineDescription | None = None, models: Sequence[ModelHeld] | None = None) -> None:
        """The broker was told this since the machine registered; a new connection says it instead of what was said then."""
        if self.registration is not None:
            self.registration = msgspec.structs.replace(
                self.registration,
                description=description or self.registration.description,
                models=self.registration.models if models is None else tuple(models),
            )

    async def register(
        self,
        profile: MachineProfile,
        description: MachineDescription,
        *,
        slots: int,
        models: Sequence[ModelHeld],
        node_set: NodeSet | None = None,
    ) -> list[Held]:
        """Join, or come back; gives the jobs that this session still holds."""
        registration = wire.Registration(profile=profile, description=description, slots=slots, models=tuple(models))
        try:
            reply = await self.call("register", registration, wire.Registered)
        except TokenWaiting as exc:
            await asyncio.sleep(self._options.approval_s)
            raise ApprovalAwaited(self.machine) from exc
        self.registration = registration
        if reply.node_set_wanted and node_set is not None:
            with refused_node_set(self.machine):
                await self.call("tell_node_set", wire.TellNodeSet(node_set), wire.Nothing)
        self.hear_terms(reply.terms)
        return list(reply.held)

    async def claim(self, *, credits_: int) -> ClaimReply:
        """Take work; after a lost answer the next call gets the same jobs again."""
        reply = await self.call("claim", wire.Claim(credits_, self._open_nonce()), ClaimReply)
        self._claim_nonce = None
        return reply

    async def complete_and_claim(self, done: Sequence[Done], *, credits_: int) -> ClaimReply:
        """Store results and take work; a repeated call stores nothing twice and claims the same jobs."""
        body = wire.CompleteAndClaim(tuple(done), credits_, self._open_nonce())
        reply = await self.call("complete_and_claim", body, ClaimReply)
        self._claim_nonce = None
        return reply

    def _open_nonce(self) -> str:
        """The nonce of the claim whose answer is still open, else a new one."""
        if self._claim_nonce is None:
            self._claim_nonce = self._new_nonce()
        return self._claim_nonce

    async def complete(self, done: Sequence[Done]) -> list[Outcome]:
        """Store results only."""
        return list((await self.call("complete", wire.Complete(tuple(done)), wire.Outcomes)).outcomes)

    async def fail(self, failures: Sequence[Failure]) -> list[Outcome]:
        """The work failed."""
        return list((await self.call("fail", wire.Fail(tuple(failures)), wire.Outcomes)).outcomes)

    async def release(self, held: Sequence[Held], *, because: str) -> list[Outcome]:
        """Hand jobs back unfinished."""
        return list((await self.call("release", wire.Release(tuple(held), because), wire.Outcomes)).outcomes)

    async def renew(self, held: Sequence[Held]) -> RenewReply:
        """The machine lives, and works on these."""
        return await self.call("renew", wire.Renew(tuple(held)), RenewReply)

    async def drain(self) -> None:
        """Take no new work; what was only offered goes back."""
        await self.call("drain", wire.Drain(), wire.Nothing)

    async def leave(self, *, because: str) -> None:
        """Remove the machine; what it still holds goes back uncharged. A newer agent of its name is left alone."""
        self.registration = None
        with contextlib.suppress(NoSuchMachine, MachineReplaced):
            await self.call("leave", wire.Leave(because), wire.Nothing)

    async def progress(self, job_id: str, token: str, text: bytes) -> None:
        """Say how far a job is, if anybody hears it."""
        with contextlib.suppress(BrokerUnreachable):
            await self.send(wire.Progressed(job_id, token, text))

    async def bells(self) -> AsyncIterator[Ring]:
        """What happens to this machine, for ever; a fresh connection too, since bells before it are unknown."""
        while True:
            yield await self.rings.get()
