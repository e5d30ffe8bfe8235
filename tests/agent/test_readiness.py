"""A machine offers an engine only after it has answered, and not after it has failed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from northstar.agent.readiness import EngineHealth, EngineNotReady
from northstar.connectors.contract import ConnectorJob
from northstar.connectors.errors import EngineBusy, EngineFailed, EngineGone, EngineRejected
from northstar.connectors.simulated import SimulatedConnector, SimulatedSettings
from northstar.connectors.simulated_time import FixedTime
from northstar.domain.progress import Progress
from northstar.policy.fleet.breaker import HealthRule
from tests.virtual_time import VirtualTime, settle

RULE = HealthRule(first_pause_s=4.0, longest_pause_s=60.0, jitter=0.0, quarantine_s=900.0)


class Engine(SimulatedConnector):
    """A simulated engine whose warm-up a test can make fail, or hold."""

    def __init__(self, service: str, time: VirtualTime) -> None:
        settings = SimulatedSettings(service=service, run=FixedTime(seconds=10.0), restart_s=30.0)
        super().__init__(settings, sleep=time.sleep, clock=time.clock)
        self.warm_ups = 0
        self.trouble: Callable[[], Exception] | None = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def ready(self) -> None:
        self.warm_ups += 1
        await self.answers.wait()
        if self.trouble is not None:
            raise self.trouble()
        await super().ready()


class Machine:
    """A machine with a text and a picture engine, on a clock that the test moves."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.text = Engine("text", self.time)
        self.picture = Engine("picture", self.time)
        self.health = EngineHealth(
            {"text": self.text, "picture": self.picture},
            rule=RULE,
            clock=self.time.clock,
            sleep=self.time.sleep,
            jitter=lambda: 0.0,
            probe_within_s=5.0,
        )

    def offers(self) -> list[str]:
        return list(self.health.offered)

    def quarantine(self) -> str | None:
        return None if self.health.quarantine is None else self.health.quarantine.reason

    def job(self, number: int, **simulate: object) -> ConnectorJob:
        return ConnectorJob(id=f"j{number}", service="text", payload={"simulate": simulate}, workspace=Path("unused"))

    async def run(self, number: int = 0, **simulate: object) -> None:
        """Run a text job to its end on the guarded connector; raises what the job raises."""
        connector = self.health.connectors["text"]
        task = asyncio.ensure_future(connector.run(self.job(number, **simulate), hear_nothing))
        await self.time.finish(task)
        await task


def hear_nothing(_news: Progress) -> None:
    pass


@asynccontextmanager
async def at_work(machine: Machine) -> AsyncIterator[Machine]:
    task = asyncio.ensure_future(machine.health.run())
    await settle()
    try:
        yield machine
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_nothing_is_offered_before_its_engine_has_answered_a_warm_up() -> None:
    machine = Machine()
    assert machine.offers() == []
    machine.picture.trouble = lambda: EngineBusy("loading", service="picture")
    async with at_work(machine):
        assert machine.offers() == ["text"]
        assert machine.health.changed.is_set()
        machine.picture.trouble = None
        await machine.time.advance(4.0)
        assert machine.offers() == ["text", "picture"]


async def test_a_dead_engine_is_taken_out_at_once_and_comes_back_by_a_warm_up() -> None:
    async with at_work(Machine()) as machine:
        machine.health.changed.clear()
        with pytest.raises(EngineGone):
            await machine.run(fail="gone", fail_at=0.0)
        await settle()
        assert machine.offers() == ["picture"]
        assert machine.health.changed.is_set()
        with pytest.raises(
            EngineNotReady, match=r"text takes no work now \(NS_ENGINE_GONE: .*can run on another machine"
        ):
            await machine.health.admit("text", "j1")
        await machine.time.advance(40.0)  # the engine is back after 30 s, the probes came after 4, 8 and 16
        assert machine.offers() == ["text", "picture"]
        await machine.run(2)


