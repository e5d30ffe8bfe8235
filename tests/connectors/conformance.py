"""What every connector must do, whatever its engine; a subclass brings the engine."""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from northstar.connectors.contract import Connector, ConnectorJob, Describing, Json
from northstar.connectors.errors import (
    EngineGone,
    EngineRejected,
    EngineTimeout,
    LimitExceeded,
    MalformedAnswer,
    OutputTooLarge,
)
from northstar.domain.engine_facts import EngineFacts
from northstar.domain.progress import Phase, Progress, ProgressOrder
from tests.connectors.conftest import MakeJob
from tests.connectors.processes import until


class Subject(msgspec.Struct, kw_only=True):
    """A connector before a running engine, and what a test needs to know about both."""

    connector: Connector
    good: dict[str, Json]
    endless: dict[str, Json]  # runs for many seconds, with news from the start
    bad: dict[str, Json]
    too_much: dict[str, Json]  # gives more than the connector may take
    is_working: Callable[[], Awaitable[bool]]
    kill: Callable[[], Awaitable[None]]  # kill -9 while a job runs
    kind: str  # what the engine is by its own words
    # What not every engine can show:
    stays_dead: bool = True  # after `kill`; a program is a new process for every job
    streams: bool = False  # gives its text as it is written
    nonsense: dict[str, Json] | None = None  # makes the engine break its protocol
    spoil: Callable[[], None] | None = None  # where no request makes it: from now on it does
    places: int | None = None  # jobs that the engine runs at a time; `is_queueing` says that another one waits in it
    is_queueing: Callable[[], Awaitable[bool]] | None = None
    hold_load: Callable[[bool], Awaitable[None]] | None = None  # the model loads no further until told so
    loading: dict[str, Json] | None = None  # its news begin with loading; None where nobody can see that
    phases: frozenset[Phase] = frozenset({"running"})  # what the news of `good` must tell of, beside what they may
    queues: bool = False  # the engine runs one job at a time and keeps the others in a queue of its own


def hear_nothing(_news: Progress) -> None:
    pass


