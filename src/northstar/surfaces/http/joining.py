"""Where a machine that was invited joins, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Request, post
from litestar.params import JSONBody

from northstar.broker.admission import Admission
from northstar.broker.gateway.refusal_log import RefusalLog
from northstar.domain.errors import NorthstarError
from northstar.store.wire import Joined, JoinRequest
from northstar.telemetry import logger

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from northstar.surfaces.http.callers import Door

log = logger(__name__)

JOIN_PATH = "/agent/v1/join"
#: Strangers ask before anybody knows them; what they may rightly say is far shorter.
_MAX_BODY_BYTES: Final = 64 * 1024


def join_route(admission: Admission, door: Door, refusals: RefusalLog, *, cell: str) -> HTTPRouteHandler:
    """Redeem an invite. Asking again with the same token is answered again, so a lost answer costs nothing."""

    @post(JOIN_PATH, status_code=201, request_max_body_size=_MAX_BODY_BYTES)
    async def join(request: Request[Any, Any, Any], data: JSONBody[JoinRequest]) -> Joined:
        opened = door.opened_for(request)
        about = f"{opened.address or '?'} {request.headers.get('user-agent') or ''}"
        try:
            admitted = await opened.join(
                lambda: admission.redeem(
                    data.invite, data.token, machine=data.machine, about=about, announces=data.announces
                )
            )
        except NorthstarError as exc:
            refusals.refused(exc, machine=data.machine)
            raise
        log.info("machine_admitted", machine=admitted.machine, status=admitted.status, pools=list(admitted.grant.pools))
        return Joined(machine=admitted.machine, cell=cell, status=admitted.status, grant=admitted.grant)

    return join
