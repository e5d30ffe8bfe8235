"""A machine's record in the cell: made when it registers, and made anew where pools that change make something else of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.policy.fleet.pool_membership import PoolRefusesMachine
from northstar.policy.fleet.pool_stance import is_kept
from northstar.store.machine_facts import facts_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.broker.gateway.pool_door import PoolDoor
    from northstar.domain.admission import Admitted
    from northstar.domain.pools import Pools
    from northstar.store import wire
    from northstar.store.cell import Cell
    from northstar.store.messages import RegisterReply


class Enrolment:
    """Of the machine of one connection."""

    def __init__(
        self,
        cell: Cell,
        admitted: Admitted,
        *,
        session: str,
        holder: str,
        pools: Callable[[], Pools],
        door: PoolDoor,
        new_nonce: Callable[[], str],
    ) -> None:
        """`pools` gives those that hold now, `door` says who may enter them."""
        self._cell = cell
        self._admitted = admitted
        self._session = session
        self._holder = holder
        self._pools = pools
        self._door = door
        self._new_nonce = new_nonce
        #: As it registered last, without its models, and whether it is kept for its pools since.
        self._body: wire.Registration | None = None
        self._is_kept = False

    async def enter(self, body: wire.Registration) -> RegisterReply:
        """Register the machine. Raises MachinePoolUnknown, PoolRefusesMachine, what its grant does not allow, and what the cell refuses."""
        machine = self._admitted.machine
        self._admitted.grant.check(machine, body.profile, region=body.description.region)
        entering = await self._door.may_enter(machine, body)
        reply = await self._put(body, again=body.again)
        try:
            await self._door.has_entered(entering)
        except PoolRefusesMachine:
            await self.leave(because="its pool is full")
            raise
        self._body = msgspec.structs.replace(body, models=())
        await self.follow_pools()  # they may have changed meanwhile
        return reply

    async def leave(self, *, because: str) -> None:
        """Take the machine out of the cell."""
        self._body = None
        await self._cell.remove_machine(
            self._admitted.machine, because=because, lost=False, nonce=self._new_nonce(), session=self._session
        )

    async def follow_pools(self) -> bool:
        """Have the cell know whether the machine is kept for its pools, after these have changed; gives whether it had to be told.

        The machine keeps its session and its jobs, and hears nothing of it. Raises what the cell refuses.
        """
        body = self._body
        if body is None or is_kept(self._pools(), body.profile.pools) == self._is_kept:
            return False
        await self._put(body, again=True)
        return True

    async def _put(self, body: wire.Registration, *, again: bool) -> RegisterReply:
        kept = is_kept(self._pools(), body.profile.pools)
        profile = msgspec.structs.replace(
            body.profile,
            exclusive=kept,
            # Work that is bound to regions goes by what was granted, never by what a stranger says of itself.
            region=body.profile.region if self._admitted.grant.region else "",
        )
        admitted_by = {"admitted_by": self._admitted.token_id} if self._admitted.token_id else {}
        shared_mb = body.description.shared_vram_mb(profile)
        reply = await self._cell.register_machine(
            machine=self._admitted.machine,
            session=self._session,
            profile=profile.canonical(),
            fits=(),
            slots=body.slots,
            vram_mb=shared_mb,
            holder=self._holder,
            description=msgspec.json.encode(body.description).decode(),
            words=profile.words(),
            nonce=self._new_nonce(),
            again=again,
            facts=facts_text(body.description, vram_mb=shared_mb, pools=profile.pools),
            **admitted_by,
            **profile.named_set(),
        )
        self._is_kept = kept
        return reply
