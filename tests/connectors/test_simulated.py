"""Simulated work: repeatable from its seed, on a clock that the test moves, and failing as real engines fail."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from northstar.connectors.contract import ConnectorJob, ConnectorResult
from northstar.connectors.errors import (
    DeadlinePassed,
    EmptyOutput,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineGone,
    EngineRejected,
    EngineTimeout,
    MalformedAnswer,
    OutputMissing,
    OutputTooLarge,
)
from northstar.connectors.simulated import SimulatedConnector, SimulatedSettings
from northstar.connectors.simulated_request import FAILURE_KINDS
from northstar.connectors.simulated_time import FixedTime, LognormalTime, StepTime, TimeRule
from northstar.domain.progress import Progress
from northstar.domain.progress_text import describe
from tests.virtual_time import VirtualTime, settle


class Bench:
    """A simulated engine on virtual time."""

    def __init__(self, *, instance: str = "", **settings: Any) -> None:
        self.time = VirtualTime()
        self.connector = SimulatedConnector(
            SimulatedSettings(service="picture", **settings),
            instance=instance,
            sleep=self.time.sleep,
            clock=self.time.clock,
        )
        self.news: list[str] = []

    def start(
        self, job_id: str = "j", *, deadline_s: float | None = None, workspace: Path = Path("unused"), **payload: Any
    ) -> asyncio.Task[ConnectorResult]:
        job = ConnectorJob(id=job_id, service="picture", payload=payload, workspace=workspace, deadline_s=deadline_s)

        def hear(report: Progress) -> None:
            self.news.append(f"{job_id}: {describe(report)}")

        return asyncio.ensure_future(self.connector.run(job, hear))

    async def run(self, job_id: str = "j", **payload: Any) -> float:
        """Run a job to its end; gives how long it took."""
        began = self.time.now
        task = self.start(job_id, **payload)
        await self.time.finish(task)
        await task
        return self.time.now - began


async def test_the_user_hears_of_waiting_loading_every_step_and_storing_in_this_order() -> None:
    bench = Bench(run=StepTime(step_s=1.0), load=FixedTime(seconds=5.0), model="base", side_by_side=1)
    first, second = bench.start("a", steps=2), bench.start("b", steps=1)
    await bench.time.advance(20.0)
    assert first.done()
    assert second.done()
    assert bench.news == [
        "a: loading base",
        "b: queued",
        "a: running (step 1 of 2)",
        "a: running (step 2 of 2)",
        "a: storing",
        "b: running (step 1 of 1)",
        "b: storing",
    ]


@pytest.mark.parametrize(
    ("rule", "expected_s"),
    [(FixedTime(seconds=3.0), 3.0), (StepTime(step_s=0.5, base_s=1.0), 6.0)],
)
async def test_a_job_takes_the_time_of_its_rule(rule: TimeRule, expected_s: float) -> None:
    assert await Bench(run=rule).run(steps=10) == pytest.approx(expected_s)


async def test_the_same_seed_gives_the_same_time_on_every_machine_and_another_seed_another() -> None:
    rule = LognormalTime(median_s=10.0, sigma=0.5)
    times = [await Bench(run=rule, seed=1, instance=machine).run("a") for machine in ("m1", "m2")]
    assert times[0] == pytest.approx(times[1])
    assert times[0] != pytest.approx(await Bench(run=rule, seed=2).run("a"))
    assert times[0] != pytest.approx(await Bench(run=rule, seed=1).run("b"))


async def test_lognormal_times_lie_around_their_median_and_below_their_bound() -> None:
    bench = Bench(run=LognormalTime(median_s=10.0, sigma=0.5, longest_s=30.0))
    times = sorted([await bench.run(f"j{number}", steps=1) for number in range(300)])
    assert 8.5 < times[150] < 11.5
    assert times[-1] <= 30.0 + 1e-6


async def test_a_model_in_memory_loads_no_second_time_and_the_one_used_longest_ago_goes() -> None:
    bench = Bench(run=FixedTime(seconds=1.0), load=FixedTime(seconds=10.0), models_in_memory=2)
    times = [round(await bench.run(model=model), 6) for model in ("a", "b", "a", "c", "a", "b")]
    assert times == [11.0, 11.0, 1.0, 11.0, 1.0, 11.0]
    assert bench.connector.engine.resident == ("a", "b")


async def test_a_model_in_use_is_not_pushed_out() -> None:
    bench = Bench(run=FixedTime(seconds=100.0), load=FixedTime(seconds=1.0), models_in_memory=1)
    tasks = [bench.start("a", model="a"), bench.start("b", model="b")]
    await bench.time.advance(10.0)
    assert bench.connector.engine.resident == ("a", "b")
    await bench.time.advance(200.0)
    assert all(task.done() for task in tasks)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("busy", EngineBusy),
        ("empty", EmptyOutput),
        ("failed", EngineFailed),
        ("gone", EngineGone),
        ("malformed", MalformedAnswer),
        ("missing", OutputMissing),
        ("rejected", EngineRejected),
        ("silent", EngineTimeout),
        ("too_large", OutputTooLarge),
    ],
)
async def test_a_job_fails_as_it_orders_and_when(kind: str, error: type[EngineError]) -> None:
    bench = Bench(run=FixedTime(seconds=10.0))
    task = bench.start(simulate={"fail": kind, "fail_at": 0.3})
    await bench.time.advance(2.9)
    assert not task.done()
    await bench.time.advance(0.2)
    with pytest.raises(error):
        await task


def test_every_kind_of_failure_has_a_case_above() -> None:
    assert len(FAILURE_KINDS) == 9


async def test_chance_fails_about_as_many_runs_as_it_should_and_repeatably() -> None:
    async def failed(seed: int) -> list[int]:
        bench, failures = Bench(steps=1, failures={"failed": 0.2, "busy": 0.1}, seed=seed), []
        for number in range(300):
            task = bench.start(f"j{number}")
            await bench.time.finish(task)
            if task.exception() is not None:
                failures.append(number)
        return failures

    first = await failed(1)
    assert 60 < len(first) < 120
    assert first == await failed(1)
    assert first != await failed(2)


async def test_a_second_run_of_a_job_has_another_fate() -> None:
    bench, outcomes = Bench(run=FixedTime(seconds=1.0), failures={"failed": 0.5}), set()
    for _ in range(20):
        task = bench.start("same")
        await bench.time.finish(task)
        outcomes.add(task.exception() is None)
    assert outcomes == {True, False}


async def test_a_dying_engine_takes_all_its_jobs_forgets_its_models_and_comes_back() -> None:
    bench = Bench(run=FixedTime(seconds=10.0), model="base", restart_s=60.0)
    neighbour, killer = bench.start("a"), bench.start("b", simulate={"fail": "gone"})
    await bench.time.advance(6.0)
    for task in (neighbour, killer):
        with pytest.raises(EngineGone, match="the simulated engine died"):
            await task
    assert bench.connector.engine.resident == ()
    with pytest.raises(EngineGone):
        await bench.connector.ready()
    await bench.time.advance(60.0)
    await bench.run("c")


async def test_waiting_counts_towards_the_deadline() -> None:
    bench = Bench(run=FixedTime(seconds=10.0), side_by_side=1)
    first, second = bench.start("a"), bench.start("b", deadline_s=5.0)
    await bench.time.advance(5.5)
    with pytest.raises(DeadlinePassed, match="within 5 s"):
        await second
    assert not first.done()
    first.cancel()
    await settle()


async def test_an_output_is_as_large_as_ordered(tmp_path: Path) -> None:
    bench = Bench(run=FixedTime(seconds=0.0), streams=True)
    result = await bench.start(workspace=tmp_path, simulate={"output_bytes": 40_000})
    assert result.outputs[0].size_bytes == 40_000
    assert (tmp_path / "result.txt").stat().st_size == 40_000


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ({"steps": "many"}, "Expected `int"),
        ({"steps": 10_001}, "<= 10000"),
        ({"simulate": {"fial": "gone"}}, "unknown field `fial`"),
        ({"simulate": {"fail": "sleepy"}}, "Invalid enum value 'sleepy'"),
        ({"model": ""}, "length >= 1"),
    ],
)
async def test_a_payload_that_makes_no_sense_is_refused(payload: dict[str, Any], sentence: str) -> None:
    with pytest.raises(EngineRejected, match=sentence):
        await Bench().start(**payload)


@pytest.mark.parametrize(
    "settings",
    [
        {"failures": {"failed": 0.7, "gone": 0.7}},
        {"failures": {"failed": -0.1}},
        {"failures": {"sleepy": 0.1}},
        {"run": FixedTime(seconds=-1.0)},
        {"load": LognormalTime(median_s=10.0, longest_s=5.0)},
        {"run": StepTime(step_s=1.0, spread=2.0)},
        {"steps": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        Bench(**settings)
