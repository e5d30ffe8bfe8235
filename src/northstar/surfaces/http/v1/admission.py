"""Who may join: invites, and the machines that joined by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, QueryParameter, RawBody

from northstar.domain.api_keys import Scope
from northstar.domain.machine_resources import (
    InviteClosed,
    InvitePage,
    MachineApproved,
    MachineRevoked,
    NewInvite,
    RevokeBecause,
    WantedInvite,
)
from northstar.surfaces.http.v1.access import caller_of
from northstar.surfaces.http.v1.bodies import MAX_BODY_BYTES, read_body
from northstar.surfaces.http.v1.machines import MACHINES
from northstar.surfaces.http.v1.paging import NO_STORE, Cursor, Limit

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from northstar.broker.admission_desk import AdmissionDesk

_Asked = Request[Any, Any, Any]
_OpenOnly = Annotated[bool, QueryParameter(name="open")]


def admission_routes(desk: AdmissionDesk) -> list[HTTPRouteHandler]:
    """All of them."""
    return [*_token_routes(desk), *_invite_routes(desk)]


def _token_routes(desk: AdmissionDesk) -> list[HTTPRouteHandler]:
    @post(f"{MACHINES}/{{machine:str}}/approve", status_code=200, opt={"scope": Scope.MACHINE})
    async def approve_machine(request: _Asked, machine: FromPath[str]) -> MachineApproved:
        """Let a machine that joined by an invite, and waits for approval, take work.

        For keys of all tenants with `machine`. NS_NO_SUCH_TOKEN: none of the name has joined. NS_TOKEN_REVOKED: it may not come any more.
        """
        return await desk.approve(caller_of(request), machine)

    @post(
        f"{MACHINES}/{{machine:str}}/revoke",
        status_code=200,
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.MACHINE, "body": RevokeBecause},
    )
    async def revoke_machine(request: _Asked, machine: FromPath[str], body: RawBody) -> MachineRevoked:
        """Take a machine's token away: it is put out at once, and its jobs go back to the front of their lanes.

        For keys of all tenants with `machine`. NS_NO_SUCH_TOKEN: none of the name has joined by an invite.
        """
        because = read_body(body, RevokeBecause).because
        return await desk.revoke(caller_of(request), machine, because=because)

    return [approve_machine, revoke_machine]


def _invite_routes(desk: AdmissionDesk) -> list[HTTPRouteHandler]:
    @get("/v1/invites", opt={"scope": Scope.MACHINE})
    async def list_invites(
        *, request: _Asked, open_only: _OpenOnly = False, limit: Limit = 50, cursor: Cursor = ""
    ) -> InvitePage:
        """Invites of the last days, those that end first at the top, without their secrets; with `open`, those by which a machine can join now.

        For keys of all tenants with `machine`.
        """
        return await desk.invites(caller_of(request), open_only=open_only, limit=limit, cursor=cursor)

    @post(
        "/v1/invites",
        status_code=201,
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.MACHINE, "body": WantedInvite},
    )
    async def make_invite(request: _Asked, body: RawBody) -> Response[NewInvite]:
        """Make an invite, and tell the one command by which a machine joins: its text is in this answer and nowhere else.

        For keys of all tenants with `machine`. NS_JOIN_URL_INVALID: neither `url` nor `join.url` says where machines dial. NS_INVITE_TOO_LONG,
        NS_TOO_MANY_INVITES: a bound of the cell.
        """
        made = await desk.invite(caller_of(request), read_body(body, WantedInvite))
        headers = NO_STORE | {"Location": f"/v1/invites/{made.invite}"}
        return Response(made, status_code=201, headers=headers)

    @delete("/v1/invites/{invite:str}", status_code=200, opt={"scope": Scope.MACHINE})
    async def close_invite(request: _Asked, invite: FromPath[str]) -> InviteClosed:
        """Take an invite back, by its id; the machines that joined by it stay.

        For keys of all tenants with `machine`. NS_NO_SUCH_INVITE: there is none of the id.
        """
        return await desk.close(caller_of(request), invite)

    return [list_invites, make_invite, close_invite]
