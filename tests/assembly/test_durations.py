"""Where a command learns how long jobs take: from the history, else from what the cell's brokers tell, else nowhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
import structlog

from northstar.assembly.durations import learned_durations
from northstar.assembly.routing import keep_routing
from northstar.assembly.session import Session, session
from northstar.broker.durations import Durations
from northstar.broker.learned_summary import LearnedSummary
from northstar.config import load
from northstar.domain.estimates import FinishedRun
from northstar.domain.workloads import Workload
from northstar.policy.routing.duration import JobToTime
from northstar.store.history import HistoryDatabase
from northstar.store.snapshots import CellReader
from tests import servers
from tests.agent.rig import Rig

_JOB = JobToTime(service="picture", workload=Workload(shape="a"), model="sdxl", user="ada")
_RUN = FinishedRun(shape="a", service="picture", model="sdxl", user="ada", gpu_class="", ran_s=20.0)


class _FiveRuns:
    """The broker's history."""

    async def cursor_before_last(self, count: int) -> str:
        return "0"

    async def finished_runs(self, after: str, count: int) -> tuple[list[FinishedRun], str]:
        return ([_RUN] * 5 if after == "0" else []), "5"


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with servers.embedded_valkey() as server, Rig(server.url) as opened:
        yield opened


@pytest_asyncio.fixture
async def elsewhere(rig: Rig, tmp_path: Path) -> AsyncIterator[Session]:
    """A command on a host that has the cell's address and not its history."""
    settings = load(environment={"HOME": "/nobody"})
    settings = msgspec.structs.replace(
        settings,
        data_dir=str(tmp_path / "other"),
        cell=rig.name,
        valkey=msgspec.structs.replace(settings.valkey, url=rig.url),
    )
    async with session(settings) as opened:
        yield opened


async def test_a_submitter_elsewhere_estimates_by_what_the_brokers_have_learned(rig: Rig, elsewhere: Session) -> None:
    """The same source and time as where the history is."""
    broker = Durations(_FiveRuns(), every_s=1.0)
    await broker.turn()
    await LearnedSummary(rig.cell, broker).turn()
    async with learned_durations(elsewhere) as durations:
        estimate = durations.estimate(_JOB)
        unlike = durations.estimate(msgspec.structs.replace(_JOB, service="text"))
    assert (estimate.source, estimate.runs) == ("user", 5)
    assert estimate.p50_s == pytest.approx(20.0, rel=0.001)
    assert unlike.source == "rules"


async def test_without_a_summary_too_its_estimates_and_its_log_say_so(elsewhere: Session) -> None:
    with structlog.testing.capture_logs() as logs:
        async with learned_durations(elsewhere) as durations:
            assert durations.estimate(_JOB).source == "rules-without-history"
    assert [(one["event"], one["code"]) for one in logs if one["log_level"] == "warning"] == [
        ("durations_by_rules", "NS_HISTORY_UNREADABLE")
    ]


async def test_where_nothing_is_to_be_learned_the_summary_is_not_read_either(rig: Rig, elsewhere: Session) -> None:
    """`routing.learn_from_runs = 0`."""
    broker = Durations(_FiveRuns(), every_s=1.0)
    await broker.turn()
    await LearnedSummary(rig.cell, broker).turn()
    routing = msgspec.structs.replace(elsewhere.settings.routing, learn_from_runs=0)
    settings = msgspec.structs.replace(elsewhere.settings, routing=routing)
    async with learned_durations(msgspec.structs.replace(elsewhere, settings=settings)) as durations:
        assert durations.estimate(_JOB).source == "rules-without-history"


async def test_a_broker_that_runs_keeps_the_summary(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside all else that it does for routing; without waiting for its first turn, as it does else."""
    turned = asyncio.Event()

    async def turn(_: LearnedSummary) -> bool:
        turned.set()
        return False

    monkeypatch.setattr("northstar.broker.learned_summary.FIRST_S", 0.0)
    monkeypatch.setattr(LearnedSummary, "turn", turn)
    failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    database = HistoryDatabase(f"sqlite:///{tmp_path}/history.db")
    await database.open()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        reader = CellReader(rig.cell.client, rig.cell.keys)
        settings = load(environment={"HOME": "/nobody"})
        await keep_routing(settings, rig.cell, database, stack, reader=reader, failure=failure)
        await asyncio.wait_for(turned.wait(), 20.0)
    assert not failure.done()
