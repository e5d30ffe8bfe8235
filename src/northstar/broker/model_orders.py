"""Orders to machines about models: written here, carried out by the machine's agent, answered in the event stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from northstar.broker.catalogue import look_up
from northstar.broker.catalogue_errors import ModelNotFetchable
from northstar.broker.secret_addresses import expect_no_secret
from northstar.domain.errors import InvalidRequest, Refused
from northstar.domain.models import ModelOrder
from northstar.policy.models.addresses import shown
from northstar.policy.models.names import why_refused
from northstar.policy.models.sources import Endpoints, address_of
from northstar.store.machine_sheets import read_machine_sheet
from northstar.store.messages import StoredOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from northstar.store.cell import Cell


class ModelOrderInvalid(InvalidRequest):
    """What was asked for describes no model that could be fetched."""

    code: ClassVar[str] = "NS_MODEL_ORDER_INVALID"

    def __init__(self, detail: str) -> None:
        super().__init__(f"no machine could fetch that: {detail}")


class MachineKeepsNoModels(Refused):
    """A machine that keeps no models folder was to be told to fetch a model."""

    code: ClassVar[str] = "NS_MACHINE_KEEPS_NO_MODELS"

    def __init__(self, machine: str) -> None:
        super().__init__(
            f"machine {machine} keeps no models folder and fetches nothing: put the file where its engine finds it, "
            "or name a folder in its settings (models.root)"
        )
        self.machine = machine


def read_order(wanted: Mapping[str, Any]) -> ModelOrder:
    """A model to fetch, from what somebody wrote, by the rules of the machines. Raises ModelOrderInvalid, SecretInAddress."""
    try:
        order = msgspec.convert(wanted, ModelOrder)
    except msgspec.ValidationError as exc:
        raise ModelOrderInvalid(str(exc)) from exc
    if reason := why_refused(order.name):
        raise ModelOrderInvalid(f"a file may not be called {order.name!r}: {reason}")
    expect_no_secret(order.sources, whose=f"model {order.name!r}")
    for source in order.sources:
        try:
            address_of(source, endpoints=Endpoints())
        except ValueError as exc:
            raise ModelOrderInvalid(f"from {shown(source)}: {exc}") from exc
    return order


async def catalogue_orders(cell: Cell, name: str) -> list[ModelOrder]:
    """What a machine that shall have this model of the catalogue has to fetch, file by file.

    Raises:
        NoSuchModel: the catalogue has nothing of this name. ModelNotFetchable: it does not say from where all of it can be had.
    """
    found, _ = await look_up(cell, name)
    orders = []
    for file in found.files:
        order = file.order()
        if order is None:
            raise ModelNotFetchable(found.model.name, file=file.name)
        orders.append(order)
    return orders


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it stands on the machine's list; `new` is false if one for the same stood there already."""

    machine: str
    order: str
    new: bool


async def order_fetch(cell: Cell, machine: str, order: ModelOrder, *, order_id: str, by: str) -> Given:
    """Tell a machine to fetch a model.

    Raises:
        NoSuchMachine, TooManyOrders: it is not here, or has too many open orders.
        MachineKeepsNoModels: it says that it would not.
    """
    sheet = await read_machine_sheet(cell.client, cell.keys, machine)
    if not sheet.description.keeps_models:
        raise MachineKeepsNoModels(machine)
    body = msgspec.json.encode(order).decode()
    return await _give(cell, machine, StoredOrder(order_id, "fetch", order.name, body), by=by)


async def order_all(
    cell: Cell, machine: str, wanted: ModelOrder | str, *, new_id: Callable[[], str], by: str
) -> list[tuple[ModelOrder, Given]]:
    """Tell a machine to fetch a file, or what the catalogue says of a name; several files are fetched side by side.

    Raises:
        NoSuchMachine, TooManyOrders: it is not here, or has too many open orders. NoSuchModel, ModelNotFetchable: as `catalogue_orders`.
    """
    orders = [wanted] if isinstance(wanted, ModelOrder) else []
    if isinstance(wanted, str):
        await cell.pending_orders(machine)  # one that is not there is told before what it was to have
        orders = await catalogue_orders(cell, wanted)
    return [(one, await order_fetch(cell, machine, one, order_id=new_id(), by=by)) for one in orders]


async def order_eviction(cell: Cell, machine: str, model: str, *, order_id: str, by: str) -> Given:
    """Tell a machine to remove a model from its disk.

    Raises:
        NoSuchMachine, TooManyOrders: it is not here, or has too many open orders.
    """
    return await _give(cell, machine, StoredOrder(order_id, "evict", model), by=by)


async def _give(cell: Cell, machine: str, order: StoredOrder, *, by: str) -> Given:
    ((order_id, is_new),) = await cell.order_models(machine, [order], by=by)
    return Given(machine=machine, order=order_id, new=is_new)
