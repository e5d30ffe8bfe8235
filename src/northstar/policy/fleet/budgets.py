"""What follows from what was spent: nothing, a warning, or that nothing new is given out until the day or month is over.

Days and months are those of UTC, whatever the clocks of machines and people say, so that every broker means the same.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from northstar.domain.amounts import moment
from northstar.domain.budgets import BUDGET_SPENT, FLEET, BudgetNote, BudgetNow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.budgets import Budget, Level, Period, Spent

PERIODS: Final[tuple[Period, ...]] = ("day", "month")


def began_ms(period: Period, now_ms: int) -> int:
    """When the day or month of this moment began, ms since the epoch.

    >>> began_ms("day", 1_767_225_600_000 + 5), began_ms("month", 1_767_225_600_000 + 86_400_000)
    (1767225600000, 1767225600000)
    """
    now = datetime.fromtimestamp(now_ms / 1000, tz=UTC)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return _ms(day if period == "day" else day.replace(day=1))


def ends_ms(period: Period, now_ms: int) -> int:
    """When the next one begins.

    >>> ends_ms("day", 1_767_225_600_000), ends_ms("month", 1_767_225_600_000)
    (1767312000000, 1769904000000)
    """
    began = datetime.fromtimestamp(began_ms(period, now_ms) / 1000, tz=UTC)
    # The 32nd day after a first is in the next month, whatever its length.
    return _ms(began + timedelta(days=1)) if period == "day" else began_ms("month", _ms(began + timedelta(days=32)))


def days_until(since_ms: int, until_ms: int) -> list[tuple[int, int]]:
    """A stretch of time in pieces of which each lies within one day.

    >>> days_until(1_767_225_600_000 - 10, 1_767_225_600_000 + 10)
    [(1767225599990, 1767225600000), (1767225600000, 1767225600010)]
    """
    pieces = []
    while since_ms < until_ms:
        end_ms = min(until_ms, ends_ms("day", since_ms))
        pieces.append((since_ms, end_ms))
        since_ms = end_ms
    return pieces


def budgets_now(whose: str, budget: Budget, spent: Spent, *, now_ms: int, warn_at: float) -> tuple[BudgetNow, ...]:
    """Each of somebody's budgets as it stands; those that are not set are left out. `warn_at` is the share that is warned of, above 0 to 1."""
    told = []
    for period in PERIODS:
        limit_usd = budget.usd_per_day if period == "day" else budget.usd_per_month
        spent_usd = spent.day_usd if period == "day" else spent.month_usd
        if limit_usd <= 0:
            continue
        level: Level = "within"
        if spent_usd >= limit_usd:
            level = "stopped"
        elif spent_usd >= warn_at * limit_usd:
            level = "warned"
        resets_ms = ends_ms(period, now_ms)
        told.append(
            BudgetNow(
                whose=whose,
                period=period,
                limit_usd=limit_usd,
                spent_usd=spent_usd,
                level=level,
                resets_ms=resets_ms,
                because=_because(whose, period, level, limit_usd=limit_usd, spent_usd=spent_usd, resets_ms=resets_ms),
                hours_without_price=spent.hours_without_price,
            )
        )
    return tuple(told)


def deciding(budgets: Sequence[BudgetNow], level: Level) -> BudgetNow | None:
    """Of somebody's budgets that are on this level the one that lasts longest: what it says is true until it is over."""
    return max((one for one in budgets if one.level == level), key=lambda one: one.resets_ms, default=None)


def note_of(budget: BudgetNow) -> BudgetNote:
    """What is kept of it."""
    return BudgetNote(
        period=budget.period,
        limit_usd=budget.limit_usd,
        spent_usd=budget.spent_usd,
        resets_ms=budget.resets_ms,
        because=budget.because,
    )


def is_noted(note: BudgetNote, budget: BudgetNow) -> bool:
    """Whether a note speaks of this very budget, whatever was spent since."""
    return (note.period, note.limit_usd, note.resets_ms) == (budget.period, budget.limit_usd, budget.resets_ms)


def pause_of(note: BudgetNote) -> str:
    """Why the cell is paused. Every tenant reads it, and none need know what the fleet costs: no amount is in it."""
    return (
        f"{BUDGET_SPENT}: the fleet's budget of this {note.period} is spent, so nothing new begins until {moment(note.resets_ms)}, "
        "when the next one begins, or until it is raised"
    )


def _because(whose: str, period: Period, level: Level, *, limit_usd: float, spent_usd: float, resets_ms: int) -> str:
    named = "the fleet" if whose == FLEET else f"tenant {whose}"
    what = f"the budget of {named}, {dollars(limit_usd)} a {period}"
    again = moment(resets_ms)
    if level == "stopped":
        return (
            f"{BUDGET_SPENT}: {what}, is spent ({dollars(spent_usd)}), so nothing new begins until {again}, "
            "when the next one begins, or until the budget is raised"
        )
    if level == "warned":
        return f"{spent_usd / limit_usd:.0%} of {what}, is spent ({dollars(spent_usd)}); the next one begins at {again}"
    return ""


def dollars(usd: float) -> str:
    """An amount as people read it; of less than a cent more digits.

    >>> dollars(12.5), dollars(1234567.891), dollars(0.0042), dollars(0)
    ('12.50 USD', '1,234,567.89 USD', '0.0042 USD', '0.00 USD')
    """
    return f"{usd:,.4f} USD" if 0 < usd < 0.01 else f"{usd:,.2f} USD"


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
