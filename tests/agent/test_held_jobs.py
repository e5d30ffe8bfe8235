"""What a machine tells of the jobs it holds: in time, at a pace, and nothing of a run that is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from northstar.agent.held_jobs import MAX_PROGRESS_IN_FLIGHT, HeldJobs
from northstar.agent.link import BrokerLink
from northstar.domain.jobs import ClaimedJob
from northstar.domain.progress import Progress, from_wire
from tests.servers import eventually

JOB = ClaimedJob("j", "1.n.1", 1, 0, 30_000, "{}")


class Heard:
    """A link that only hears; while `stuck`, no message gets through."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.news: list[Progress] = []
        self.stuck = False

    async def progress(self, job_id: str, token: str, text: bytes) -> None:
        assert (job_id, token) == (JOB.id, JOB.token)
        while self.stuck:
            await asyncio.sleep(0.01)
        news = from_wire(text)
        assert news is not None
        self.at.append(asyncio.get_running_loop().time())
        self.news.append(news)


@pytest.fixture
async def held() -> AsyncIterator[HeldJobs]:
    jobs = HeldJobs()
    jobs.add(JOB.id, JOB.token, asyncio.create_task(asyncio.Event().wait()))  # type: ignore[arg-type]
    yield jobs
    await jobs.end_all(within_s=1.0)


def tell(held: HeldJobs, heard: Heard, **fields: Any) -> None:
    held.tell(cast("BrokerLink", heard), JOB, Progress(**fields))


async def test_a_report_after_a_quiet_time_is_told_at_once_and_many_at_a_pace(held: HeldJobs) -> None:
    heard = Heard()
    tell(held, heard, phase="loading")
    for step in range(1, 200):
        tell(held, heard, phase="running", step=step)
        await asyncio.sleep(0.002)

    async def is_told() -> bool:
        return heard.news[-1].step == 199

    await eventually(is_told, what="the last step is told", within_s=5)
    assert heard.news[0].phase == "loading"
    took_s = heard.at[-1] - heard.at[0]
    assert 3 <= len(heard.news) <= took_s * 10 + 2
    held.tell_rest(cast("BrokerLink", heard), JOB)


async def test_what_waits_when_the_run_ends_is_told_before_anything_else(held: HeldJobs) -> None:
    heard = Heard()
    for phase in ("loading", "running", "storing"):
        tell(held, heard, phase=phase)
    held.tell_rest(cast("BrokerLink", heard), JOB)
    await asyncio.sleep(0)
    assert [news.phase for news in heard.news] == ["loading", "running", "storing"]


async def test_what_outlives_its_run_is_not_heard(held: HeldJobs) -> None:
    heard = Heard()
    held.remove(JOB.id, JOB.token)
    tell(held, heard, phase="running")
    held.tell_rest(cast("BrokerLink", heard), JOB)
    await asyncio.sleep(0)
    assert heard.news == []
    held.add(JOB.id, JOB.token, asyncio.create_task(asyncio.sleep(0)))


async def test_a_link_that_is_stuck_keeps_only_so_many_messages(held: HeldJobs) -> None:
    heard = Heard()
    heard.stuck = True
    for number in range(3 * MAX_PROGRESS_IN_FLIGHT):
        tell(held, heard, phase="running" if number % 2 else "loading", node=number)
        held.tell_rest(cast("BrokerLink", heard), JOB)
    heard.stuck = False
    assert len([task for task in asyncio.all_tasks() if "progress" in str(task.get_coro())]) == MAX_PROGRESS_IN_FLIGHT

    async def is_through() -> bool:
        return len(heard.news) == MAX_PROGRESS_IN_FLIGHT

    await eventually(is_through, what="what is under way comes through")