async def test_an_engine_that_answers_every_warm_up_and_fails_every_job_ends_in_quarantine() -> None:
    async with at_work(Machine()) as machine:
        await machine.run(0)
        failures = 0
        while machine.quarantine() is None:
            await machine.time.advance(5.0)
            with pytest.raises(EngineFailed):
                await machine.run(failures, fail="failed")
            failures += 1
        assert failures == 5  # three in a row, and one after each of two returns
        assert machine.offers() == []
        assert "3 times taken out of work" in (machine.quarantine() or "")
        with pytest.raises(EngineNotReady, match="the machine is in quarantine"):
            await machine.health.admit("picture", "j")
        await machine.time.advance(901.0)
        assert machine.offers() == ["text", "picture"]


async def test_a_mended_machine_need_not_wait_for_the_end_of_its_quarantine() -> None:
    async with at_work(Machine()) as machine:
        for _ in range(3):
            machine.health.report_death("text", "its process ended with code 1")
            await settle()
            if machine.quarantine() is None:
                await machine.time.advance(5.0)
        assert machine.quarantine() is not None
        machine.health.repaired()
        await settle()
        assert machine.quarantine() is None
        assert machine.offers() == ["text", "picture"]


async def test_bad_requests_cancelled_jobs_and_faults_of_our_own_take_nothing_out() -> None:
    async with at_work(Machine()) as machine:
        for number in range(10):
            with pytest.raises(EngineRejected):
                await machine.run(number, fail="rejected")
            task = asyncio.ensure_future(machine.health.connectors["text"].run(machine.job(number), hear_nothing))
            await settle()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            with pytest.raises(OSError, match="no room"):
                async with machine.health.watched("text", f"w{number}"):
                    raise OSError("no room")
        assert machine.offers() == ["text", "picture"]
        assert machine.text.warm_ups == 1


async def test_doubtful_failures_ask_the_engine_once_and_work_waits_for_its_answer() -> None:
    async with at_work(Machine()) as machine:
        await machine.run(0)
        machine.text.answers.clear()
        for number in range(1, 4):
            with pytest.raises(Exception, match="is empty"):
                await machine.run(number, fail="empty")
        await settle()
        assert machine.offers() == ["picture"]
        admission = asyncio.ensure_future(machine.health.admit("text", "j4"))
        await settle()
        assert not admission.done()
        machine.text.answers.set()
        await settle()
        assert admission.done()
        assert machine.offers() == ["text", "picture"]
        assert machine.text.warm_ups == 2


async def test_a_warm_up_that_hangs_or_raises_anything_leaves_the_engine_out(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    machine.health._probe_within_s = 0.01
    machine.text.answers.clear()
    machine.picture.trouble = lambda: RuntimeError("a mistake of ours")
    async with at_work(machine):
        await asyncio.wait_for(machine_changed(machine, "text"), 5.0)
        why = {standing.service: standing.reason for standing in machine.health.standings}
    assert "no answer within 0.01 s" in why["text"]
    assert "RuntimeError: a mistake of ours" in why["picture"]
    assert machine.offers() == []


async def machine_changed(machine: Machine, service: str) -> None:
    while not any("did not answer" in one.reason for one in machine.health.standings if one.service == service):
        await asyncio.sleep(0.005)


async def test_jobs_that_began_before_the_return_say_nothing_about_the_time_after_it() -> None:
    async with at_work(Machine()) as machine:
        old = await machine.health.admit("text", "old")
        machine.health.report_death("text", "its process ended")
        await machine.time.advance(5.0)
        machine.health.report(old, EngineGone("the connection broke", service="text"))
        assert machine.offers() == ["text", "picture"]


async def test_a_service_that_this_machine_has_not_got_is_refused_by_name() -> None:
    with pytest.raises(EngineNotReady, match=r"video takes no work now \(there is no such engine"):
        await Machine().health.admit("video", "j")
