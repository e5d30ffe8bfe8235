"""Budgets in a real cell: what is spent, what stops, what goes on, and how far it can go beyond."""

from __future__ import annotations

import pytest
import structlog

from northstar.broker.cell_status import read_status
from northstar.broker.dead_letters import DeadLetters
from northstar.broker.missing_machines import MissingMachinesReader
from northstar.domain.audit import act_of
from northstar.domain.budgets import FLEET, NORTH_STAR
from northstar.domain.jobs import ClaimedJob
from northstar.domain.requirements import Requirements
from northstar.domain.tenancy import Tenants, TenantTerms
from northstar.store.documents import WantedDocument, put_documents
from northstar.store.history import CostReader
from tests.agent.rig import nonce
from tests.broker.budget_house import EVENING_MS, HOUR_S, Broker, House, house

__all__ = ["house"]

TO_MIDNIGHT_S = 86_400 - (EVENING_MS // 1000) % 86_400


def spent(house: House, tenant: str, broker: Broker | None = None) -> float:
    (budget,) = (broker or house.broker).keeper.seen.of(tenant)
    return round(budget.spent_usd, 3)


# What is spent ----------------------------------------------------------------------------------------------------------


async def test_what_runs_has_cost_something_already_and_costs_the_same_once_it_has_ended(house: House) -> None:
    await house.agree(ada=100, bob=100)
    await house.machine(slots=2)
    await house.submit("a", tenant="ada")
    await house.submit("b", tenant="bob")
    running = await house.claim(2)
    house.later(10)
    await house.look()
    # Side by side they share the machine's time.
    assert (spent(house, "ada"), spent(house, "bob")) == (5, 5)
    await house.complete([job for job in running if job.id == "a"])
    house.later(10)
    await house.look()
    assert (spent(house, "ada"), spent(house, "bob")) == (5, 15)
    await house.complete([job for job in running if job.id == "b"])
    await house.look()
    assert (spent(house, "ada"), spent(house, "bob")) == (5, 15)


async def test_look_by_look_it_adds_up_to_what_costs_tells(house: House) -> None:
    """A broker that has looked all the time, and one that starts now, find the same, and `northstar costs` tells it."""
    await house.agree(ada=1_000, bob=1_000)
    await house.fleet(10_000)
    await house.machine(slots=3)
    for number, tenant in enumerate(["ada", "bob", "ada", "ada"]):
        await house.submit(f"j{number}", tenant=tenant)
        running = await house.claim(3)
        house.later(3)
        await house.look()
        house.later(4)
        if number % 2:
            await house.complete(running)
        await house.look()
    await house.cell.cancel((await house.cell.list_jobs("leases")).jobs, because="the test ends")
    await house.look()
    new = Broker(house)
    await house.look(new)
    assert (spent(house, "ada"), spent(house, "bob")) == (spent(house, "ada", new), spent(house, "bob", new))
    assert house.cell.now_ms is not None
    told = await CostReader(house.database, cell=house.cell.name).costs(
        since_ms=EVENING_MS - 1, until_ms=house.cell.now_ms
    )
    assert {name: round(bill.usd, 3) for name, bill in told.by} == {
        "ada": spent(house, "ada"),
        "bob": spent(house, "bob"),
    }
    assert spent(house, FLEET) == round(told.busy.usd + told.idle.usd, 3) == 28


async def test_the_fleet_costs_also_while_it_does_nothing(house: House) -> None:
    await house.fleet(1_000)
    await house.machine("m")
    await house.machine("n", usd_per_hour=0)
    house.later(100)
    seen = await house.look()
    (fleet,) = seen.of(FLEET)
    assert (fleet.spent_usd, round(fleet.hours_without_price * HOUR_S)) == (100, 100)


async def test_without_any_budget_nobody_adds_anything_up(house: House) -> None:
    await house.machine()
    house.later(100)
    seen = await house.look()
    assert (seen.at_ms, seen.budgets, await house.pauses()) == (0, (), [])


# A tenant's budget ------------------------------------------------------------------------------------------------------


async def test_a_spent_budget_holds_its_tenants_jobs_and_nobody_elses(house: House) -> None:
    """Issue: "budget stop per tenant and fleet that halts new claims with a reason"."""
    await house.agree(ada=10)
    await house.machine(slots=2)
    await house.submit("a1", "a2", tenant="ada")
    running = await house.claim(1)
    await house.submit("b1", "b2", tenant="bob")
    house.later(8)
    (warned,) = (await house.look()).budgets
    assert (warned.level, house.broker.stops.all) == ("warned", {})
    house.later(2)
    (stopped,) = (await house.look()).budgets
    assert (stopped.level, stopped.spent_usd) == ("stopped", 10)
    # What waited and what comes now is held; what runs goes on; others have the machine.
    (late,) = await house.submit("a3", tenant="ada")
    assert late.decision is not None
    assert late.decision.unservable.startswith("NS_BUDGET_SPENT: the budget of tenant ada, 10.00 USD a day, is spent")
    assert [one.command for one in late.actions] == ["northstar tenants show ada", "northstar costs"]
    assert await house.claimed() == ["b1"]
    await house.complete(running)
    assert await house.claimed(2) == ["b2"]
    assert [job.record.status for job in (await house.cell.inspect(["a1", "a2", "a3"])).jobs] == [
        "succeeded",
        "queued",
        "queued",
    ]


async def test_a_held_job_says_why_wherever_it_is_asked(house: House) -> None:
    await house.agree(ada=10)
    await house.machine()
    await house.submit("a1", "a2", tenant="ada")
    await house.claim()
    house.later(10)
    await house.writer.step()
    await house.broker.keeper.step()
    because = "NS_BUDGET_SPENT: the budget of tenant ada, 10.00 USD a day, is spent (10.00 USD)"
    told = await house.explained("a2")
    assert told.unservable.startswith(because)
    assert told.place is not None
    assert told.place.why == told.unservable
    assert [one.command for one in told.actions] == ["northstar tenants show ada", "northstar costs"]
    status = await read_status(house.cell, MissingMachinesReader(house.cell), lanes=10)
    assert [(one.whose, one.level, one.period) for one in status.budgets] == [("ada", "stopped", "day")]
    # It is told once, as the budget that is spent, and not as work for which a machine is missing.
    assert [one.what.startswith(because) for one in status.troubles if "broker" not in one.what] == [True]
    events = await house.events()
    (moved,) = [one for one in events if one.kind == "job.rerouted"]
    assert (moved.subject, moved.data["because"].startswith(because)) == ("a2", True)
    acts = [act for event in events if (act := act_of(event)) is not None]
    assert [(act.act, act.subject, act.by) for act in acts] == [("budget.stopped", "ada", NORTH_STAR)]


async def test_raised_it_goes_on_where_it_stood(house: House) -> None:
    await house.agree(ada=10)
    await house.machine()
    await house.submit("a1", "a2", "a3", tenant="ada")
    await house.submit("urgent", tenant="ada", priority=90)
    running = await house.claim()
    assert [job.id for job in running] == ["urgent"]
    house.later(11)
    await house.look()
    await house.submit("a4", tenant="ada")
    await house.complete(running)
    assert await house.claimed() == []
    await house.agree(ada=20)
    await house.look()
    order = []
    for _ in range(4):
        running = await house.claim()
        order += [job.id for job in running]
        await house.complete(running)
    assert order == ["a1", "a2", "a3", "a4"]
    acts = [act for event in await house.events() if (act := act_of(event)) is not None]
    assert [act.act for act in acts] == ["budget.resumed"]


async def test_with_the_next_day_it_goes_on(house: House) -> None:
    await house.agree(ada=10)
    await house.machine()
    await house.submit("a1", "a2", tenant="ada")
    running = await house.claim()
    house.later(10)
    await house.look()
    await house.complete(running)
    house.later(TO_MIDNIGHT_S - 11)
    await house.look()
    assert await house.claimed() == []
    house.later(1)
    await house.look()
    assert (spent(house, "ada"), await house.claimed()) == (0, ["a2"])


async def test_what_runs_over_midnight_costs_each_day_its_part(house: House) -> None:
    await house.agree(ada=10_000)
    await house.machine()
    await house.submit("a", tenant="ada")
    house.later(TO_MIDNIGHT_S - 5)
    running = await house.claim()
    house.later(5)
    await house.look()
    house.later(7)
    await house.complete(running)
    await house.look()
    assert spent(house, "ada") == 7
    new = Broker(house)
    seen = await house.look(new)
    assert [one.spent_usd for one in seen.budgets] == [7]
    assert new.keeper.seen.fleet is not None
    assert round(new.keeper.seen.fleet.month_usd) == TO_MIDNIGHT_S + 7


async def test_a_stop_does_not_end_because_the_history_is_behind(house: House) -> None:
    await house.agree(ada=10)
    await house.machine()
    await house.submit("a1", "a2", tenant="ada")
    running = await house.claim()
    house.later(10)
    await house.look()
    await house.complete(running)
    # A broker that starts now knows of nothing that was spent, and leaves the stop.
    new = Broker(house)
    seen = await new.keeper.step()
    assert [one.level for one in seen.budgets] == ["within"]
    assert (list(new.stops.all), await house.claimed()) == (["ada"], [])


async def test_a_retry_is_held_while_it_pauses_and_released_there(house: House) -> None:
    await house.agree(ada=10)
    await house.machine()
    await house.submit("a1", tenant="ada")
    (running,) = await house.claim()
    house.later(10)
    await house.fail(running)
    await house.look()
    house.later(300)
    await house.cell.tick(nonce=nonce())
    assert await house.claimed() == []
    assert (await house.explained("a1")).unservable.startswith("NS_BUDGET_SPENT")
    await house.agree()
    await house.look()
    assert await house.claimed() == ["a1"]


async def test_one_that_cannot_come_back_keeps_no_other_from_it(house: House) -> None:
    await house.agree(ada=10, bob=10)
    await house.machine(slots=2)
    await house.submit("a1", "a2", tenant="ada")
    await house.submit("b1", "b2", tenant="bob")
    running = await house.claim(2)
    house.later(20)
    await house.look()
    await house.complete(running)
    # A region that nobody has declared: a job may not wait for it yet.
    house.tenants = Tenants(tenants={"ada": TenantTerms(regions=("mars",))})
    await house.look()
    assert await house.claimed(2) == ["b2"]
    assert (await house.explained("a2")).unservable != ""
    await house.cell.declare(["region:mars"], by="test")
    house.tenants = Tenants(tenants={})
    await house.look()
    assert await house.claimed() == ["a2"]


async def test_what_comes_back_from_a_machine_is_held_by_the_next_round(house: House) -> None:
    await house.agree(ada=10)
    await house.machine()
    await house.submit("a1", tenant="ada")
    await house.claim()
    house.later(10)
    await house.look()
    await house.cell.remove_machine("m", because="gone", lost=True, nonce=nonce())
    assert await house.broker.holds.step() == 1
    await house.machine("n")
    assert await house.claimed(machine="n") == []


async def test_a_dead_letter_is_replayed_to_where_it_is_held(house: House) -> None:
    await house.agree(ada=10)
    await house.machine()
    await house.submit("a1", tenant="ada")
    (running,) = await house.claim()
    house.later(10)
    for _ in range(3):
        await house.fail(running)
        house.later(600)
        await house.cell.tick(nonce=nonce())
        again = await house.claim()
        running = again[0] if again else running
    await house.look()
    letters = DeadLetters(house.cell, new_nonce=nonce, router=house.broker.router)
    assert await letters.replay(["a1"]) == {"a1": None}
    assert await house.claimed() == []
    assert (await house.explained("a1")).unservable.startswith("NS_BUDGET_SPENT")


async def test_nobody_else_moves_what_is_held(house: House) -> None:
    """Rerouting looks at all that waits where nobody serves it, and moves it to where somebody does."""
    await house.agree(ada=10)
    await house.machine()
    await house.submit("a1", "a2", tenant="ada")
    await house.claim()
    house.later(10)
    await house.look()
    assert await house.broker.rerouter.step() == 0
    assert (await house.explained("a2")).unservable.startswith("NS_BUDGET_SPENT")


async def test_of_a_long_queue_what_would_be_taken_next_is_held_first(house: House) -> None:
    """A round is bounded; the machines never get ahead of it while they take fewer jobs than it holds."""
    house.broker = Broker(house, looked_per_round=1, page=5)
    await house.agree(ada=10)
    await house.machine()
    await house.submit("first", tenant="ada")
    await house.submit(*(f"a{number}" for number in range(12)), tenant="ada")
    await house.submit("b", tenant="bob")
    running = await house.claim()
    house.later(10)
    await house.look()
    await house.complete(running)
    told = [(await house.explained(f"a{number}")).unservable[:15] for number in range(12)]
    assert told == ["NS_BUDGET_SPENT"] * 4 + [""] * 8
    assert not house.broker.holds.is_idle
    rounds = 0
    while await house.broker.holds.step():
        rounds += 1
    assert (rounds, await house.claimed()) == (2, ["b"])


async def test_a_round_holds_all_that_it_can_of_every_lane(house: House) -> None:
    house.broker = Broker(house, page=5)
    await house.agree(ada=10)
    await house.machine()
    await house.submit("first", tenant="ada")
    running = await house.claim()
    for lane, wanted in (("x", Requirements()), ("y", Requirements(tags=("edge",)))):
        jobs = [f"{lane}{number}" for number in range(17)]
        await house.submit(*jobs, tenant="ada", requires=wanted)
    house.later(10)
    await house.look()
    await house.complete(running)
    held = (await house.cell.inspect([*(f"x{n}" for n in range(17)), *(f"y{n}" for n in range(17))])).jobs
    assert ["$" in job.lane_key for job in held] == [True] * 34


@pytest.mark.parametrize("every_s", [pytest.param(1, marks=pytest.mark.long), 5])
async def test_a_budget_is_overspent_by_at_most_one_look_and_what_runs_then(house: House, every_s: int) -> None:
    """Documented: what the tenant's machines cost between two looks, and what jobs that run at the stop cost until they end."""
    budget, job_s, machines = 40.0, 7, ("m", "n", "o")
    await house.agree(ada=budget)
    for name in machines:
        await house.machine(name)
    await house.submit(*(f"a{number}" for number in range(20)), tenant="ada")
    at_work: dict[str, tuple[int, list[ClaimedJob]]] = {}
    for second in range(40):
        for name in machines:
            began, jobs = at_work.get(name, (0, []))
            if jobs and second - began >= job_s:
                await house.complete(jobs, machine=name)
                jobs = []
            if not jobs:
                at_work[name] = (second, await house.claim(machine=name))
        house.later(1)
        if second % every_s == every_s - 1:
            await house.look()
    await house.look()
    most = budget + len(machines) * (every_s + job_s)
    assert budget <= spent(house, "ada") <= most
    assert (await house.cell.statistics()).counts["leases_size"] == 0


# Several brokers --------------------------------------------------------------------------------------------------------


async def test_of_two_brokers_one_acts_and_both_know(house: House) -> None:
    other = Broker(house)
    await house.agree(ada=10)
    await house.fleet(1_000)
    await house.machine()
    await house.submit("a1", "a2", tenant="ada")
    running = await house.claim()
    house.later(10)
    await house.writer.step()
    await house.broker.keeper.step()
    await other.keeper.step()
    assert [one.data["name"] for one in await house.events() if one.data.get("kind") == "budget-stop"] == ["ada"]
    await house.submit("a3", tenant="ada", broker=other)
    await house.complete(running)
    assert await house.claimed() == []
    # The one that stopped them is gone; the other lets them go on.
    await house.agree(ada=100)
    await house.look(other)
    assert await house.claimed() == ["a2"]


async def test_what_a_broker_submits_that_has_not_heard_of_the_stop_is_held_by_the_next_round(house: House) -> None:
    other = Broker(house)
    await house.agree(ada=10)
    await house.machine()
    await house.submit("a1", tenant="ada")
    running = await house.claim()
    house.later(10)
    await house.look()
    await house.submit("a2", tenant="ada", broker=other)
    assert await house.broker.holds.step() == 1
    await house.complete(running)
    assert await house.claimed() == []


# What is heard ------------------------------------------------------------------------------------------------------------


async def test_documents_that_are_no_budgets_make_nobody_add_up(house: House) -> None:
    await house.agree(ada=10)
    await house.look()
    await put_documents(house.cell, [WantedDocument(kind="model", name="m", body="{}")], by="ann@host")
    assert not await house.broker.keeper.has_changed()
    # A budget of somebody's terms, or of the fleet: that is looked at again.
    await house.agree(ada=11)
    assert await house.broker.keeper.has_changed(is_rung=False)
    await house.look()
    await house.agree(ada=11, bob=0)
    assert not await house.broker.keeper.has_changed()
    await house.fleet(5)
    assert await house.broker.keeper.has_changed()


async def test_a_stop_that_another_broker_noted_is_followed_without_adding_up(house: House) -> None:
    other = Broker(house)
    await house.agree(ada=10)
    await house.machine()
    await house.submit("a1", "a2", tenant="ada")
    running = await house.claim()
    await house.look(other)
    house.later(10)
    await house.look()
    await house.submit("a3", tenant="ada", broker=other)
    assert not await other.keeper.has_changed()
    await house.complete(running)
    assert await house.claimed() == []
    assert [one.level for one in other.keeper.seen.budgets] == ["within"], "it has not looked at what was spent"


async def test_what_cannot_be_moved_is_said_once_and_not_in_each_round(house: House) -> None:
    await house.agree(ada=10)
    await house.machine()
    await house.submit("a1", "a2", tenant="ada")
    running = await house.claim()
    house.later(20)
    await house.look()
    await house.complete(running)
    house.tenants = Tenants(tenants={"ada": TenantTerms(regions=("mars",))})
    with structlog.testing.capture_logs() as told:
        for _ in range(5):
            await house.look()
    assert [one["event"] for one in told if one["log_level"] == "warning"] == ["budget_not_followed"]
