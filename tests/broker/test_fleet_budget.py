"""The fleet's budget in a real cell: one for all brokers, by the pause that follows from it, and what operators do beside that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from northstar.broker import pauses
from northstar.broker.cell_status import read_status
from northstar.broker.fleet_budget import standing_budget
from northstar.broker.missing_machines import MissingMachinesReader
from northstar.domain.audit import act_of
from northstar.domain.budgets import FLEET, NORTH_STAR
from northstar.domain.refusals import TooManyDocuments
from northstar.store.documents import DocumentUnreadable, WantedDocument, put_documents
from northstar.store.pauses import Pause, read_pauses
from tests.broker.budget_house import EVENING_MS, House, house

__all__ = ["house"]

#: What an operator is told to do where it is spent.
RAISE = "northstar budget set --usd-per-day USD"
TO_MIDNIGHT_S = 86_400 - (EVENING_MS // 1000) % 86_400


# The fleet's budget -----------------------------------------------------------------------------------------------------


async def test_the_fleets_budget_pauses_the_cell_and_says_why(house: House) -> None:
    await house.fleet(20)
    await house.machine(slots=2)
    await house.submit("a", tenant="ada")
    running = await house.claim()
    await house.submit("b", tenant="bob")
    house.later(20)
    await house.look()
    (pause,) = await house.pauses()
    assert (pause.scope, pause.by) == ("cell", NORTH_STAR)
    # Every tenant reads it, so it does not tell what the fleet costs; operators do.
    assert pause.because.startswith(
        "NS_BUDGET_SPENT: the fleet's budget of this day is spent, so nothing new begins until 2023-11-15"
    )
    assert house.broker.stops.all[FLEET].because.startswith(
        "NS_BUDGET_SPENT: the budget of the fleet, 20.00 USD a day, is spent"
    )
    status = await read_status(house.cell, MissingMachinesReader(house.cell), lanes=10)
    assert [one.command for one in status.troubles if "BUDGET" in one.what] == [RAISE]
    assert await house.claimed() == []
    told = await house.explained("b")
    assert told.place is not None
    assert told.place.why.startswith("cell is paused (NS_BUDGET_SPENT: the fleet's budget")
    assert RAISE in {one.command for one in told.actions}
    assert not any("resume" in one.command for one in told.actions)
    await house.complete(running)
    await house.fleet(50)
    await house.look()
    assert (await house.pauses(), await house.claimed()) == ([], ["b"])


async def test_the_fleets_budget_begins_anew_with_the_day(house: House) -> None:
    await house.fleet(20)
    await house.machine()
    await house.submit("a", tenant="ada")
    house.later(20)
    await house.look()
    house.later(TO_MIDNIGHT_S - 20)
    await house.look()
    assert (await house.pauses(), await house.claimed()) == ([], ["a"])


async def test_a_pause_of_an_operator_is_left_as_it_is(house: House) -> None:
    await house.fleet(20)
    await house.machine()
    await house.submit("a", tenant="ada")
    await pauses.pause(house.cell, "cell", because="repairs", by="ann@host")
    house.later(20)
    await house.look()
    await house.fleet(0)
    await house.look()
    (pause,) = await house.pauses()
    assert (pause.because, pause.by, await house.claimed()) == ("repairs", "ann@host", [])


async def test_an_operator_may_pause_what_a_budget_has_paused_and_it_stays(house: House) -> None:
    await house.fleet(20)
    await house.machine()
    house.later(20)
    await house.look()
    assert await pauses.pause(house.cell, "cell", because="repairs", by="ann@host")
    assert not await pauses.pause(house.cell, "cell", because="again", by="bob@host")
    events = await house.events()
    assert "cell.resumed" not in {event.kind for event in events}, "nothing is given out in between"
    acts = [act for event in events if (act := act_of(event)) is not None]
    assert ("cell.paused", "cell", "ann@host") in {(act.act, act.subject, act.by) for act in acts}
    await house.fleet(0)
    await house.look()
    assert [(pause.because, pause.by) for pause in await house.pauses()] == [("repairs", "ann@host")]
    assert await pauses.resume(house.cell, "cell", by="ann@host")
    assert await house.pauses() == []


async def test_what_was_taken_over_once_says_nothing_of_a_later_pause(house: House) -> None:
    await house.fleet(20)
    await house.machine()
    await house.submit("a", tenant="ada")
    house.later(20)
    await house.look()
    await pauses.pause(house.cell, "cell", because="repairs", by="ann@host")
    await house.cell.resume("cell", by="ann@host")  # as an earlier version does it
    house.later(1)
    await house.look()
    assert [pause.by for pause in await house.pauses()] == [NORTH_STAR]
    await house.fleet(0)
    await house.look()
    assert (await house.pauses(), await house.claimed()) == ([], ["a"])


@pytest.mark.parametrize("ends", ["before", "after"])
async def test_an_operator_who_pauses_in_the_moment_in_which_the_budget_is_there_again_has_it_paused(
    house: House, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """The budget's pause was seen by one of the two before the other ended it, or took it over."""
    await house.fleet(20)
    await house.machine()
    house.later(20)
    await house.look()

    async def then(*asked: Any) -> list[Pause]:
        found = await read_pauses(*asked)
        monkeypatch.setattr(pauses, "read_pauses", read_pauses)
        if ends == "before":
            await pauses.resume_after_budget(house.cell)
        else:
            await pauses.pause(house.cell, "cell", because="repairs", by="ann@host")
        return found

    monkeypatch.setattr(pauses, "read_pauses", then)
    if ends == "before":
        assert await pauses.pause(house.cell, "cell", because="repairs", by="ann@host")
    else:
        await pauses.resume_after_budget(house.cell)
    assert [(one.because, one.by) for one in await house.pauses()] == [("repairs", "ann@host")]


