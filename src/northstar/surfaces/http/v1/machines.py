"""Machines: look at them, drain and remove them, and tell them which models to have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from litestar import Request, delete, get, post
from litestar.params import FromPath, QueryParameter, RawBody

from northstar.broker.machine_rows import MachineView, view_of
from northstar.broker.model_orders import Given
from northstar.broker.order_past import MachineOrders
from northstar.domain.api_keys import Scope
from northstar.domain.machine_resources import (
    MachineDraining,
    MachineRemoval,
    WantedDrain,
    WantedEviction,
    WantedFetch,
)
from northstar.domain.machine_rows import MachinePage
from northstar.surfaces.http.v1.access import caller_of
from northstar.surfaces.http.v1.bodies import MAX_BODY_BYTES, read_body
from northstar.surfaces.http.v1.paging import Cursor, Flag, Limit

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from northstar.broker.machine_desk import MachineDesk

MACHINES: Final = "/v1/machines"
_MACHINE: Final = f"{MACHINES}/{{machine:str}}"
_Asked = Request[Any, Any, Any]
_Ended = Annotated[int, QueryParameter(ge=0, le=500)]


class GivenOrders(msgspec.Struct, frozen=True, kw_only=True):
    """Orders as they stand on the machine's list, one for each file."""

    orders: tuple[Given, ...]


def machine_routes(desk: MachineDesk) -> list[HTTPRouteHandler]:
    """All of them."""
    return [*_look_routes(desk), *_care_routes(desk), *_order_routes(desk)]


def _look_routes(desk: MachineDesk) -> list[HTTPRouteHandler]:
    @get(MACHINES, opt={"scope": Scope.READ})
    async def list_machines(request: _Asked, limit: Limit = 50, cursor: Cursor = "") -> MachinePage:
        """Registered machines by name: what they offer and hold, and how busy they are. For keys of all tenants: else NS_KEY_OF_ONE_TENANT."""
        return await desk.page(caller_of(request), limit=limit, cursor=cursor)

    @get(_MACHINE, opt={"scope": Scope.READ})
    async def get_machine(request: _Asked, machine: FromPath[str]) -> MachineView:
        """Everything known of a machine: what it offers, its GPUs and engines, and the models that it holds or fetches.

        For keys of all tenants: else NS_KEY_OF_ONE_TENANT. NS_NO_SUCH_MACHINE: none of the name has come. NS_MACHINE_NOT_HERE: it has joined, and is
        not here, with the reason.
        """
        return view_of(await desk.sheet(caller_of(request), machine))

    return [list_machines, get_machine]


def _care_routes(desk: MachineDesk) -> list[HTTPRouteHandler]:
    @post(
        f"{_MACHINE}/drain",
        status_code=200,
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.MACHINE, "body": WantedDrain},
    )
    async def drain_machine(request: _Asked, machine: FromPath[str], body: RawBody) -> MachineDraining:
        """Give a machine no new work, what it runs goes on; or, with `draining` false, give it work again.

        For keys of all tenants with `machine`. NS_NO_SUCH_MACHINE: it is not registered.
        """
        wanted = read_body(body, WantedDrain)
        return await desk.drain(caller_of(request), machine, draining=wanted.draining)

    @delete(_MACHINE, status_code=200, opt={"scope": Scope.MACHINE})
    async def remove_machine(request: _Asked, machine: FromPath[str], *, dry_run: Flag = False) -> MachineRemoval:
        """Forget a machine that is gone, and say what became of its jobs; `dry_run` only says what would. One that still runs comes back by itself.

        For keys of all tenants with `machine`. NS_NO_SUCH_MACHINE, NS_MACHINE_NOT_HERE: it is not registered.
        """
        return await desk.remove(caller_of(request), machine, dry_run=dry_run)

    return [drain_machine, remove_machine]


def _order_routes(desk: MachineDesk) -> list[HTTPRouteHandler]:
    @post(
        f"{_MACHINE}/models/fetch",
        status_code=202,
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.MACHINE, "body": WantedFetch},
    )
    async def order_fetch(request: _Asked, machine: FromPath[str], body: RawBody) -> GivenOrders:
        """Tell a machine to fetch a model: one of the catalogue by its name, or a file with `sources` and `sha256`. Its orders say what became of it.

        For keys of all tenants with `machine`. NS_NO_SUCH_MACHINE, NS_NO_SUCH_MODEL, NS_MODEL_NOT_FETCHABLE, NS_MODEL_ORDER_INVALID, NS_TOO_MANY_ORDERS,
        NS_MACHINE_KEEPS_NO_MODELS.
        """
        given = await desk.fetch(caller_of(request), machine, read_body(body, WantedFetch))
        return GivenOrders(orders=tuple(given))

    @post(
        f"{_MACHINE}/models/evict",
        status_code=202,
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.MACHINE, "body": WantedEviction},
    )
    async def order_eviction(request: _Asked, machine: FromPath[str], body: RawBody) -> GivenOrders:
        """Tell a machine to remove a model that it fetched. One that is in use stays, and so does a file that was only found there.

        For keys of all tenants with `machine`. NS_NO_SUCH_MACHINE, NS_TOO_MANY_ORDERS.
        """
        given = await desk.evict(caller_of(request), machine, read_body(body, WantedEviction).model)
        return GivenOrders(orders=(given,))

    @get(f"{_MACHINE}/orders", opt={"scope": Scope.READ})
    async def list_orders(request: _Asked, machine: FromPath[str], ended: _Ended = 0) -> MachineOrders:
        """What a machine was told to fetch or to evict and has not answered yet; and the last `ended` that it has answered, and how.

        For keys of all tenants: else NS_KEY_OF_ONE_TENANT. NS_NO_SUCH_MACHINE: nothing was ever heard of it.
        """
        return await desk.orders(caller_of(request), machine, ended=ended)

    return [order_fetch, order_eviction, list_orders]
