"""What machine time cost, as programs get it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.budgets import BudgetNow

if TYPE_CHECKING:
    from northstar.domain.machine_time import Bill


class CostTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Machine time. `usd` is null where no price is known at all, so that nobody adds it up as nothing."""

    runs: int
    machine_hours: float
    usd: float | None
    hours_without_price: float


class CostLine(CostTotal, frozen=True, kw_only=True):
    """Machine time under one name; null is what nobody named."""

    name: str | None


class CostReport(msgspec.Struct, frozen=True, kw_only=True):
    """From `since_ms` to before `until_ms`, the dearest names first. A run counts when it has ended."""

    since_ms: int
    until_ms: int
    by: str
    costs: tuple[CostLine, ...]
    #: All names together, also those that are not listed.
    busy: CostTotal
    #: What machines cost that did nothing, and how many there were; null for a tenant, to whom idle time is not charged.
    idle: CostTotal | None
    machines: int | None
    #: Budgets and what of them is spent now, whatever time is asked for, runs that have not ended included; a tenant is told of its own.
    budgets: tuple[BudgetNow, ...] = ()


def total_of(bill: Bill) -> CostTotal:
    """A bill as it is told."""
    return CostTotal(runs=bill.runs, machine_hours=bill.hours, usd=usd_of(bill), hours_without_price=bill.unpriced_h)


def line_of(name: str | None, bill: Bill) -> CostLine:
    """The bill of one name."""
    return CostLine(name=name, **msgspec.structs.asdict(total_of(bill)))


def usd_of(bill: Bill) -> float | None:
    """What it cost; None where no price is known at all."""
    return None if bill.unpriced_h > 0 and bill.unpriced_h >= bill.hours else bill.usd
