"""What machine time was spent on, and what of it was idle."""

from __future__ import annotations

import itertools

import pytest

from northstar.domain.machines import MachineDescription
from northstar.store.history import CostReader, HistoryDatabase, HistoryWriter
from northstar.store.history.cost_reader import CostsBy, RunningWork
from northstar.store.history.errors import HistoryQueryInvalid
from northstar.store.history.machine_rows import Presence, presences_of
from tests.store.history.conftest import writer_for
from tests.store.history.workplace import NOON_MS, Workplace

HOUR_MS = 3_600_000
DEAR = MachineDescription(gpu="NVIDIA H200", region="eu", price_usd_per_hour=4.0)


@pytest.fixture
def costs(workplace: Workplace, database: HistoryDatabase) -> CostReader:
    return CostReader(database, cell=workplace.name)


async def hour_of_work(workplace: Workplace, *job_ids: str, machine: str, hours: float = 1.0, **fields: str) -> None:
    await workplace.submit(*job_ids, machine=machine, **fields)
    claimed = await workplace.claim(len(job_ids), machine=machine)
    workplace.later(int(hours * HOUR_MS))
    await workplace.complete(claimed, machine=machine)


async def test_a_job_costs_its_share_of_the_machine_and_the_rest_is_idle(
    workplace: Workplace, writer: HistoryWriter, costs: CostReader
) -> None:
    """Issue: "`northstar costs` (per job, tenant, pool, model; idle apart)"."""
    await workplace.register("dear", said=DEAR)
    await hour_of_work(workplace, "a", "b", machine="dear", tenant="ada")
    await hour_of_work(workplace, "c", machine="dear", tenant="bob")
    workplace.later(2 * HOUR_MS)
    await workplace.lose("dear", lost=False)
    await workplace.lose("m", lost=False)
    await writer.step()
    told = await costs.costs(since_ms=NOON_MS, until_ms=NOON_MS + 4 * HOUR_MS)
    assert [(name, bill.runs, bill.hours, bill.usd) for name, bill in told.by] == [
        ("ada", 2, 1.0, 4.0),
        ("bob", 1, 1.0, 4.0),
    ]
    by_job = await costs.costs(since_ms=NOON_MS, until_ms=NOON_MS + 4 * HOUR_MS, by="job")
    assert [(name, bill.usd) for name, bill in by_job.by] == [("c", 4.0), ("a", 2.0), ("b", 2.0)]
    # Machine m was there for four hours and nobody said its price: not nothing.
    assert (told.busy.usd, told.idle.usd, told.idle.hours, told.idle.unpriced_h) == (8.0, 8.0, 6.0, 4.0)
    assert told.machines == 2


async def test_a_tenant_is_told_its_share_of_the_machine_and_no_names_of_others(
    workplace: Workplace, writer: HistoryWriter, costs: CostReader
) -> None:
    """Two tenants side by side for an hour: each pays half of it, whoever asks."""
    await workplace.register("dear", said=DEAR)
    await workplace.submit("a", machine="dear", tenant="ada")
    await workplace.submit("b", machine="dear", tenant="bob")
    claimed = await workplace.claim(2, machine="dear")
    workplace.later(HOUR_MS)
    await workplace.complete(claimed, machine="dear")
    await writer.step()
    whole = await costs.costs(since_ms=NOON_MS, until_ms=NOON_MS + HOUR_MS, by="job")
    ada = await costs.costs(since_ms=NOON_MS, until_ms=NOON_MS + HOUR_MS, by="job", tenant="ada")
    assert [(name, bill.usd) for name, bill in whole.by] == [("a", 2.0), ("b", 2.0)]
    assert [(name, bill.usd) for name, bill in ada.by] == [("a", 2.0)]
    assert (ada.busy.runs, ada.busy.usd) == (1, 2.0)
    assert ada.idle.hours == whole.idle.hours
    nobody = await costs.costs(since_ms=NOON_MS, until_ms=NOON_MS + HOUR_MS, tenant="eve")
    assert (nobody.by, nobody.busy.runs) == ([], 0)