class ConnectorConformance(ABC):
    @pytest.fixture
    @abstractmethod
    def subject(self) -> Any: ...

    async def test_is_ready_once_the_engine_has_answered_a_warm_up(self, subject: Subject) -> None:
        await subject.connector.ready()

    async def test_it_says_what_its_engine_is(self, subject: Subject) -> None:
        facts = await described(subject)
        assert facts.kind == subject.kind
        assert msgspec.convert(msgspec.to_builtins(facts), EngineFacts) == facts, "every word can be announced"
        assert (facts.node_classes > 0) == bool(facts.node_classes_digest)
        assert await described(subject) == facts, "what has not changed is said in the same words"

    async def test_describing_disturbs_nothing(self, subject: Subject, make_job: MakeJob) -> None:
        task, _news = await started(subject, make_job(subject.endless))
        await until(subject.is_working)
        assert (await described(subject)).kind == subject.kind
        assert not task.done()
        await cancelled(task)

    async def test_a_job_leaves_verified_outputs_and_a_small_summary(self, subject: Subject, make_job: MakeJob) -> None:
        job = make_job(subject.good)
        result = await subject.connector.run(job, hear_nothing)
        assert result.outputs
        for output in result.outputs:
            assert (output.path is None) != (output.text is None)
            data = output.path.read_bytes() if output.path is not None else (output.text or "").encode()
            assert len(data) == output.size_bytes > 0
            assert hashlib.sha256(data).hexdigest() == output.sha256
            assert output.path is None or output.path.is_relative_to(job.workspace)
        assert len(msgspec.json.encode(result.summary)) < 16_384

    async def test_news_comes_while_the_job_runs(self, subject: Subject, make_job: MakeJob) -> None:
        news: list[Progress] = []
        await subject.connector.run(make_job(subject.good), news.append)
        assert len(news) > 1
        assert all(report.fraction is None or 0 <= report.fraction <= 1 for report in news)

    async def test_several_jobs_run_at_the_same_time(self, subject: Subject, make_job: MakeJob) -> None:
        jobs = [make_job(subject.good) for _ in range(3)]
        results = await asyncio.gather(*(subject.connector.run(job, hear_nothing) for job in jobs))
        assert all(result.outputs for result in results)

    async def test_news_come_in_the_order_in_which_things_happen(self, subject: Subject, make_job: MakeJob) -> None:
        news: list[Progress] = []
        await subject.connector.run(make_job(subject.good), news.append)
        order = ProgressOrder()
        assert all(order.hear("1.n.1", report) is not None for report in news)
        assert {report.phase for report in news} >= subject.phases
        fractions = [report.fraction for report in news if report.fraction is not None and report.phase != "storing"]
        assert fractions == sorted(fractions)

    async def test_text_arrives_as_it_is_written(self, subject: Subject, make_job: MakeJob) -> None:
        if not subject.streams:
            pytest.skip("gives its results whole")
        news: list[Progress] = []
        (output,) = (await subject.connector.run(make_job(subject.good), news.append)).outputs
        tokens = [report.tokens for report in news if report.tokens]
        assert len(tokens) > 1
        assert "".join(tokens) == output.text

    async def test_cancelling_stops_the_work_of_the_engine(self, subject: Subject, make_job: MakeJob) -> None:
        task, _news = await started(subject, make_job(subject.endless))
        await until(subject.is_working)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: idle(subject), within_s=5.0)

    @pytest.mark.parametrize("steps", range(4))
    async def test_a_job_cancelled_in_its_first_moments_leaves_nothing_behind(
        self, subject: Subject, make_job: MakeJob, steps: int
    ) -> None:
        task = asyncio.ensure_future(subject.connector.run(make_job(subject.endless), hear_nothing))
        for _ in range(steps):
            await asyncio.sleep(0)
        await cancelled(task)
        await until(lambda: idle(subject), within_s=5.0)

    async def test_after_a_cancelled_job_the_next_one_runs(self, subject: Subject, make_job: MakeJob) -> None:
        task, _news = await started(subject, make_job(subject.endless))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await subject.connector.run(make_job(subject.good), hear_nothing)).outputs

    async def test_a_job_that_waits_in_the_engine_can_be_cancelled(self, subject: Subject, make_job: MakeJob) -> None:
        if subject.places is None or subject.is_queueing is None:
            pytest.skip("runs as many as it is given")
        running = [(await started(subject, make_job(subject.endless)))[0] for _ in range(subject.places)]
        waiting = asyncio.ensure_future(subject.connector.run(make_job(subject.endless), hear_nothing))
        await until(subject.is_queueing)
        await cancelled(waiting)
        assert not any(task.done() for task in running)
        await asyncio.gather(*(cancelled(task) for task in running))
        assert (await subject.connector.run(make_job(subject.good), hear_nothing)).outputs

    async def test_a_job_whose_model_still_loads_can_be_cancelled(self, subject: Subject, make_job: MakeJob) -> None:
        if subject.hold_load is None:
            pytest.skip("loads nothing for a job")
        await subject.hold_load(True)
        task, news = await started(subject, make_job(subject.good))
        await until(lambda: any(report.phase == "loading" for report in news))
        await cancelled(task)
        await until(lambda: idle(subject), within_s=5.0)
        await subject.hold_load(False)
        assert (await subject.connector.run(make_job(subject.good), hear_nothing)).outputs

    async def test_an_answer_that_makes_no_sense_is_the_engines_fault(
        self, subject: Subject, make_job: MakeJob
    ) -> None:
        if subject.nonsense is None:
            pytest.skip("its engine cannot be made to")
        if subject.spoil is not None:
            subject.spoil()
        with pytest.raises(MalformedAnswer, match="the answer breaks the protocol") as caught:
            await subject.connector.run(make_job(subject.nonsense), hear_nothing)
        assert (caught.value.retryable, caught.value.fault) == (True, "engine")

    async def test_cancelling_while_the_engine_loads_stops_it_too(self, subject: Subject, make_job: MakeJob) -> None:
        if subject.loading is None:
            pytest.skip("this engine does not show that it loads")
        news: list[Progress] = []
        task = asyncio.ensure_future(subject.connector.run(make_job(subject.loading), news.append))
        await until(lambda: any(report.phase == "loading" for report in news) or task.done())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: idle(subject), within_s=5.0)

    async def test_a_job_cancelled_in_the_engines_queue_does_not_disturb_the_one_that_runs(
        self, subject: Subject, make_job: MakeJob
    ) -> None:
        if not subject.queues:
            pytest.skip("this engine keeps no queue of its own")
        first, _news = await started(subject, make_job(subject.endless))
        news: list[Progress] = []
        second = asyncio.ensure_future(subject.connector.run(make_job(subject.good), news.append))
        await until(lambda: any("1 ahead" in report.message for report in news) or second.done())
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert await subject.is_working()
        assert not first.done()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await until(lambda: idle(subject), within_s=5.0)

    async def test_a_deadline_ends_the_job_and_says_which(self, subject: Subject, make_job: MakeJob) -> None:
        with pytest.raises(EngineTimeout, match=r"within 0\.4 s; raise that limit") as caught:
            await subject.connector.run(make_job(subject.endless, deadline_s=0.4), hear_nothing)
        assert (caught.value.code, caught.value.retryable) == ("NS_ENGINE_TIMEOUT", True)
        assert caught.value.fault == "none"  # the user was in a hurry; the engine was not slow
        await until(lambda: idle(subject), within_s=5.0)

    async def test_a_bad_request_is_not_worth_another_try(self, subject: Subject, make_job: MakeJob) -> None:
        with pytest.raises(EngineRejected, match="change the request") as caught:
            await subject.connector.run(make_job(subject.bad), hear_nothing)
        assert (caught.value.retryable, caught.value.fault) == (False, "none")

    async def test_too_large_a_result_is_refused(self, subject: Subject, make_job: MakeJob) -> None:
        with pytest.raises((OutputTooLarge, LimitExceeded), match="ask for less or raise the limit") as caught:
            await subject.connector.run(make_job(subject.too_much), hear_nothing)
        assert caught.value.retryable is False
        await until(lambda: idle(subject), within_s=5.0)

    async def test_the_death_of_the_engine_is_told_at_once(self, subject: Subject, make_job: MakeJob) -> None:
        task, _news = await started(subject, make_job(subject.endless))
        await subject.kill()
        async with asyncio.timeout(5.0):
            with pytest.raises(EngineGone, match="check that its process runs") as caught:
                await task
        assert (caught.value.code, caught.value.retryable) == ("NS_ENGINE_GONE", True)
        assert caught.value.fault == "fatal"

    async def test_a_dead_engine_is_not_ready(self, subject: Subject, make_job: MakeJob) -> None:
        if not subject.stays_dead:
            pytest.skip("starts anew for every job")
        task, _news = await started(subject, make_job(subject.endless))
        await subject.kill()
        await asyncio.gather(task, return_exceptions=True)
        with pytest.raises(EngineGone):
            await subject.connector.ready()
        with pytest.raises(EngineGone):
            await described(subject)

    async def test_closing_ends_what_runs_and_may_be_repeated(self, subject: Subject, make_job: MakeJob) -> None:
        task, _news = await started(subject, make_job(subject.endless))
        await subject.connector.close()
        await subject.connector.close()
        async with asyncio.timeout(5.0):
            with pytest.raises(EngineGone, match="the connector was closed"):
                await task
        await until(lambda: idle(subject), within_s=5.0)


async def cancelled(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def idle(subject: Subject) -> bool:
    return not await subject.is_working()


async def started(subject: Subject, job: ConnectorJob) -> tuple[asyncio.Task[Any], list[Progress]]:
    """Start a job and wait for its first news."""
    news: list[Progress] = []
    task: asyncio.Task[Any] = asyncio.ensure_future(subject.connector.run(job, news.append))
    await until(lambda: bool(news) or task.done())
    assert not task.done(), task
    return task, news


async def described(subject: Subject) -> EngineFacts:
    assert isinstance(subject.connector, Describing)
    return await subject.connector.describe()
