"""What clients ask of machines by HTTP: lists, sheets, orders about models, draining and removing.

All of it is for keys of all tenants: machines are shared, and a sheet names isolations, prices and models of everybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.broker import acts
from northstar.broker.absent_machines import not_here
from northstar.broker.machine_rows import rows_of
from northstar.broker.model_orders import ModelOrderInvalid, order_all, order_eviction, read_order
from northstar.broker.order_past import MachineOrders, orders_of
from northstar.broker.pages import page_of
from northstar.domain.amounts import counted
from northstar.domain.machine_resources import MachineDraining, MachineRemoval
from northstar.domain.machine_rows import MachinePage
from northstar.domain.refusals import NoSuchMachine
from northstar.store.machine_sheets import MachineSheet, read_machine_sheet

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.broker.model_orders import Given
    from northstar.broker.order_past import OrderPast
    from northstar.domain.api_keys import Caller
    from northstar.domain.machine_resources import WantedFetch
    from northstar.domain.models import ModelOrder
    from northstar.store.cell import Cell
    from northstar.store.snapshots import CellReader


class MachineDesk:
    """The machines of one cell. `new_id` gives random text."""

    def __init__(self, cell: Cell, *, past: OrderPast, reader: CellReader, new_id: Callable[[], str]) -> None:
        self._cell = cell
        self._past = past
        self._reader = reader
        self._new_id = new_id

    async def page(self, caller: Caller, *, limit: int, cursor: str) -> MachinePage:
        """Registered machines by name. Raises KeyOfOneTenant, Unavailable."""
        caller.expect_all_tenants()
        rows = rows_of(await self._reader.snapshot())
        shown, after = page_of(rows, name=lambda row: row.id, limit=limit, cursor=cursor)
        return MachinePage(machines=shown, cursor=after)

    async def sheet(self, caller: Caller, name: str) -> MachineSheet:
        """Everything known of one. Raises KeyOfOneTenant, NoSuchMachine, MachineNotHere, Unavailable."""
        caller.expect_all_tenants()
        try:
            return await read_machine_sheet(self._cell.client, self._cell.keys, name)
        except NoSuchMachine as exc:
            raise await not_here(self._cell, name) or exc from None

    async def drain(self, caller: Caller, name: str, *, draining: bool) -> MachineDraining:
        """Give it no new work, or give it work again. Raises KeyOfOneTenant, NoSuchMachine, Unavailable."""
        caller.expect_all_tenants()
        await acts.drain(self._cell, name, draining=draining, by=caller.by, nonce=self._nonce())
        return MachineDraining(machine=name, status="draining" if draining else "active")

    async def remove(self, caller: Caller, name: str, *, dry_run: bool) -> MachineRemoval:
        """Forget one that is gone, or say what that would do. Raises KeyOfOneTenant, NoSuchMachine, MachineNotHere, Unavailable."""
        sheet = await self.sheet(caller, name)
        if dry_run:
            what = f"{counted(sheet.used, 'job')} of machine {name} would go back to the front of the queue, no attempt charged"
            return MachineRemoval(machine=name, removed=False, returned=sheet.used, what=what)
        returned = await acts.remove(self._cell, name, by=caller.by, nonce=self._nonce())
        went = f"{counted(returned, 'job')} of machine {name} went back to the front of the queue, no attempt charged"
        return MachineRemoval(machine=name, removed=True, returned=returned, what=went)

    async def fetch(self, caller: Caller, name: str, wanted: WantedFetch) -> list[Given]:
        """Tell a machine to fetch a model, file by file.

        Raises:
            KeyOfOneTenant, NoSuchMachine, MachineKeepsNoModels, TooManyOrders, Unavailable
            NoSuchModel, ModelNotFetchable: the catalogue has none, or does not say from where. ModelOrderInvalid: nobody could fetch that.
        """
        caller.expect_all_tenants()
        given = await order_all(self._cell, name, _order(wanted), new_id=self._new_id, by=caller.by)
        return [one for _, one in given]

    async def evict(self, caller: Caller, name: str, model: str) -> Given:
        """Tell a machine to remove a model. Raises KeyOfOneTenant, NoSuchMachine, TooManyOrders, Unavailable."""
        caller.expect_all_tenants()
        return await order_eviction(self._cell, name, model, order_id=self._new_id(), by=caller.by)

    async def orders(self, caller: Caller, name: str, *, ended: int) -> MachineOrders:
        """Open orders, and at most `ended` of those that have ended. Raises KeyOfOneTenant, NoSuchMachine, Unavailable."""
        caller.expect_all_tenants()
        return await orders_of(self._cell, self._past, name, ended=ended)

    def _nonce(self) -> str:
        return self._new_id()[-16:]


def _order(wanted: WantedFetch) -> ModelOrder | str:
    """A file that was described, or a name for the catalogue. Raises ModelOrderInvalid."""
    if not (wanted.sources or wanted.sha256 or wanted.folder or wanted.size_bytes):
        return wanted.model
    if not (wanted.sources and wanted.sha256):
        raise ModelOrderInvalid(
            'name both `sources` and `sha256` (or "unknown" on purpose), or neither for a model of the catalogue'
        )
    said = {"sources": wanted.sources, "sha256": wanted.sha256, "size_bytes": wanted.size_bytes}
    return read_order({"name": wanted.model, "kind": wanted.kind, "folder": wanted.folder, **said})
