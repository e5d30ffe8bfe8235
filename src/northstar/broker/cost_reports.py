"""Costs out of the history, told to operators in full and to a tenant as far as they are its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.domain.costs import CostReport, line_of, total_of

if TYPE_CHECKING:
    from northstar.domain.budgets import BudgetNow
    from northstar.store.history import Costs


def report_of(told: Costs, *, by: str, of_one_tenant: bool = False, budgets: tuple[BudgetNow, ...] = ()) -> CostReport:
    """What was read, as programs get it."""
    return CostReport(
        since_ms=told.since_ms,
        until_ms=told.until_ms,
        by=by,
        costs=tuple(line_of(name, bill) for name, bill in told.by),
        busy=total_of(told.busy),
        idle=None if of_one_tenant else total_of(told.idle),
        machines=None if of_one_tenant else told.machines,
        budgets=budgets,
    )
