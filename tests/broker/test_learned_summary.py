"""What brokers have learned of durations is there for whoever submits to their cell, however far from its history."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
import structlog

from northstar.broker.durations import Durations
from northstar.broker.learned_summary import EVERY_S, FIRST_S, LearnedSummary, read_learned
from northstar.domain.estimates import FinishedRun
from northstar.domain.workloads import Workload
from northstar.policy.routing.duration import DurationEstimator, JobToTime
from northstar.store.documents import WantedDocument, put_documents, read_document
from tests.agent.rig import LIMITS, Rig
from tests.servers import RunningServer

_JOB = JobToTime(service="picture", workload=Workload(shape="a"), model="sdxl", user="ada")
_RUN = FinishedRun(shape="a", service="picture", model="sdxl", user="ada", gpu_class="", ran_s=20.0)


class _Runs:
    """A history in a list."""

    def __init__(self, *runs: FinishedRun) -> None:
        self.runs = list(runs)

    async def cursor_before_last(self, count: int) -> str:
        return str(max(0, len(self.runs) - count))

    async def finished_runs(self, after: str, count: int) -> tuple[Sequence[FinishedRun], str]:
        found = self.runs[int(after) : int(after) + count]
        return found, str(int(after) + len(found))


async def learned_from(*runs: FinishedRun) -> tuple[_Runs, Durations]:
    source = _Runs(*runs)
    durations = Durations(source, every_s=1.0)
    await durations.turn()
    return source, durations


async def test_who_reads_the_summary_estimates_as_the_broker_does(rig: Rig) -> None:
    _, durations = await learned_from(*[_RUN] * 5)
    assert await LearnedSummary(rig.cell, durations).turn()
    found = await read_learned(rig.cell)
    assert found is not None
    learned, as_of_ms = found
    assert as_of_ms > 0
    elsewhere = DurationEstimator.knowing(learned).estimate(_JOB)
    here = durations.estimate(_JOB)
    assert (elsewhere.source, elsewhere.runs) == (here.source, here.runs) == ("user", 5)
    assert elsewhere.p50_s == pytest.approx(here.p50_s, rel=0.001)


async def test_it_is_written_only_where_something_was_learned_since(rig: Rig) -> None:
    source, durations = await learned_from()
    summary = LearnedSummary(rig.cell, durations, every_s=0.0)
    assert not await summary.turn()
    assert await read_learned(rig.cell) is None
    source.runs.append(_RUN)
    await durations.turn()
    assert [await summary.turn(), await summary.turn()] == [True, False]


async def test_of_several_brokers_one_writes_while_its_summary_is_fresh(rig: Rig) -> None:
    """Each change is an event and rings everybody's bell, so it is made seldom."""
    _, durations = await learned_from(_RUN)
    assert await LearnedSummary(rig.cell, durations).turn()
    assert not await LearnedSummary(rig.cell, durations).turn()
    document = await read_document(rig.cell.client, rig.cell.keys, "learned", "durations")
    assert document is not None
    await LearnedSummary(rig.cell, durations, every_s=0.0).turn()  # old by its measure, and it says the same
    assert (await read_document(rig.cell.client, rig.cell.keys, "learned", "durations")) == document


async def test_a_summary_of_much_that_was_learned_fits_into_a_document(rig: Rig) -> None:
    """Ten thousand users with a graph of their own."""
    runs = [
        msgspec.structs.replace(_RUN, user=f"user-{number}-of-a-tenant", shape=f"{number * 7919:016x}")
        for number in range(10_000)
    ]
    _, durations = await learned_from(*runs)
    assert await LearnedSummary(rig.cell, durations).turn()
    document = await read_document(rig.cell.client, rig.cell.keys, "learned", "durations")
    assert document is not None
    assert 20_000 < len(document.body) <= 65_536
    found = await read_learned(rig.cell)
    assert found is not None
    assert len(found[0].keys) > 500


@pytest.mark.parametrize("body", ['{"packed":"AAAA"}', '{"other":1}', "7"])
async def test_a_summary_that_this_version_cannot_read_counts_as_none(rig: Rig, body: str) -> None:
    await put_documents(rig.cell, [WantedDocument(kind="learned", name="durations", body=body)], by="test")
    assert await read_learned(rig.cell) is None


async def test_a_cell_without_room_for_it_is_told_in_the_log_and_tried_again(broker_server: RunningServer) -> None:
    """The broker goes on."""
    _, durations = await learned_from(_RUN)
    pauses: list[float] = []

    class _Enough(Exception):
        pass

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 2:
            raise _Enough

    limits = msgspec.structs.replace(LIMITS, max_documents=1)
    async with Rig(broker_server.url, limits=limits) as rig:
        await put_documents(rig.cell, [WantedDocument(kind="other", name="one", body="1")], by="test")
        with structlog.testing.capture_logs() as logs, pytest.raises(_Enough):
            await LearnedSummary(rig.cell, durations, sleep=sleep).run()
    assert pauses == [FIRST_S, EVERY_S, EVERY_S]
    told = [(one["event"], one["code"]) for one in logs if one["event"] == "learned_durations_not_told"]
    assert told == [("learned_durations_not_told", "NS_TOO_MANY_DOCUMENTS")] * 2


async def test_who_could_read_neither_history_nor_summary_says_so_in_each_estimate() -> None:
    blind = Durations(_Runs(), every_s=1.0, is_blind=True)
    assert blind.estimate(_JOB).source == "rules-without-history"
    assert blind.estimate(msgspec.structs.replace(_JOB, declared_s=90.0)).source == "declared"
    assert Durations(_Runs(), every_s=1.0).estimate(_JOB).source == "rules"
