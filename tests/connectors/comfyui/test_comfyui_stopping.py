"""Stopping a run, and only that one."""

from __future__ import annotations

import asyncio

import pytest

from northstar.connectors.comfyui import ComfyPatience
from northstar.connectors.errors import (
    EngineGone,
    RunInterrupted,
)
from tests.connectors.comfyui.graphs import picture
from tests.connectors.comfyui.rig import Connect, Started, posted, run_id
from tests.connectors.conftest import MakeJob
from tests.connectors.fake_comfyui.server import FakeComfyUI
from tests.connectors.processes import until


async def test_a_stranger_that_runs_is_not_interrupted_by_our_cancellation(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    fake.reads_interrupt_id = False  # an old server, which stops whatever runs
    stranger = await Started(connect(), make_job, picture(blurs=25)).until_it_says("node 2 of")
    ours = Started(connect(), make_job)
    await until(lambda: bool(fake.pending))
    ours.task.cancel()
    await asyncio.gather(ours.task, return_exceptions=True)
    assert (await stranger.task).outputs


async def test_a_submission_that_is_cancelled_leaves_no_run(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    run = Started(connect(), make_job)
    await until(lambda: bool(posted(fake)))
    run.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run.task
    assert (fake.running, fake.pending) == (None, [])


async def test_an_interruption_by_somebody_else_is_named_and_may_be_tried_again(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    run = await Started(connect(), make_job).until_it_says("node 3 of")
    fake.interrupt(None)
    with pytest.raises(RunInterrupted, match=r"interrupted at node \d+ \(ImageBlur\), not by its owner") as caught:
        await run.task
    assert (caught.value.code, caught.value.retryable) == ("NS_ENGINE_RUN_INTERRUPTED", True)


async def test_a_run_that_somebody_removed_from_the_queue_is_gone(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    first = await Started(connect(), make_job).until_it_says("node 2 of")
    second = Started(connect(), make_job)
    await until(lambda: bool(fake.pending))
    fake.delete([run_id(second.job.id)])
    with pytest.raises(EngineGone, match="restarted or cleared"):
        await second.task
    first.task.cancel()
    await asyncio.gather(first.task, return_exceptions=True)


async def test_a_newer_server_is_asked_to_cancel_by_id_and_nothing_else(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    fake.is_newer = True
    run = await Started(connect(), make_job).until_it_says("node 2 of")
    run.task.cancel()
    await asyncio.gather(run.task, return_exceptions=True)
    orders = [path for method, path, _body in fake.calls if method == "POST"]
    assert orders == ["/prompt", f"/api/jobs/{run_id(run.job.id)}/cancel"]


async def test_an_older_server_is_asked_only_once_whether_it_can_cancel_by_id(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    connector = connect()
    for _job in range(2):
        run = await Started(connector, make_job).until_it_says("node 2 of")
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)
    assert sum(path.startswith("/api/jobs") for _method, path, _body in fake.calls) == 1
    assert [path for _method, path, _body in fake.calls].count("/interrupt") == 2


async def test_a_node_that_does_not_stop_holds_the_cancellation_up_only_so_long(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    fake.ignores_interruptions = True
    run = await Started(connect(patience=ComfyPatience(stop_s=0.2)), make_job).until_it_says("node 2 of")
    run.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run.task
    assert fake.running is not None
