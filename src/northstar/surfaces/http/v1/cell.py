"""The cell as a whole: pools, lanes, pauses, status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Request, delete, get, post
from litestar.params import FromPath, QueryParameter, RawBody

from northstar.broker.cell_status import MOST_LANES, CellStatus
from northstar.domain.api_keys import Scope
from northstar.domain.lane_rows import LanePage
from northstar.domain.pool_resources import PoolInForce, PoolsInForceNow, ScopeChanged, WantedPause
from northstar.store.pauses import Pause
from northstar.surfaces.http.v1.access import caller_of
from northstar.surfaces.http.v1.bodies import MAX_BODY_BYTES, read_body
from northstar.surfaces.http.v1.paging import Cursor, Limit

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from northstar.broker.cell_desk import CellDesk

_Asked = Request[Any, Any, Any]


class Pauses(msgspec.Struct, frozen=True, kw_only=True):
    """What is paused."""

    pauses: tuple[Pause, ...]


def cell_routes(desk: CellDesk) -> list[HTTPRouteHandler]:
    """All of them."""
    return [*_pool_routes(desk), *_look_routes(desk), *_pause_routes(desk)]


def _pool_routes(desk: CellDesk) -> list[HTTPRouteHandler]:
    @get("/v1/pools", opt={"scope": Scope.READ})
    async def list_pools(request: _Asked) -> PoolsInForceNow:
        """The pools that are in force, everything that they promise, take and refuse, and whose word they are.

        For everybody. The environment of their engines is told to `admin` alone, the models that they keep to keys of all tenants.
        """
        return await desk.pools(caller_of(request))

    @get("/v1/pools/{pool:str}", opt={"scope": Scope.READ})
    async def get_pool(request: _Asked, pool: FromPath[str]) -> PoolInForce:
        """One pool that is in force, as in the list. For everybody. NS_NO_SUCH_POOL: there is none of the name."""
        return await desk.pool(caller_of(request), pool)

    return [list_pools, get_pool]


def _look_routes(desk: CellDesk) -> list[HTTPRouteHandler]:
    @get("/v1/lanes", opt={"scope": Scope.READ})
    async def list_lanes(request: _Asked, limit: Limit = 50, cursor: Cursor = "") -> LanePage:
        """Lanes, page by page: what their jobs ask for, how many wait and since when, and why no machine takes them.

        For keys of all tenants, since a lane's models and isolation may tell of another tenant: else NS_KEY_OF_ONE_TENANT.
        """
        return await desk.lanes(caller_of(request), limit=limit, cursor=cursor)

    @get("/v1/status", opt={"scope": Scope.READ})
    async def get_status(
        request: _Asked, lanes: Annotated[int, QueryParameter(ge=0, le=MOST_LANES)] = 20
    ) -> CellStatus:
        """What `northstar status --json` says: what is wrong and what to do about it, counts, lanes, machines, pauses and brokers.

        For keys of all tenants: else NS_KEY_OF_ONE_TENANT.
        """
        return await desk.status(caller_of(request), lanes=lanes)

    return [list_lanes, get_status]


def _pause_routes(desk: CellDesk) -> list[HTTPRouteHandler]:
    @get("/v1/pauses", opt={"scope": Scope.READ})
    async def list_pauses() -> Pauses:
        """What is paused: the cell, or pools; since when, why, and by whom. For everybody, since it says why a job waits."""
        return Pauses(pauses=await desk.pauses())

    @post(
        "/v1/pauses",
        status_code=200,
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.ADMIN, "body": WantedPause},
    )
    async def pause_scope(request: _Asked, body: RawBody) -> ScopeChanged:
        """Give out no work of the cell or of a pool; what runs goes on, and submissions are accepted.

        For `admin`. NS_NO_SUCH_SCOPE: neither `cell` nor `pool:NAME`. NS_NO_SUCH_POOL: no pool of the name is known.
        """
        return await desk.pause(caller_of(request), read_body(body, WantedPause))

    @delete("/v1/pauses/{paused:str}", status_code=200, opt={"scope": Scope.ADMIN})
    async def resume_scope(request: _Asked, paused: FromPath[str]) -> ScopeChanged:
        """Give out the work of a scope again; one that is not paused stays so. For `admin`. NS_NO_SUCH_SCOPE: it is none."""
        return await desk.resume(caller_of(request), paused)

    return [list_pauses, pause_scope, resume_scope]
