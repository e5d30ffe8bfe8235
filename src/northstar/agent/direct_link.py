"""The link of a trusted worker in the data centre: straight to Valkey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.agent.node_set_refusals import refused_node_set
from northstar.domain.errors import Unavailable
from northstar.domain.refusals import MachineReplaced, NoSuchMachine
from northstar.store.bells import Canceled, MachineChanged, Offered, Ordered, listen
from northstar.store.machine_facts import facts_text
from northstar.store.messages import ClaimReply, Held
from northstar.store.progress import publish_progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from northstar.domain.machines import MachineDescription, MachineProfile
    from northstar.domain.models import ModelHeld
    from northstar.domain.node_sets import NodeSet
    from northstar.store.bells import Ring
    from northstar.store.cell import Cell
    from northstar.store.messages import Done, Failure, Outcome, RenewReply


class DirectLink:
    """One machine over one client. `session` is new for every start of the agent; `new_nonce` gives random text."""

    def __init__(self, cell: Cell, *, machine: str, session: str, new_nonce: Callable[[], str]) -> None:
        self._cell = cell
        self.machine = machine
        self.session = session
        self._new_nonce = new_nonce
        self._claim_nonce: str | None = None

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
        reply = await self._cell.register_machine(
            machine=self.machine,
            session=self.session,
            profile=profile.canonical(),
            fits=(),
            slots=slots,
            vram_mb=description.shared_vram_mb(profile),
            holder=self.machine,
            description=msgspec.json.encode(description).decode(),
            words=profile.words(),
            nonce=self._new_nonce(),
            facts=facts_text(description, vram_mb=description.shared_vram_mb(profile), pools=profile.pools),
            **profile.named_set(),
        )
        if reply.node_set_wanted and node_set is not None:
            with refused_node_set(self.machine):
                await self._cell.tell_node_set(node_set, machine=self.machine, session=self.session)
        # None is told too: an older agent of this name may have had some.
        request = {"machine": self.machine, "session": self.session, "models": models}
        await self._cell.call("models_present", request, dict[str, bool])
        return [Held(job_id, token) for job_id, token in reply.held]

    async def claim(self, *, credits_: int) -> ClaimReply:
        """Take work; after a lost answer the next call gets the same jobs again."""
        nonce = self._open_nonce()
        reply = await self._cell.claim(
            machine=self.machine, session=self.session, credits_=credits_, nonce=nonce, park=True
        )
        self._claim_nonce = None
        return reply

    async def complete_and_claim(self, done: Sequence[Done], *, credits_: int) -> ClaimReply:
        """Store results and take work; a repeated call stores nothing twice and claims the same jobs."""
        nonce = self._open_nonce()
        reply = await self._cell.complete_and_claim(
            machine=self.machine, session=self.session, done=done, credits_=credits_, nonce=nonce, park=True
        )
        self._claim_nonce = None
        return reply

    def _open_nonce(self) -> str:
        """The nonce of the claim whose answer is still open, else a new one."""
        if self._claim_nonce is None:
            self._claim_nonce = self._new_nonce()
        return self._claim_nonce

    async def complete(self, done: Sequence[Done]) -> list[Outcome]:
        """Store results only; works when memory is out."""
        return await self._cell.complete(machine=self.machine, session=self.session, done=done)

    async def fail(self, failures: Sequence[Failure]) -> list[Outcome]:
        """The work failed."""
        return await self._cell.fail(machine=self.machine, session=self.session, failures=failures)

    async def release(self, held: Sequence[Held], *, because: str) -> list[Outcome]:
        """Hand jobs back unfinished."""
        return await self._cell.release(
            machine=self.machine, session=self.session, held=held, because=because, nonce=self._new_nonce()
        )

    async def renew(self, held: Sequence[Held]) -> RenewReply:
        """The machine lives, and works on these."""
        return await self._cell.renew(machine=self.machine, session=self.session, held=held)

    async def drain(self) -> None:
        """Take no new work; what was only offered goes back."""
        await self._cell.drain_machine(self.machine, draining=True, nonce=self._new_nonce(), session=self.session)

    async def leave(self, *, because: str) -> None:
        """Remove the machine; what it still holds goes back uncharged. A newer agent of its name is left alone."""
        try:
            await self._cell.remove_machine(
                self.machine, because=because, lost=False, nonce=self._new_nonce(), session=self.session
            )
        except (NoSuchMachine, MachineReplaced):
            return

    async def progress(self, job_id: str, token: str, text: bytes) -> None:
        """Publish to whoever listens; a server that does not answer costs only this message."""
        try:
            await publish_progress(self._cell, job_id, token, text)
        except Unavailable:
            return

    async def bells(self) -> AsyncIterator[Ring]:
        """Rings for this machine; a fresh connection too, since bells before it are unknown."""
        async for ring in listen(self._cell.client, self._cell.keys, (self.machine,)):
            match ring:
                case (
                    Offered(machine) | Ordered(machine) | MachineChanged(machine=machine) | Canceled(machine=machine)
                ) if machine != self.machine:
                    continue
                case _:
                    yield ring
