"""What clients ask by HTTP of who may join: invites, approvals, revocations. For keys of all tenants, since machines are shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.broker.admission import checked_join_url
from northstar.broker.pages import page_of
from northstar.domain.machine_resources import (
    InviteClosed,
    InvitePage,
    InviteRow,
    MachineApproved,
    MachineRevoked,
    NewInvite,
)
from northstar.domain.refusals import NoSuchInvite
from northstar.domain.tokens import is_id
from northstar.store import admission as calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.broker.admission import Admission
    from northstar.domain.api_keys import Caller
    from northstar.domain.machine_resources import WantedInvite
    from northstar.store.admission import InviteEntry
    from northstar.store.cell import Cell


class AdmissionDesk:
    """Who may join one cell. `join_url` is where machines dial, empty where nobody said it; `new_id` gives random text."""

    def __init__(self, cell: Cell, admission: Admission, *, join_url: str, new_id: Callable[[], str]) -> None:
        self._cell = cell
        self._admission = admission
        self._join_url = join_url
        self._new_id = new_id

    async def approve(self, caller: Caller, machine: str) -> MachineApproved:
        """Let a machine that joined and waits take work. Raises KeyOfOneTenant, NoSuchToken, TokenRevoked, Unavailable."""
        caller.expect_all_tenants()
        return MachineApproved(machine=machine, changed=await calls.approve(self._cell, machine, by=caller.by))

    async def revoke(self, caller: Caller, machine: str, *, because: str) -> MachineRevoked:
        """Take a machine's token away: it is put out at once. Raises KeyOfOneTenant, NoSuchToken, Unavailable."""
        caller.expect_all_tenants()
        nonce = self._new_id()[-16:]
        done = await calls.revoke(self._cell, machine, because=because, by=caller.by, nonce=nonce)
        return MachineRevoked(
            machine=machine, changed=done.revoked, returned=done.returned, open_invite=done.invite or None
        )

    async def invite(self, caller: Caller, wanted: WantedInvite) -> NewInvite:
        """Make an invite. Raises KeyOfOneTenant, JoinUrlInvalid, InviteTooLong, TooManyInvites, Unavailable."""
        caller.expect_all_tenants()
        address = checked_join_url(wanted.url or self._join_url)  # before anything is made
        made = await self._admission.invite(wanted.terms(), by=caller.by)
        return NewInvite(
            invite=made.invite.id, token=made.invite.reveal(), command=made.command(address), ends_ms=made.ends_ms
        )

    async def invites(self, caller: Caller, *, open_only: bool, limit: int, cursor: str) -> InvitePage:
        """A page of invites, those that end first at the top. Raises KeyOfOneTenant, Unavailable."""
        caller.expect_all_tenants()
        found = [_row(one) async for one in calls.list_invites(self._cell) if one.state == "open" or not open_only]
        shown, after = page_of(found, name=lambda row: f"{row.ends_ms:015d} {row.id}", limit=limit, cursor=cursor)
        return InvitePage(invites=shown, cursor=after)

    async def close(self, caller: Caller, invite_id: str) -> InviteClosed:
        """Take an invite back; the machines that joined by it stay. Raises KeyOfOneTenant, NoSuchInvite, Unavailable."""
        caller.expect_all_tenants()
        if not is_id(invite_id):
            raise NoSuchInvite({"invite": repr(invite_id[:40])})
        return InviteClosed(invite=invite_id, changed=await calls.revoke_invite(self._cell, invite_id, by=caller.by))


def _row(one: InviteEntry) -> InviteRow:
    return InviteRow(
        id=one.id,
        state=one.state,
        pools=tuple(one.pools),
        region=one.region,
        tags=tuple(one.tags),
        dedicated_to=one.dedicated_to,
        approval=bool(one.approval),
        uses=one.uses,
        used=one.used,
        made_ms=one.made_ms,
        ends_ms=one.ends_ms,
        by=one.by,
    )
