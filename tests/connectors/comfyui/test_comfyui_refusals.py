"""What the server refuses, what its nodes raise, and answers that break the protocol."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.connectors.comfyui import ComfyBounds
from northstar.connectors.errors import (
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineOutOfMemory,
    EngineRejected,
    EngineTimeout,
    MalformedAnswer,
    NodeFailed,
    NodeFailedForNow,
    OutputMissing,
)
from tests.connectors.comfyui.graphs import failing, picture, sampled
from tests.connectors.comfyui.rig import LONG, PATIENT, Connect, Started, posted
from tests.connectors.conformance import hear_nothing
from tests.connectors.conftest import MakeJob
from tests.connectors.fake_comfyui.server import FakeComfyUI
from tests.connectors.processes import until


@pytest.mark.parametrize(
    ("exception_type", "message", "error"),
    [
        ("torch.OutOfMemoryError", "Allocation on device", EngineOutOfMemory),
        ("torch.cuda.OutOfMemoryError", "CUDA out of memory", EngineOutOfMemory),
        ("RuntimeError", "CUDA out of memory. Tried to allocate", EngineOutOfMemory),
        (
            "torch.AcceleratorError",
            "CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation'",
            EngineOutOfMemory,
        ),
        ("RuntimeError", "MPS backend out of memory (MPS allocated: 5.00 GB)", EngineOutOfMemory),
        (
            "RuntimeError",
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried",
            EngineOutOfMemory,
        ),
        ("RuntimeError", "a prompt about a computer out of memory", NodeFailed),
        ("MemoryError", "", EngineOutOfMemory),
        ("torch.AcceleratorError", "CUDA error: an illegal memory access", NodeFailedForNow),
        ("RuntimeError", "CUDA error: device-side assert", NodeFailedForNow),
        ("OSError", "[Errno 28] No space left on device", NodeFailedForNow),
        ("safetensors_rust.SafetensorError", "Error while deserializing header", NodeFailedForNow),
        ("RuntimeError", "mat1 and mat2 shapes cannot be multiplied", NodeFailed),
        ("ValueError", "CUDA out of memory is only a phrase here", NodeFailed),
    ],
)
async def test_an_error_of_a_node_is_worth_another_try_if_the_machine_is_to_blame(
    connect: Connect, make_job: MakeJob, exception_type: str, message: str, error: type[NodeFailed]
) -> None:
    with pytest.raises(NodeFailed, match=r"node 2 \(TestFailure\) failed") as caught:
        await connect().run(make_job(failing(exception_type, message)), hear_nothing)
    assert type(caught.value) is error
    assert caught.value.retryable is (error is not NodeFailed)
    assert (caught.value.node, caught.value.node_class) == ("2", "TestFailure")
    assert caught.value.exception_type == exception_type


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ({"prompt": {}}, "a graph in ComfyUI's API format"),
        ({}, "a graph in ComfyUI's API format"),
        ({"prompt": {"nodes": [], "links": []}}, "export it for the API"),
        ({"prompt": {"1": {"class_type": "A"}}}, "node '1' needs `class_type` and `inputs`"),
        (picture() | {"number": None}, "unknown parts 'number'"),
        (picture() | {"extra_data": {"client_id": "x"}}, "without `client_id`"),
        (picture() | {"inputs": {"a.png": {"path": "/etc/passwd"}}}, "must be either"),
        (picture() | {"inputs": {"a.png": {"data": "aGk="}}}, "no node of the graph names the input 'a.png'"),
        (picture() | {"inputs": {"a.png": {"data": "?"}}}, "is no base64"),
        (picture() | {"inputs": {"a.png": {"data": ""}}}, "is empty"),
        (picture() | {"inputs": {"a.png": {"url": "file:///etc/passwd"}}}, "not http, https or data"),
        (picture() | {"inputs": {"a.png": {"url": "http://127.0.0.1:1/a"}}}, "not public"),
        (picture() | {"inputs": {"a.png": {"url": "http://localhost:1/a"}}}, "not public"),
        (picture() | {"inputs": {"a.png": {"url": "http://169.254.169.254/latest"}}}, "not public"),
    ],
)
async def test_a_payload_that_cannot_work_is_refused_before_anything_runs(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob, payload: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(EngineRejected, match=sentence):
        await connect().run(make_job(payload), hear_nothing)
    assert not posted(fake)


async def test_a_model_that_is_not_there_is_named_with_its_node(connect: Connect, make_job: MakeJob) -> None:
    payload = sampled()
    payload["prompt"]["1"]["inputs"]["ckpt_name"] = "sd15.safetensors"
    with pytest.raises(EngineRejected, match=r"node 1 \(CheckpointLoaderSimple\): value_not_in_list: ckpt_name: 'sd15"):
        await connect().run(make_job(payload), hear_nothing)


@pytest.mark.parametrize(
    ("is_newer", "words"),
    [
        (False, "invalid_prompt: Cannot execute because node NoSuchNode does not exist"),
        (True, "missing_node_type: Node 'NoSuchNode' not found"),
    ],
)
async def test_a_class_that_is_not_there_is_named_in_the_words_of_older_and_newer_servers(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob, is_newer: bool, words: str
) -> None:
    fake.is_newer = is_newer
    with pytest.raises(EngineRejected, match=words):
        await connect().run(make_job({"prompt": {"7": {"class_type": "NoSuchNode", "inputs": {}}}}), hear_nothing)


async def test_a_graph_that_would_be_done_only_in_part_is_refused_whole(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    payload = picture()
    bad = {"images": ["1", 0], "filename_prefix": ["1", 0]}
    payload["prompt"]["8"] = {"class_type": "SaveImage", "inputs": bad}
    with pytest.raises(EngineRejected, match="some outputs cannot be made: node 8"):
        await connect().run(make_job(payload), hear_nothing)
    await until(lambda: fake.running is None and not fake.pending)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (("/prompt", 503, b""), EngineBusy),
        (("/prompt", 500, b"500 Internal Server Error"), EngineFailed),
        (("/prompt", 504, b""), EngineTimeout),
        (("/prompt", 401, b""), EngineRejected),
        (("/prompt", 302, b""), MalformedAnswer),
        (("/prompt", 200, b"<html>"), MalformedAnswer),
        (("/prompt", 200, b"{}"), MalformedAnswer),
        (("/queue", 200, b'{"queue_running": 3, "queue_pending": []}'), MalformedAnswer),
        (("/history", 200, b"[]"), MalformedAnswer),
        (("/history", 200, b'{"x": {"status": {"messages": "none"}}}'), MalformedAnswer),
        (("/view", 500, b""), EngineFailed),
        (("/view", 404, b""), OutputMissing),
    ],
)
async def test_an_answer_that_breaks_the_protocol_has_its_class(
    fake: FakeComfyUI,
    connect: Connect,
    make_job: MakeJob,
    answer: tuple[str, int, bytes],
    error: type[EngineError],
) -> None:
    path, status, body = answer
    fake.answers[path] = (status, body)
    with pytest.raises(error):
        await connect(patience=PATIENT).run(make_job(picture()), hear_nothing)


async def test_an_answer_without_an_end_is_cut_off(fake: FakeComfyUI, connect: Connect, make_job: MakeJob) -> None:
    fake.answers["/history"] = (200, b" " * 20_000 + b"{}")
    with pytest.raises(MalformedAnswer, match="longer than 10000 bytes"):
        await connect(patience=PATIENT, bounds=ComfyBounds(answer_bytes=10_000)).run(make_job(picture()), hear_nothing)


async def test_a_frame_that_is_no_event_breaks_the_protocol(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    run = await Started(connect(), make_job).until_it_says("node 2 of")
    for socket in fake.sockets.values():
        await socket.send_str("hello")
    with pytest.raises(MalformedAnswer, match="a frame is no event"):
        await run.task
    await until(lambda: fake.running is None)


async def test_a_frame_that_is_too_long_costs_the_socket_and_not_the_run(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    run = await Started(connect(bounds=ComfyBounds(frame_bytes=20_000)), make_job, picture(blurs=10)).until_it_says(
        "node 2 of"
    )
    for socket in fake.sockets.values():
        await socket.send_str(" " * 30_000)
    assert (await run.task).outputs


async def test_a_server_that_gives_runs_names_of_its_own_is_left_as_it_was(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    fake.keeps_prompt_ids = False
    with pytest.raises(MalformedAnswer, match="names of its own"):
        await connect().run(make_job(LONG), hear_nothing)
    assert (fake.running, fake.pending) == (None, [])
