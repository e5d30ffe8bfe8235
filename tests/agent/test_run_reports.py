"""What a run took reaches the cell with its end, in the same call, whichever way it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from northstar.agent.readiness import EngineNotReady
from northstar.connectors.errors import EngineFailed
from northstar.domain.events import EventId
from northstar.domain.jobs import ClaimedJob, RetryRule
from northstar.domain.machines import MachineDescription
from northstar.domain.progress import Progress
from northstar.domain.run_reports import REPORT_BYTES, RunReport, from_wire
from northstar.store.events import read_events
from northstar.store.messages import Done, Failure, Held
from tests.agent.rig import PROFILE, Rig, Runs, soon

AT_ONCE = RetryRule(max_attempts=2, backoff_s=0, backoff_cap_s=0)


class Telling(Runs):
    """Runs that say what they do before they wait."""

    async def run(self, job: ClaimedJob, report: Callable[[Progress], None]) -> str:
        report(Progress(phase="fetching", model="m", bytes_done=5))
        report(Progress(phase="running"))
        return await super().run(job, report)


@pytest_asyncio.fixture
async def rig(either_rig: Rig) -> Rig:
    return either_rig


@pytest_asyncio.fixture(autouse=True)
async def dispatcher(rig: Rig) -> AsyncIterator[None]:
    async with rig.dispatching():
        yield


async def ends(rig: Rig, kind: str) -> list[dict[str, Any]]:
    """What the events of this kind say."""
    found = await read_events(rig.cell.client, rig.cell.keys, after=EventId(0, 0))
    return [event.data for event in found if event.kind == kind]


def read(data: dict[str, Any]) -> RunReport:
    report = from_wire(data["report"])
    assert report is not None
    return report


async def test_a_result_says_what_its_run_took(rig: Rig) -> None:
    runs = Telling()
    async with rig.working(rig.worker(await rig.link(), runs)):
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        runs.finish("a")
        await rig.becomes("a", "succeeded")
    (data,) = await ends(rig, "job.succeeded")
    assert (data["machine"], data["claim"], read(data).fetched_bytes) == ("m", 1, 5)
    assert read(data).running_s > 0


async def test_every_failure_says_what_its_run_took(rig: Rig) -> None:
    runs = Telling()
    async with rig.working(rig.worker(await rig.link(), runs)):
        await rig.submit("a", retry=AT_ONCE)
        runs.fail("a", EngineFailed("out of paper", service="waits"))
        await rig.becomes("a", "failed")
    (first,), (last,) = await ends(rig, "job.retrying"), await ends(rig, "job.failed")
    assert [(one["machine"], one["claim"], read(one).fetched_bytes) for one in (first, last)] == [
        ("m", 1, 5),
        ("m", 2, 5),
    ]


async def test_a_job_that_is_handed_back_says_what_its_run_took(rig: Rig) -> None:
    runs = Telling()
    async with rig.working(rig.worker(await rig.link(), runs)):
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a came")
        runs.fail("a", EngineNotReady("waits", reason="its engine died"))
        await soon(lambda: len(runs.ids) > 1, "a came again")
    data = (await ends(rig, "job.returned"))[0]
    assert (data["because"], read(data).fetched_bytes) == ("the engine takes no work now", 5)


async def test_what_a_machine_gives_back_when_it_stops_says_what_its_run_took(rig: Rig) -> None:
    runs = Telling()
    async with rig.working(rig.worker(await rig.link(), runs, drain_s=0.1)):
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
    (data,) = await ends(rig, "job.returned")
    assert (data["because"], read(data).fetched_bytes) == ("machine stops", 5)


@pytest.mark.parametrize("either_rig", ["dialling"], indirect=True)
@pytest.mark.parametrize("report", ['{"running_s":-5}', "no report", "x" * (REPORT_BYTES + 1), '{"running_s":1,"x":2}'])
async def test_what_a_stranger_reports_is_bounded_and_costs_nobody_a_result(rig: Rig, report: str) -> None:
    """A report that is none is dropped; the result that came with it is kept."""
    link = await rig.joined()
    await rig.submit("a", "b", "c")
    done, failed, returned = (await link.claim(credits_=3)).jobs
    (outcome,) = await link.complete([Done(done.id, done.token, "1", report)])
    assert outcome.word == "ok"
    failure = Failure(failed.id, failed.token, "NS_BOOM", "it broke", retryable=False, jitter=0.5, report=report)
    assert [one.word for one in await link.fail([failure])] == ["failed"]
    assert [one.word for one in await link.release([Held(returned.id, returned.token, report)], because="x")] == ["ok"]
    kept = [
        data.get("report") for kind in ("succeeded", "failed", "returned") for data in await ends(rig, f"job.{kind}")
    ]
    assert kept == ['{"running_s":1.0}' if report.endswith('"x":2}') else None] * 3


async def test_an_agent_that_reports_nothing_is_served_as_before(rig: Rig) -> None:
    """Agents of a version before reports send none."""
    link = await rig.joined()
    await link.register(PROFILE, MachineDescription(), slots=4, models=())
    await rig.submit("a")
    (job,) = (await link.claim(credits_=1)).jobs
    await link.complete([Done(job.id, job.token, "1")])
    (data,) = await ends(rig, "job.succeeded")
    assert sorted(data) == ["attempt", "claim", "machine", "started_ms"]