async def test_ended_by_an_operator_a_spent_budget_pauses_the_cell_again(house: House) -> None:
    await house.fleet(20)
    await house.machine()
    house.later(20)
    await house.look()
    await pauses.resume(house.cell, "cell", by="ann@host")
    await house.look()
    assert [pause.by for pause in await house.pauses()] == [NORTH_STAR]


# One truth ---------------------------------------------------------------------------------------------------------------


async def test_the_first_broker_with_a_budget_says_it_for_the_cell_and_one_without_follows(house: House) -> None:
    first = house.started(20)
    await house.look(first)
    await house.machine()
    house.later(30)
    await house.look(first)
    assert [pause.by for pause in await house.pauses()] == [NORTH_STAR]
    for broker in (house.started(), first, house.started()):
        seen = await house.look(broker)
        assert ([one.limit_usd for one in seen.budgets], len(await house.pauses())) == ([20], 1)


async def test_the_cells_budget_holds_whatever_another_brokers_settings_say_and_that_is_named(house: House) -> None:
    await house.look(house.started(20))
    with structlog.testing.capture_logs() as told:
        other = house.started(100)
        seen = await house.look(other)
        await house.look(other)
    assert [one.limit_usd for one in seen.budgets] == [20]
    (line,) = [one for one in told if one["event"] == "budget_differs"]
    assert line["code"] == "NS_BUDGET_DIFFERS"
    assert "100 USD a day" in line["error"]
    assert "the cell says: 20 USD a day" in line["error"]


async def test_of_two_first_brokers_one_says_it(house: House) -> None:
    both = [house.started(20), house.started(100)]
    await house.writer.step()
    seen = await asyncio.gather(*(broker.keeper.step() for broker in both))
    again = [await broker.keeper.step() for broker in both]
    (limit,) = {one.limit_usd for look in again for one in look.budgets}
    assert limit in {20, 100}
    assert {one.limit_usd for look in seen for one in look.budgets} == {limit}


async def test_where_the_cell_has_no_room_for_the_budget_of_settings_tenants_budgets_are_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise TooManyDocuments({"limit": "10000"})

    await house.agree(ada=10)
    broker = house.started(20)
    with monkeypatch.context() as patched, structlog.testing.capture_logs() as told:
        patched.setattr("northstar.broker.budgets.seed_fleet_budget", full)
        looks = [await house.look(broker) for _ in range(3)]
    assert [[one.limit_usd for one in look.budgets] for look in looks] == [[10]] * 3
    assert [one["event"] for one in told if one["log_level"] == "warning"] == ["budget_of_settings_not_in_force"]
    assert [one.limit_usd for one in (await house.look(broker)).budgets] == [20, 10]


async def test_a_budget_that_was_lifted_stays_lifted_whoever_starts(house: House) -> None:
    await house.look(house.started(20))
    await house.machine()
    await house.submit("a", tenant="ada")
    house.later(30)
    await house.look()
    assert await house.claimed() == []
    await house.fleet(0)
    seen = await house.look(house.started(20))
    assert (seen.budgets, await house.pauses(), await house.claimed()) == ((), [], ["a"])


async def test_what_a_newer_version_wrote_stops_nothing_that_holds_and_can_be_replaced(house: House) -> None:
    newer = WantedDocument(kind="budget", name="current", body='{"usd_per_day": "all of it"}')
    await put_documents(house.cell, [newer], by="ann@host")
    with pytest.raises(DocumentUnreadable, match="budget current"):
        await house.look(house.started(20))
    standing = await standing_budget(house.cell)
    assert (standing.budget, standing.by) == (None, "ann@host")
    await house.fleet(10)
    assert [one.limit_usd for one in (await house.look()).budgets] == [10]
