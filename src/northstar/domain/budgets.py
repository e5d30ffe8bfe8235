"""Budgets: what may be spent in a day and in a month, how much of it is spent, and what follows."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

__all__ = [
    "BUDGET_SPENT",
    "FLEET",
    "NORTH_STAR",
    "Budget",
    "BudgetNote",
    "BudgetNow",
    "Level",
    "Period",
    "Spent",
    "Usd",
    "raising",
]

#: US dollars, as machines' prices are; 0: no budget.
Usd: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1_000_000_000)]
#: Days and months of UTC.
Period: TypeAlias = Literal["day", "month"]
#: within: nothing follows · warned: somebody is told · stopped: nothing new is given out.
Level: TypeAlias = Literal["within", "warned", "stopped"]

#: The code with which every reason begins that is a spent budget.
BUDGET_SPENT: Final = "NS_BUDGET_SPENT"
#: Whose budget it is, where it is that of the whole cell: no tenant has this name.
FLEET: Final = "*"
#: In whose name budgets stop and resume. No key and no user is named so, which is how a pause of theirs is known from one of an operator.
NORTH_STAR: Final = "budget"


def raising(because: str) -> str:
    """The command that raises the fleet's budget which a reason says is spent.

    >>> raising("NS_BUDGET_SPENT: the fleet's budget of this month is spent")
    'northstar budget set --usd-per-month USD'
    """
    period: Period = "month" if "month" in because.partition("is spent")[0] else "day"
    return f"northstar budget set --usd-per-{period} USD"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What may be spent; 0 is no limit."""

    usd_per_day: Usd = 0.0
    usd_per_month: Usd = 0.0

    @property
    def limits_anything(self) -> bool:
        """Whether there is a budget at all."""
        return self.usd_per_day > 0 or self.usd_per_month > 0


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent since the day and since the month began, US dollars. Hours of machines whose price nobody knows are in neither."""

    day_usd: float = 0.0
    month_usd: float = 0.0
    #: Such hours of this month.
    hours_without_price: float = 0.0


class BudgetNow(msgspec.Struct, frozen=True, kw_only=True):
    """One budget at one moment. `whose` is a tenant's name, or `*` for the whole cell; `because` says it in words where it is not `within`."""

    whose: str
    period: Period
    limit_usd: float
    spent_usd: float
    level: Level
    #: When the next day or month begins, ms since the epoch.
    resets_ms: int
    because: str = ""
    hours_without_price: float = 0.0


class BudgetNote(msgspec.Struct, frozen=True, kw_only=True):
    """What the cell keeps of a budget that is nearly or wholly spent, as it was when that was noticed."""

    period: Period
    limit_usd: float
    spent_usd: float
    resets_ms: int
    because: str
