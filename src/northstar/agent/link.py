"""What an agent needs of the broker, whichever way it is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from northstar.domain.machines import MachineDescription, MachineProfile
    from northstar.domain.models import ModelHeld
    from northstar.domain.node_sets import NodeSet
    from northstar.store.bells import Ring
    from northstar.store.messages import ClaimReply, Done, Failure, Held, Outcome, RenewReply


class BrokerLink(Protocol):
    """One machine's conversation with the broker.

    Every call may raise Unavailable; the agent then goes on with what it holds and tries again. All calls may be repeated.
    """

    async def register(
        self,
        profile: MachineProfile,
        description: MachineDescription,
        *,
        slots: int,
        models: Sequence[ModelHeld],
        node_set: NodeSet | None = None,
    ) -> list[Held]:
        """Join, or come back; gives the jobs that this session still holds. `node_set` is told where nobody has told it yet."""
        ...

    async def claim(self, *, credits_: int) -> ClaimReply:
        """Offers first, then work for free slots; the machine is parked when that is less than it asked."""
        ...

    async def complete_and_claim(self, done: Sequence[Done], *, credits_: int) -> ClaimReply:
        """Store results and take the next jobs."""
        ...

    async def complete(self, done: Sequence[Done]) -> list[Outcome]:
        """Store results only; works when memory is out."""
        ...

    async def fail(self, failures: Sequence[Failure]) -> list[Outcome]:
        """The work failed."""
        ...

    async def release(self, held: Sequence[Held], *, because: str) -> list[Outcome]:
        """Hand jobs back unfinished."""
        ...

    async def renew(self, held: Sequence[Held]) -> RenewReply:
        """The machine lives, and works on these."""
        ...

    async def drain(self) -> None:
        """Take no new work; what runs goes on."""
        ...

    async def leave(self, *, because: str) -> None:
        """The machine goes, in order."""
        ...

    async def progress(self, job_id: str, token: str, text: bytes) -> None:
        """Progress, previews and tokens: bounded and lossy."""
        ...

    def bells(self) -> AsyncIterator[Ring]:
        """What happens to this machine, for ever."""
        ...
