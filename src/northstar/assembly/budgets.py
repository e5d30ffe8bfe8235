"""What keeps a broker's cell to its budgets."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from northstar.assembly.parts import part
from northstar.assembly.routing import RoutingParts
from northstar.assembly.session import new_id
from northstar.broker.budget_holds import BudgetHolds
from northstar.broker.budgets import BudgetKeeper, judged
from northstar.broker.fleet_budget import FleetBudget, read_fleet_budget
from northstar.broker.spending import Spending
from northstar.broker.terms_in_force import TermsInForce
from northstar.config import Settings
from northstar.domain.budgets import BudgetNow
from northstar.store.cell import Cell
from northstar.store.history import CostReader, HistoryDatabase
from northstar.store.snapshots import CellReader
from northstar.telemetry import logger

log = logger(__name__)

#: A month has at most so many days, and its costs are added up from the history.
_MONTH_DAYS = 31


async def keep_budgets(
    settings: Settings,
    cell: Cell,
    history: HistoryDatabase,
    routing: RoutingParts,
    stack: AsyncExitStack,
    *,
    reader: CellReader,
    failure: asyncio.Future[None],
) -> BudgetKeeper:
    """Look at what is spent for as long as the stack lasts; what the settings say of the fleet holds where the cell has never had a budget."""
    if settings.history.keep_days < _MONTH_DAYS:
        log.warning("budgets_see_no_whole_month", cell=cell.name, keep_days=settings.history.keep_days)
    keeper = BudgetKeeper(
        cell,
        Spending(cell, CostReader(history, cell=cell.name), reader=reader),
        terms=lambda: routing.terms.latest,
        holds=BudgetHolds(cell, routing.router(), reader=reader, new_nonce=lambda: new_id()[-16:]),
        stops=routing.stops,
        fleet=FleetBudget(
            usd_per_day=settings.budget.usd_per_day,
            usd_per_month=settings.budget.usd_per_month,
            warn_at=settings.budget.warn_at,
        ),
        every_s=settings.budget.look_every_s,
    )
    await stack.enter_async_context(part("the budgets", keeper.run(), failure=failure))
    return keeper


async def budgets_of(cell: Cell, history: HistoryDatabase) -> tuple[BudgetNow, ...]:
    """All budgets as they stand now, for a command; nothing is read where none is set.

    Raises:
        Unavailable: the cell or its history do not answer, or nobody can say what the terms are.
    """
    terms = TermsInForce(cell)
    await terms.look()
    fleet = await read_fleet_budget(cell)
    if not (fleet.budget.limits_anything or any(one.budget.limits_anything for one in terms.latest.tenants.values())):
        return ()
    return judged(await Spending(cell, CostReader(history, cell=cell.name)).look(), terms.latest, fleet)
