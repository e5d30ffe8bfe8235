"""`northstar budget`: the fleet's budget belongs to the cell; it is shown, set and lifted for all brokers, and only by those who say so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.northstar_command import SETTINGS, Northstar, RunningProcess


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Northstar, RunningProcess]]:
    northstar = Northstar(tmp_path_factory.mktemp("budget"), settings=SETTINGS + "[budget]\nusd_per_day = 50.0\n")
    with northstar.up("--no-machines") as process:
        yield northstar, process


def test_the_fleets_budget_is_shown_set_and_lifted(running: tuple[Northstar, RunningProcess]) -> None:
    northstar, process = running
    process.until(lambda: northstar.good("budget", "show")["version"] > 0, what="that of the settings is the cell's")
    first = northstar.good("budget", "show")
    assert (first["by"], first["budget"]["usd_per_day"]) == ("serve", 50)
    second = northstar.good("budget", "set", "--usd-per-month", "4000", "--warn-at", "0.5", "--yes")
    assert second["budget"] == {"usd_per_day": 50, "usd_per_month": 4000, "warn_at": 0.5}
    shown = northstar.run("budget", "show").out
    assert "50 USD a day and 4,000 USD a month, warned of at 50%" in shown
    assert second["by"] in shown
    again = northstar.run("budget", "set", "--usd-per-day", "50", "--yes")
    assert (again.code, "in force already" in again.out + again.err) == (0, True)
    lifted = northstar.good("budget", "lift", "--yes")
    assert lifted["budget"] == {"usd_per_day": 0, "usd_per_month": 0, "warn_at": 0.5}
    assert lifted["version"] > second["version"], "that it was lifted is said, and not forgotten"


def test_nothing_is_changed_unasked_or_without_a_word_of_what(running: tuple[Northstar, RunningProcess]) -> None:
    northstar, _ = running
    before = northstar.good("budget", "set", "--usd-per-day", "9", "--yes")
    for asked in (("set", "--usd-per-day", "5"), ("lift",)):
        answer = northstar.run("budget", *asked)
        assert answer.code != 0
        assert "NS_CONFIRMATION_NEEDED" in answer.err
        assert "now 9 USD a day" in answer.err
    empty = northstar.run("budget", "set", "--yes")
    assert (empty.code, "--usd-per-day" in empty.err) == (2, True)
    assert northstar.good("budget", "show") == before
