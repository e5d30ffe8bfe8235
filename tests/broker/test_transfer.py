"""Moving jobs between cells: out, in, done; and the sweeper that finishes what a crash left between."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from northstar.broker.submission import Submitter
from northstar.broker.transfer import Moves, move, on_the_way, sweep
from northstar.domain.jobs import JobRequest
from northstar.domain.limits import CellLimits
from northstar.store.cell import Cell
from northstar.store.valkey import connect
from tests import servers
from tests.servers import RunningServer

JOBS = 3


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def transfer_server() -> AsyncIterator[RunningServer]:
    async with servers.embedded_valkey() as server:
        yield server


@pytest.fixture
def new_id() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"id{next(numbers):08d}"


async def a_cell(url: str) -> Cell:
    cell = Cell(connect(url), f"t{secrets.token_hex(6)}")
    cell.now_ms = 1_000_000
    await cell.open(CellLimits(), clock="virtual")
    await cell.declare(["pool:standard", "service:paint"], by="test")
    return cell


@pytest_asyncio.fixture
async def cells(transfer_server: RunningServer) -> AsyncIterator[tuple[Cell, Cell]]:
    """Two cells, each through a client of its own."""
    source, target = await a_cell(transfer_server.url), await a_cell(transfer_server.url)
    yield source, target
    await source.client.aclose()
    await target.client.aclose()


async def submitted(cell: Cell, new_id: Callable[[], str], count: int = JOBS) -> list[str]:
    submitter = Submitter(cell, new_id=new_id, monotonic=time.monotonic)
    accepted = await submitter.submit([JobRequest(service="paint", priority=60) for _ in range(count)])
    return [job.id for job in accepted]


async def statuses(cell: Cell, ids: list[str]) -> dict[str, str]:
    return {job.id: job.record.status for job in (await cell.inspect(ids)).jobs}


async def test_a_moved_job_waits_in_the_other_cell_and_leaves_a_pointer(
    cells: tuple[Cell, Cell], new_id: Callable[[], str]
) -> None:
    """What moves keeps its age, priority and body; the cell it left still says where it went."""
    source, target = cells
    ids = await submitted(source, new_id)
    before = (await source.inspect(ids, bodies=True)).jobs

    moves = await move(source, target, ids, new_id=new_id)

    after = (await target.inspect(ids, bodies=True)).jobs
    assert moves == Moves(moved=tuple(ids))
    assert [(j.body, j.record.submitted_ms, j.record.priority) for j in after] == [
        (j.body, j.record.submitted_ms, j.record.priority) for j in before
    ]
    assert await statuses(source, ids) == dict.fromkeys(ids, "moved")
    assert {job.record.machine for job in (await source.inspect(ids)).jobs} == {target.name}
    assert await on_the_way(source) == {}
    assert (await source.statistics()).counts["live"] == 0
    assert (await target.statistics()).counts["live"] == JOBS


async def test_a_crash_after_the_first_step_is_finished_by_the_sweeper(
    cells: tuple[Cell, Cell], new_id: Callable[[], str]
) -> None:
    """The job is in no lane, listed as on its way, and arrives when somebody sweeps."""
    source, target = cells
    (job_id,) = await submitted(source, new_id, 1)
    out = {"jobs": [{"id": job_id, "transfer": "lost1"}], "target": target.name}
    await source.call("transfer_out", out, dict[str, list[object]])
    assert list(await on_the_way(source)) == [job_id]

    assert await sweep(source, {target.name: target}, older_than_ms=5_000, now_ms=1_004_000, new_id=new_id) == Moves()
    moves = await sweep(source, {target.name: target}, older_than_ms=5_000, now_ms=1_006_000, new_id=new_id)

    assert moves.moved == (job_id,)
    assert await statuses(target, [job_id]) == {job_id: "queued"}


async def test_a_crash_after_the_second_step_does_not_make_two_jobs(
    cells: tuple[Cell, Cell], new_id: Callable[[], str]
) -> None:
    """The sweeper repeats the arrival under the same transfer id; the other cell has the job once."""
    source, target = cells
    (job_id,) = await submitted(source, new_id, 1)
    await move(_deaf_to(source, "transfer_done"), target, [job_id], new_id=new_id)
    assert list(await on_the_way(source)) == [job_id]

    await sweep(source, {target.name: target}, older_than_ms=0, now_ms=2_000_000, new_id=new_id)

    assert (await target.statistics()).counts["live"] == 1
    assert await statuses(source, [job_id]) == {job_id: "moved"}


async def test_a_target_that_knows_another_job_of_that_id_refuses_and_the_job_waits_where_it_was(
    cells: tuple[Cell, Cell], new_id: Callable[[], str]
) -> None:
    """Refused for good: the source has it back in its lane, and may move it again as a new transfer."""
    source, target = cells
    for cell in cells:
        submitter = Submitter(cell, new_id=new_id, monotonic=time.monotonic)
        await submitter.submit([JobRequest(service="paint", id="same", payload={"in": cell.name})])

    moves = await move(source, target, ["same"], new_id=new_id)

    assert moves.moved == ()
    assert [(job_id, refused.code) for job_id, refused in moves.refused] == [("same", "NS_JOB_EXISTS")]
    assert await statuses(source, ["same"]) == {"same": "queued"}
    assert await on_the_way(source) == {}


async def test_one_job_that_the_target_cannot_know_does_not_hold_up_the_others(
    cells: tuple[Cell, Cell], new_id: Callable[[], str]
) -> None:
    """Each job is judged by itself."""
    source, target = cells
    await source.declare(["service:engrave"], by="test")
    submitter = Submitter(source, new_id=new_id, monotonic=time.monotonic)
    accepted = await submitter.submit([JobRequest(service="engrave"), JobRequest(service="paint")])
    odd, plain = [job.id for job in accepted]

    moves = await move(source, target, [odd, plain], new_id=new_id)

    assert moves.moved == (plain,)
    assert [(job_id, refused.code) for job_id, refused in moves.refused] == [(odd, "NS_UNKNOWN_WORD")]
    assert await statuses(source, [odd]) == {odd: "queued"}


async def test_running_and_unknown_jobs_are_refused_by_name(
    cells: tuple[Cell, Cell], new_id: Callable[[], str]
) -> None:
    """Only what waits can move."""
    source, target = cells

    moves = await move(source, target, ["nobody"], new_id=new_id)

    assert [(job_id, refused.code) for job_id, refused in moves.refused] == [("nobody", "NS_NO_SUCH_JOB")]


class _DeafCell(Cell):
    """A cell whose client dies before one of its calls: the call is not made."""

    unheard = ""

    async def call(self, function, request, reply):  # type: ignore[no-untyped-def]
        if function == self.unheard:
            return reply(jobs=[])
        return await super().call(function, request, reply)


def _deaf_to(cell: Cell, function: str) -> Cell:
    deaf = _DeafCell(cell.client, cell.name)
    deaf.now_ms, deaf.unheard = cell.now_ms, function
    return deaf
