"""What follows from what was spent, case by case."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from northstar.domain.budgets import FLEET, Budget, Level, Period, Spent
from northstar.policy.fleet.budgets import began_ms, budgets_now, days_until, deciding, ends_ms, is_noted, note_of


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOON = at("2026-02-27T12:00")
DAILY = Budget(usd_per_day=10.0)


@pytest.mark.parametrize(
    ("spent_usd", "level"),
    [(0.0, "within"), (7.99, "within"), (8.0, "warned"), (9.99, "warned"), (10.0, "stopped"), (25.0, "stopped")],
)
def test_a_budget_is_kept_then_warned_of_then_spent(spent_usd: float, level: Level) -> None:
    (now,) = budgets_now("acme", DAILY, Spent(day_usd=spent_usd), now_ms=NOON, warn_at=0.8)
    assert (now.whose, now.period, now.level, now.spent_usd) == ("acme", "day", level, spent_usd)


def test_no_budget_stops_nobody_whatever_was_spent() -> None:
    assert budgets_now("acme", Budget(), Spent(day_usd=1e9, month_usd=1e9), now_ms=NOON, warn_at=0.8) == ()


def test_at_which_share_it_is_warned_can_be_chosen() -> None:
    levels = [budgets_now("a", DAILY, Spent(day_usd=6.0), now_ms=NOON, warn_at=share)[0].level for share in (0.5, 1.0)]
    assert levels == ["warned", "within"]


def test_the_reason_says_whose_how_much_and_when_it_begins_anew() -> None:
    (day,) = budgets_now("acme", DAILY, Spent(day_usd=10.5), now_ms=NOON, warn_at=0.8)
    assert day.because == (
        "NS_BUDGET_SPENT: the budget of tenant acme, 10.00 USD a day, is spent (10.50 USD), so nothing new begins until "
        "2026-02-28 00:00:00+00:00, when the next one begins, or until the budget is raised"
    )
    (month,) = budgets_now(FLEET, Budget(usd_per_month=100.0), Spent(month_usd=85.0), now_ms=NOON, warn_at=0.8)
    assert month.because == (
        "85% of the budget of the fleet, 100.00 USD a month, is spent (85.00 USD); the next one begins at 2026-03-01 00:00:00+00:00"
    )


@pytest.mark.parametrize(
    ("period", "now", "began", "ends"),
    [
        ("day", "2026-02-27T12:00", "2026-02-27T00:00", "2026-02-28T00:00"),
        ("day", "2026-02-28T00:00", "2026-02-28T00:00", "2026-03-01T00:00"),
        ("month", "2026-02-27T12:00", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("month", "2028-02-29T23:59", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("month", "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_days_and_months_are_those_of_utc(period: Period, now: str, began: str, ends: str) -> None:
    assert (began_ms(period, at(now)), ends_ms(period, at(now))) == (at(began), at(ends))


def test_a_stretch_of_time_falls_into_its_days() -> None:
    whole = days_until(at("2026-02-27T23:00"), at("2026-03-01T01:00"))
    assert whole == [
        (at("2026-02-27T23:00"), at("2026-02-28T00:00")),
        (at("2026-02-28T00:00"), at("2026-03-01T00:00")),
        (at("2026-03-01T00:00"), at("2026-03-01T01:00")),
    ]
    assert days_until(NOON, NOON) == []


def test_of_a_day_and_a_month_that_are_spent_the_one_that_lasts_longer_is_told() -> None:
    both = Budget(usd_per_day=10.0, usd_per_month=100.0)
    told = budgets_now("acme", both, Spent(day_usd=12.0, month_usd=120.0), now_ms=NOON, warn_at=0.8)
    decided = deciding(told, "stopped")
    assert decided is not None
    assert decided.period == "month"
    assert deciding(told, "warned") is None


def test_a_note_speaks_of_its_budget_however_much_is_spent_since_and_of_no_other() -> None:
    def now(limit: float, spent: float, now_ms: int = NOON) -> bool:
        budget = budgets_now("a", Budget(usd_per_day=limit), Spent(day_usd=spent), now_ms=now_ms, warn_at=0.8)
        return is_noted(note, budget[0])

    note = note_of(budgets_now("a", DAILY, Spent(day_usd=10.5), now_ms=NOON, warn_at=0.8)[0])
    assert now(10.0, 14.0)
    assert now(10.0, 3.0)
    assert not now(20.0, 14.0)
    assert not now(10.0, 14.0, NOON + 86_400_000)
