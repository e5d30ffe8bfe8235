"""What is asked of the server, and what of it is heard."""

from __future__ import annotations

import uuid

import pytest

from northstar.connectors.comfyui import ComfyBounds
from northstar.connectors.comfyui.graph import marked
from northstar.connectors.errors import (
    EngineRejected,
)
from northstar.domain.progress import Progress
from northstar.domain.progress_text import describe
from tests.connectors.comfyui.graphs import picture, sampled
from tests.connectors.comfyui.rig import Connect, posted, run_id
from tests.connectors.conformance import hear_nothing
from tests.connectors.conftest import MakeJob
from tests.connectors.fake_comfyui.server import FakeComfyUI


async def test_news_tell_the_queue_the_load_the_node_and_the_step(connect: Connect, make_job: MakeJob) -> None:
    news: list[Progress] = []
    result = await connect().run(make_job(sampled(steps=4)), news.append)
    sentences = [describe(report) for report in news]
    assert sentences[0] == "queued in the engine"
    assert "loading tiny.safetensors (node 1 of 7: CheckpointLoaderSimple)" in sentences
    assert "running (node 5 of 7: KSampler, step 3 of 4)" in sentences
    assert sentences[-1] == "storing: 1 output of the engine"
    fractions = [report.fraction for report in news if report.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0
    assert fractions[-1] > 0.8
    assert [output.media_type for output in result.outputs] == ["image/png"]


async def test_previews_are_passed_on_but_not_all_of_a_fast_sampler(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    fake.sends_previews = True
    now = iter(range(10_000))
    news: list[Progress] = []
    connector = connect(clock=lambda: next(now) * 0.01)
    await connector.run(make_job(sampled(steps=12)), news.append)
    previews = [report.preview for report in news if report.preview is not None]
    assert 0 < len(previews) < 12
    assert all(preview.startswith(b"\xff\xd8\xff") for preview in previews)


async def test_a_preview_that_is_too_large_is_left_out(fake: FakeComfyUI, connect: Connect, make_job: MakeJob) -> None:
    fake.sends_previews = True
    news: list[Progress] = []
    await connect(bounds=ComfyBounds(preview_bytes=4)).run(make_job(sampled()), news.append)
    assert not any(report.preview for report in news)


async def test_the_order_names_the_run_and_never_a_number(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    job = make_job(picture() | {"extra_data": {"extra_pnginfo": {"workflow": {}}}})
    await connect().run(job, hear_nothing)
    (body,) = posted(fake)
    assert set(body) == {"prompt", "prompt_id", "client_id", "extra_data"}
    assert body["prompt_id"] == str(uuid.UUID(body["prompt_id"])) == run_id(job.id)


async def test_a_graph_that_ran_before_is_done_again_only_where_it_leaves_its_files(
    connect: Connect, make_job: MakeJob
) -> None:
    connector = connect()
    first = await connector.run(make_job(picture()), hear_nothing)
    second = await connector.run(make_job(picture()), hear_nothing)
    assert (first.summary["cached_nodes"], second.summary["cached_nodes"]) == (0, 2)
    assert second.outputs[0].sha256 == first.outputs[0].sha256
    assert second.outputs[0].name != first.outputs[0].name


async def test_a_graph_that_ran_before_delivers_though_the_outputs_were_deleted_since(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    for leaf in ("SaveImage", "PreviewImage"):
        for _time in range(2):
            assert (await connect().run(make_job(picture(leaf=leaf)), hear_nothing)).outputs
            fake.disk.files.clear()


async def test_a_graph_that_ran_before_never_delivers_what_another_left_under_the_same_name(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    fake.keeps_its_cache = True
    connector = connect()
    await connector.ready()
    red, blue = picture(colour=0xFF0000), picture(colour=0x0000FF)
    first = await connector.run(make_job(red), hear_nothing)
    fake.disk.files.clear()
    other = await connector.run(make_job(blue), hear_nothing)
    again = await connector.run(make_job(red), hear_nothing)
    assert first.outputs[0].name == other.outputs[0].name
    assert first.outputs[0].sha256 == again.outputs[0].sha256 != other.outputs[0].sha256


def test_every_node_that_leaves_outputs_is_told_the_run_and_no_other() -> None:
    graph = picture(leaves=2)["prompt"]
    graph["5"] = {"class_type": "SaveAndPass", "inputs": {"images": ["1", 0]}}
    graph["1001"]["inputs"]["image"] = ["5", 0]
    told = marked(graph, "run-1", saving={"SaveAndPass", "SaveImage"})
    assert {node for node, entry in told.items() if entry["inputs"].get("northstar_run")} == {"5", "1000", "2000"}
    assert {node: told[node] for node in ("1", "1001", "2001")} == {node: graph[node] for node in ("1", "1001", "2001")}
    assert "northstar_run" not in graph["5"]["inputs"], "the job's own payload stays as it is"


async def test_the_server_says_what_it_can_do(connect: Connect) -> None:
    facts = await connect().facts()
    assert facts.version == "0.3.64"
    assert {"KSampler", "SaveImage"} <= facts.node_classes
    assert facts.devices[0].vram_total == 32 * 1024**3
    assert facts.models == {"checkpoints": ("tiny.safetensors",)}


async def test_the_warm_up_is_the_configured_graph_where_there_is_one(fake: FakeComfyUI, connect: Connect) -> None:
    await connect(warm_up=sampled(steps=1)).ready()
    assert posted(fake)[0]["prompt"]["4"]["class_type"] == "KSampler"
    await connect().ready()
    assert posted(fake)[1]["prompt"]["2"]["class_type"] == "PreviewImage"


async def test_a_server_without_the_nodes_of_the_warm_up_is_not_ready(fake: FakeComfyUI, connect: Connect) -> None:
    fake.answers["/object_info"] = (200, b'{"KSampler": {}}')
    with pytest.raises(EngineRejected, match="a warm_up must be configured"):
        await connect().ready()