async def test_shares_are_the_same_however_many_runs_are_in_memory(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter, costs: CostReader
) -> None:
    """Pages end between runs that go side by side, and between machines."""
    await workplace.register("dear", said=DEAR)
    for number in range(3):
        names = [f"{letter}{number}" for letter in "abc"]
        await hour_of_work(workplace, *names, machine="dear", hours=0.5)
        await hour_of_work(workplace, f"m{number}", machine="m", hours=0.25)
    await writer.step()
    until_ms = NOON_MS + 3 * HOUR_MS
    whole = await costs.costs(since_ms=NOON_MS + 1, until_ms=until_ms, by="job")
    paged = CostReader(database, cell=workplace.name, page=2)
    assert await paged.costs(since_ms=NOON_MS + 1, until_ms=until_ms, by="job") == whole
    assert (len(whole.by), whole.busy.runs) == (12, 12)


async def test_only_the_part_within_the_time_counts(
    workplace: Workplace, writer: HistoryWriter, costs: CostReader
) -> None:
    await workplace.register("dear", said=DEAR)
    await hour_of_work(workplace, "a", machine="dear", hours=2.0)
    await writer.step()
    told = await costs.costs(since_ms=NOON_MS + HOUR_MS // 2, until_ms=NOON_MS + HOUR_MS)
    assert (told.busy.hours, told.busy.usd) == (0.5, 2.0)


async def test_what_a_killed_machine_was_paid_for_is_counted(
    workplace: Workplace, database: HistoryDatabase, costs: CostReader
) -> None:
    """A spot machine costs until it is lost, and what it had begun costs too."""
    await workplace.register("dear", said=DEAR)
    await workplace.submit("a", machine="dear")
    await workplace.claim(machine="dear")
    await writer_for(workplace, database).step()
    workplace.later(HOUR_MS)
    await workplace.tick()
    await writer_for(workplace, database).step()
    told = await costs.costs(since_ms=NOON_MS, until_ms=NOON_MS + 2 * HOUR_MS, by="machine")
    assert [(name, bill.usd) for name, bill in told.by] == [("dear", 4.0)]
    assert told.idle.usd == 0.0


async def test_a_machine_that_comes_back_is_paid_for_twice_and_not_in_between(
    workplace: Workplace, database: HistoryDatabase, costs: CostReader
) -> None:
    for _ in range(2):
        await workplace.register("dear", said=DEAR)
        await writer_for(workplace, database).step()
        workplace.later(HOUR_MS)
        await workplace.lose("dear")
        await writer_for(workplace, database).step()
        workplace.later(HOUR_MS)
    told = await costs.costs(since_ms=NOON_MS, until_ms=NOON_MS + 4 * HOUR_MS)
    assert told.idle.usd == 8.0


async def test_a_price_that_is_said_later_holds_for_the_whole_stay(
    workplace: Workplace, database: HistoryDatabase, costs: CostReader
) -> None:
    await workplace.register("dear", said=MachineDescription())
    await writer_for(workplace, database).step()
    workplace.later(HOUR_MS)
    await workplace.register("dear", said=DEAR)
    await writer_for(workplace, database).step()
    told = await costs.costs(since_ms=NOON_MS, until_ms=NOON_MS + HOUR_MS)
    assert told.idle.usd == 4.0


@pytest.mark.parametrize("by", ["job", "tenant", "user", "pool", "model", "machine", "gpu_class"])
async def test_costs_can_be_told_by_all_that_matters(
    workplace: Workplace, writer: HistoryWriter, costs: CostReader, by: CostsBy
) -> None:
    await workplace.register("dear", said=DEAR)
    await hour_of_work(workplace, "a", machine="dear", tenant="ada", user="u7")
    await writer.step()
    told = await costs.costs(since_ms=NOON_MS, until_ms=NOON_MS + HOUR_MS, by=by)
    names = {"job": "a", "tenant": "ada", "user": "u7", "pool": "fast", "machine": "dear", "gpu_class": "h200"}
    assert [(name, bill.usd) for name, bill in told.by] == [(names.get(by), 4.0)]


def at_work(job_id: str, *, claim: int = 1, machine: str = "dear", since_ms: int, tenant: str = "ada") -> RunningWork:
    return RunningWork(
        job_id=job_id, claim=claim, machine=machine, started_ms=since_ms, tenant=tenant, price_usd_per_hour=4.0
    )


async def test_what_runs_counts_beside_what_has_ended_each_with_its_share(
    workplace: Workplace, writer: HistoryWriter, costs: CostReader
) -> None:
    await workplace.register("dear", said=DEAR)
    await hour_of_work(workplace, "a", machine="dear", tenant="ada")
    await writer.step()
    half_past, until_ms = NOON_MS + HOUR_MS // 2, NOON_MS + 2 * HOUR_MS
    running = [
        at_work("b", since_ms=half_past, tenant="bob"),
        at_work("c", machine="elsewhere", since_ms=half_past, tenant="bob"),
        at_work("later", since_ms=until_ms, tenant="eve"),
    ]
    told = await costs.spent(since_ms=NOON_MS, until_ms=until_ms, running=running)
    # On `dear` a ran alone, then beside b, then b alone: 0.75 and 1.25 hours; c had another machine to itself.
    assert {name: bill.usd for name, bill in told.by_tenant.items()} == {"ada": 3.0, "bob": 5.0 + 6.0}


async def test_a_run_that_has_ended_since_it_was_seen_at_work_counts_once(
    workplace: Workplace, writer: HistoryWriter, costs: CostReader
) -> None:
    await workplace.register("dear", said=DEAR)
    await hour_of_work(workplace, "a", machine="dear", tenant="ada")
    await writer.step()
    until_ms = NOON_MS + 2 * HOUR_MS
    again = [at_work("a", since_ms=NOON_MS), at_work("a", claim=2, since_ms=NOON_MS + HOUR_MS)]
    told = await costs.spent(since_ms=NOON_MS, until_ms=until_ms, running=again)
    # The first claim is the run that ended; the second one is another run of the same job.
    assert told.by_tenant["ada"].usd == 8.0


async def test_two_stretches_of_time_cost_what_both_together_cost(
    workplace: Workplace, writer: HistoryWriter, costs: CostReader
) -> None:
    await workplace.register("dear", said=DEAR)
    await hour_of_work(workplace, "a", "b", machine="dear", tenant="ada")
    await hour_of_work(workplace, "c", machine="dear", tenant="bob")
    await writer.step()
    ends = [NOON_MS, NOON_MS + HOUR_MS // 3, NOON_MS + HOUR_MS + 7, NOON_MS + 3 * HOUR_MS]
    running = [at_work("d", since_ms=NOON_MS + HOUR_MS // 2, tenant="eve")]
    whole = await costs.spent(since_ms=ends[0], until_ms=ends[-1], running=running)
    parts = [
        await costs.spent(since_ms=since, until_ms=until, running=running) for since, until in itertools.pairwise(ends)
    ]
    for tenant, bill in whole.by_tenant.items():
        assert sum(part.by_tenant[tenant].usd for part in parts if tenant in part.by_tenant) == pytest.approx(bill.usd)
    assert sum(part.fleet.usd for part in parts) == pytest.approx(whole.fleet.usd)


async def test_a_time_that_ends_before_it_begins_is_refused(costs: CostReader) -> None:
    with pytest.raises(HistoryQueryInvalid, match="does not lie after since_ms"):
        await costs.costs(since_ms=5, until_ms=5)


def test_a_machine_that_works_without_having_come_came_when_it_began_to() -> None:
    """As in a history that begins, or goes on after a gap, while machines are at work."""
    from northstar.domain.events import Event, EventId

    def event(kind: str, subject: str, at_ms: int, **data: object) -> Event:
        return Event(id=EventId(1, at_ms), kind=kind, subject=subject, number=1, at_ms=at_ms, data=data)

    events = [
        event("job.started", "a", 5, machine="m"),
        event("machine.registered", "m", 6),
        event("machine.lost", "m", 9),
        event("machine.lost", "other", 9),
        event("machine.registered", "m", 12),
    ]
    assert presences_of(events, {"other": 2}) == [
        Presence(machine="m", since_ms=5, until_ms=9),
        Presence(machine="other", since_ms=2, until_ms=9),
        Presence(machine="m", since_ms=12),
    ]
