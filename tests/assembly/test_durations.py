"""Where a command learns how long jobs take: from what the cell's brokers tell and the history after it, or one of them, else nowhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import msgspec
import pytest
import pytest_asyncio
import structlog

from northstar.assembly.durations import RunsInHistory, learned_durations
from northstar.assembly.routing import keep_routing
from northstar.assembly.session import Session, session
from northstar.broker.durations import Durations
from northstar.broker.learned_summary import LearnedSummary
from northstar.config import load
from northstar.domain.estimates import FinishedRun
from northstar.domain.events import EventId
from northstar.domain.workloads import Workload
from northstar.policy.routing.duration import JobToTime
from northstar.store.history import HistoryDatabase
from northstar.store.history.attempt_reader import AttemptReader
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


class _History:
    """The cell's finished runs, a place for each, as a command beside the history reads them."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.read = 0

    async def place_of_latest(self, count: int) -> EventId:
        return EventId(1, max(0, self.runs - count))

    async def finished_runs(self, after: EventId, count: int) -> tuple[list[FinishedRun], EventId]:
        found = [_RUN] * min(count, self.runs - after.sequence)
        self.read += len(found)
        return found, EventId(1, after.sequence + len(found))


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> _History:
    """Eight runs; the brokers have told of some."""
    history = _History(8)
    monkeypatch.setattr("northstar.assembly.durations.history_of", lambda _: contextlib.nullcontext(None))
    monkeypatch.setattr("northstar.assembly.durations.AttemptReader", lambda *_, **__: history)
    return history


async def tell(rig: Rig, told: _History) -> None:
    broker = Durations(RunsInHistory(cast("AttemptReader", told)), every_s=1.0)
    await broker.turn()
    await LearnedSummary(rig.cell, broker).turn()


async def test_a_submitter_beside_the_history_reads_only_the_runs_that_came_after_the_summary(
    rig: Rig, elsewhere: Session, history: _History
) -> None:
    """So it learns eight runs and reads three; what it says of them is what it says who has read all."""
    async with learned_durations(elsewhere) as durations:
        whole = durations.estimate(_JOB)
    assert history.read == 8
    history.read = 0
    await tell(rig, _History(5))
    async with learned_durations(elsewhere) as durations:
        estimate = durations.estimate(_JOB)
    assert history.read == 3
    assert (estimate.source, estimate.runs) == (whole.source, whole.runs) == ("user", 8)
    assert estimate.p50_s == pytest.approx(whole.p50_s, rel=0.001)


async def test_a_summary_from_before_the_latest_runs_that_a_command_learns_from_is_left(
    rig: Rig, elsewhere: Session, history: _History
) -> None:
    """It would be as much to read, with a hole before it: these runs alone are learned."""
    await tell(rig, _History(5))
    history.runs = 2_006
    async with learned_durations(elsewhere) as durations:
        estimate = durations.estimate(_JOB)
    assert history.read == estimate.runs == 2_000


async def test_a_summary_that_does_not_say_up_to_where_it_knows_is_left(
    rig: Rig, elsewhere: Session, history: _History
) -> None:
    """A broker of an earlier version wrote it."""
    broker = Durations(_FiveRuns(), every_s=1.0)
    await broker.turn()
    await LearnedSummary(rig.cell, broker).turn()  # its place is no place of a history
    async with learned_durations(elsewhere) as durations:
        assert durations.estimate(_JOB).runs == 8


async def test_where_nothing_is_to_be_learned_no_summary_is_read_beside_the_history_either(
    rig: Rig, elsewhere: Session, history: _History
) -> None:
    await tell(rig, _History(5))
    routing = msgspec.structs.replace(elsewhere.settings.routing, learn_from_runs=0)
    settings = msgspec.structs.replace(elsewhere.settings, routing=routing)
    async with learned_durations(msgspec.structs.replace(elsewhere, settings=settings)) as durations:
        assert durations.estimate(_JOB).source == "rules"
    assert history.read == 0


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
