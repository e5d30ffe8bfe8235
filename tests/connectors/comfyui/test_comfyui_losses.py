"""Losing the socket, the server, or ourselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from northstar.connectors.comfyui import ComfyPatience
from northstar.connectors.errors import (
    EngineGone,
    EngineOutOfMemory,
    EngineTimeout,
    MalformedAnswer,
)
from northstar.domain.progress import Progress
from tests.connectors.comfyui.graphs import failing, picture
from tests.connectors.comfyui.rig import LONG, PATIENT, QUICK, Connect, Started, posted
from tests.connectors.conformance import hear_nothing
from tests.connectors.conftest import MakeJob
from tests.connectors.fake_comfyui.server import FakeComfyUI
from tests.connectors.processes import until


async def test_a_lost_socket_is_opened_again_and_the_run_goes_on(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    run = await Started(connect(), make_job, picture(blurs=30)).until_it_says("node 3 of")
    fake.hang_up()
    heard = len(run.news)
    result = await run.task
    assert len(run.news) > heard + 1
    assert result.outputs
    assert len(posted(fake)) == 1


@pytest.mark.parametrize("fault", ["withholds_frames", "drops_sockets_at_once"])
async def test_without_frames_the_history_tells_the_end(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob, fault: str
) -> None:
    setattr(fake, fault, True)
    assert (await connect().run(make_job(picture()), hear_nothing)).outputs


async def test_without_a_history_the_frames_tell_the_end(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    fake.loses_history = True
    assert (await connect().run(make_job(picture()), hear_nothing)).outputs


async def test_a_run_in_progress_is_followed_by_the_next_agent_and_not_submitted_again(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await Started(connect(), make_job, picture(blurs=30)).until_it_says("node 3 of")

    async def killed(*_anything: Any, **_else: Any) -> bool:
        return True  # an agent that is killed stops nothing

    with monkeypatch.context() as patch:
        patch.setattr("northstar.connectors.comfyui.connector.stop_run", killed)
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)
    assert fake.running is not None
    news: list[Progress] = []
    result = await connect().run(run.job, news.append)
    assert result.summary["recovered"] is True
    assert any(report.node_name == "ImageBlur" for report in news)
    assert len(posted(fake)) == 1


async def test_a_run_that_has_ended_meanwhile_is_only_fetched(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    job = make_job(picture())
    await connect().run(job, hear_nothing)
    again = make_job(picture())
    result = await connect().run(
        type(job)(id=job.id, service="any", payload=job.payload, workspace=again.workspace), hear_nothing
    )
    assert result.outputs
    assert result.summary["recovered"] is True
    assert len(posted(fake)) == 1


async def test_an_attempt_that_failed_does_not_stand_in_the_way_of_the_next(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    connector, job = connect(), make_job(failing("torch.OutOfMemoryError", "Allocation on device"))
    for _attempt in range(2):
        with pytest.raises(EngineOutOfMemory):
            await connector.run(job, hear_nothing)
    assert len(posted(fake)) == 2


async def test_a_server_that_was_restarted_has_lost_the_run(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    run = await Started(connect(), make_job).until_it_says("node 3 of")
    await fake.restart()
    with pytest.raises(EngineGone, match="no longer knows the run") as caught:
        await run.task
    assert caught.value.retryable


async def test_nobody_at_the_address_is_an_engine_that_is_gone(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    connector = connect()
    await fake.stop()
    with pytest.raises(EngineGone, match="check that its process runs"):
        await connector.ready()
    with pytest.raises(EngineGone):
        await connector.run(make_job(picture()), hear_nothing)


async def test_a_run_without_a_sign_of_life_is_given_up_and_stopped(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    fake.withholds_frames = True
    with pytest.raises(EngineTimeout, match=r"no sign of life within 0\.2 s"):
        await connect(patience=PATIENT).run(make_job(LONG), hear_nothing)
    await until(lambda: fake.running is None)


async def test_what_an_extension_tells_everybody_is_no_sign_of_life(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    fake.chatters = True
    fake.withholds_frames = True
    with pytest.raises(EngineTimeout, match="no sign of life"):
        await connect(patience=PATIENT).run(make_job(LONG), hear_nothing)


async def test_a_call_without_an_answer_is_given_up(fake: FakeComfyUI, connect: Connect, make_job: MakeJob) -> None:
    fake.silent_to = "/prompt"
    with pytest.raises(EngineTimeout, match=r"no answer to POST /prompt within 0\.2 s"):
        await connect(patience=QUICK).run(make_job(picture()), hear_nothing)


async def test_a_socket_that_is_refused_says_what_listens_there(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    fake.refuses_sockets = True
    with pytest.raises(MalformedAnswer, match="403"):
        await connect().run(make_job(picture()), hear_nothing)


async def test_a_server_too_busy_to_answer_is_not_taken_for_gone(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    patience = ComfyPatience(answer_s=0.1, poll_s=0.05, reconnect_s=0.1, silence_s=20.0)
    run = await Started(connect(patience=patience), make_job, picture(blurs=10)).until_it_says("node 2 of")
    fake.withholds_frames, fake.silent_to = True, "/queue"
    already = len(fake.calls)
    await until(lambda: sum(path == "/queue" for _method, path, _body in fake.calls[already:]) >= 3)
    fake.silent_to = ""
    assert (await run.task).outputs
