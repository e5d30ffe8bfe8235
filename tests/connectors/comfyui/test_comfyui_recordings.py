"""The fake answers what a real server was recorded to answer; skipped where the recordings are not at hand.

Ids, times, host paths and free text differ; statuses, shapes, kinds of error and the whole order of frames do not.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from northstar.connectors.comfyui.facts import pack_of
from northstar.connectors.comfyui.frames import event
from northstar.connectors.comfyui.progress import RunProgress
from northstar.domain.progress import ProgressOrder
from tests.connectors.fake_comfyui.server import FakeComfyUI
from tests.connectors.processes import until

FOLDER = os.environ.get("NORTHSTAR_COMFYUI_RECORDINGS", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="NORTHSTAR_COMFYUI_RECORDINGS names no folder of recordings")

REFUSED = ("run_bad_node", "run_bad_input", "run_missing_ckpt", "run_no_outputs", "run_priority_front")
RUNS = ("run_ok", "run_cached", "run_partly_cached", "run_own_prompt_id", "run_runtime_error")
#: Keys whose values are words of the protocol and must be the same.
WORDS = frozenset({"type", "status_str", "state", "class_type", "completed", "queue_remaining", "subfolder", "message"})
#: Keys whose values are of the host, or prose.
LEFT_OUT = frozenset({"timestamp", "sid", "traceback", "current_inputs", "exception_message", "current_outputs"})
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NUMBER = re.compile(r"_\d{5}_")


def recorded(name: str) -> Any:
    return json.loads((Path(FOLDER) / f"{name}.json").read_text())


def comparable(frames: list[Any]) -> list[Any]:
    """Frames without what differs from run to run; runs are numbered as they appear."""
    text = _NUMBER.sub("_N_", json.dumps([without_host(frame) for frame in frames]))
    known: dict[str, str] = {}
    text = _ID.sub(lambda found: known.setdefault(found[0], f"run {len(known)}"), text)
    decoded: list[Any] = json.loads(text)
    return decoded


def without_host(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "…" if key in LEFT_OUT else without_host(part) for key, part in value.items()}
    return [without_host(part) for part in value] if isinstance(value, list) else value


def shape(value: Any) -> Any:
    """What a body consists of: keys, kinds of values, and the words of the protocol."""
    if isinstance(value, dict):
        entries = {
            "<id>" if _ID.fullmatch(key) else key: part if key in WORDS else shape(part) for key, part in value.items()
        }
        return {key: "…" if key in LEFT_OUT else part for key, part in entries.items()}
    if isinstance(value, list):
        shapes = [shape(part) for part in value]
        return sorted(set(shapes)) if all(isinstance(part, str) for part in shapes) else shapes
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


class Client:
    """One client of the fake, with the frames that it has heard."""

    def __init__(self, fake: FakeComfyUI, session: aiohttp.ClientSession, client_id: str) -> None:
        self.fake = fake
        self.client_id = client_id
        self.frames: list[Any] = []
        self._session = session

    async def call(self, method: str, path: str, **request: Any) -> tuple[int, str, Any, Any]:
        async with self._session.request(method, self.fake.url + path, **request) as response:
            body = await response.read()
            try:
                decoded = json.loads(body)
            except ValueError:
                decoded = body.decode(errors="replace")
            return response.status, response.headers.get("Content-Type", ""), decoded, response.headers

    async def submit(self, request: dict[str, Any]) -> tuple[int, Any]:
        status, _kind, body, _headers = await self.call("POST", "/prompt", json=request | {"client_id": self.client_id})
        return status, body

    async def run(self, request: dict[str, Any]) -> tuple[str, list[Any]]:
        """Submit, and wait for the last frame of the run."""
        already = len(self.frames)
        status, body = await self.submit(request)
        assert status == 200, body
        await until(lambda: any(ends(frame) for frame in self.frames[already:]))
        return body["prompt_id"], self.frames[already:]

    async def hear(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            self.frames.append(json.loads(message.data))


def ends(frame: dict[str, Any]) -> bool:
    return frame["type"] == "executing" and frame["data"]["node"] is None


@pytest.fixture
async def fake() -> AsyncIterator[FakeComfyUI]:
    async with FakeComfyUI(pace_s=0.02).serving() as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeComfyUI) -> AsyncIterator[Client]:
    client_id = uuid.uuid4().hex
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{fake.url}/ws?clientId={client_id}") as socket,
    ):
        client = Client(fake, session, client_id)
        await socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": False}})
        hearing = asyncio.create_task(client.hear(socket))
        await until(lambda: len(client.frames) == 2)
        yield client
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


@pytest.mark.parametrize("name", REFUSED)
async def test_a_graph_that_was_refused_is_refused_in_the_same_words(client: Client, name: str) -> None:
    recording = recorded(name)
    status, body = await client.submit(recording["request"])
    assert status == recording["response"]["status"]
    if status == 500:
        return
    assert body["error"] == recording["response"]["body"]["error"]
    expected = recording["response"]["body"]["node_errors"]
    assert set(body["node_errors"]) == set(expected)
    for node, entry in expected.items():
        found = body["node_errors"][node]
        assert (found["class_type"], found["dependent_outputs"]) == (entry["class_type"], entry["dependent_outputs"])
        for got, error in zip(found["errors"], entry["errors"], strict=True):
            assert {key: got[key] for key in ("type", "message", "details")} == {
                key: error[key] for key in ("type", "message", "details")
            }
            assert set(got["extra_info"]) == set(error["extra_info"])


async def test_runs_send_the_same_frames_and_leave_the_same_history(client: Client) -> None:
    for name in RUNS:
        recording = recorded(name)
        run_id, frames = await client.run(recording["request"])
        assert comparable(frames) == comparable([frame for _at, frame in recording["ws"]]), name
        if "prompt_id" in recording["request"]:
            assert run_id == recording["request"]["prompt_id"]
        (entry,) = recording["history"]["body"].values()
        (found,) = (await client.call("GET", f"/history/{run_id}"))[2].values()
        assert shape(found) == shape(entry), name
        assert found["status"]["status_str"] == entry["status"]["status_str"]


async def test_a_sampler_sends_the_same_steps_twice_and_fewer_nodes_the_second_time(fake: FakeComfyUI) -> None:
    fake.checkpoints, fake.pace_s = ("tiny.safetensors",), 0.0
    client_id = uuid.uuid4().hex
    sampler = {
        "model": ["1", 0],
        "seed": 1,
        "steps": 8,
        "cfg": 4.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "positive": ["2", 0],
        "negative": ["3", 0],
        "latent_image": ["5", 0],
        "denoise": 1.0,
    }
    graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny.safetensors"}},
        "2": {"class_type": "TestConditioning", "inputs": {}},
        "3": {"class_type": "TestConditioning", "inputs": {}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "4": {"class_type": "KSampler", "inputs": sampler},
        "6": {"class_type": "VAEDecode", "inputs": {"vae": ["1", 2], "samples": ["4", 0]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "tiny"}},
    }
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{fake.url}/ws?clientId={client_id}") as socket,
    ):
        client = Client(fake, session, client_id)
        await socket.send_json({"type": "feature_flags", "data": {}})
        hearing = asyncio.create_task(client.hear(socket))
        await until(lambda: len(client.frames) == 2)
        await client.run({"prompt": graph})
        sampler["seed"] = 2
        await client.run({"prompt": graph})
        hearing.cancel()
    expected = comparable([*recorded("run_ksampler_1_ws"), *recorded("run_ksampler_2_ws")])
    assert comparable(client.frames)[: len(expected)] == expected


async def test_the_queue_deletes_and_interrupts_as_recorded(client: Client, fake: FakeComfyUI) -> None:
    fake.pace_s = 0.3  # a node is still at work when the order to stop it comes
    ids = [(await client.submit(recorded(f"run_long{number}")["request"]))[1]["prompt_id"] for number in (1, 2, 3)]
    await until(lambda: fake.running is not None)
    assert shape((await client.call("GET", "/queue"))[2]) == shape(recorded("GET_queue_busy")["body"])

    async def until_second_nodes(count: int) -> None:
        await until(lambda: [frame["data"].get("node") for frame in client.frames].count("2") == count)

    await until_second_nodes(1)
    await same_answer(client, "POST_queue_delete", json={"delete": [ids[2]]})
    await same_answer(client, "POST_interrupt", json={"prompt_id": ids[0]})
    await until(lambda: any(ends(frame) for frame in client.frames))
    await until_second_nodes(2)
    await same_answer(client, "POST_interrupt", json={"prompt_id": ids[0]})  # another's id: nothing happens
    await same_answer(client, "POST_interrupt", json={"prompt_id": ids[1]})
    await until(lambda: sum(map(ends, client.frames)) == 2)
    expected = [frame for _at, frame in recorded("run_interrupt_ws")]
    assert comparable(from_work(client.frames)) == comparable(from_work(expected))
    found = (await client.call("GET", f"/history/{ids[0]}"))[2]
    assert shape(found) == shape(recorded("GET_history_interrupted")["body"])


def from_work(frames: list[Any]) -> list[Any]:
    """From the first node on, without the statuses of the three submissions, which fall as they may."""
    submitted = max(at for at, frame in enumerate(frames) if queued(frame) == 3)
    kept = [frame for at, frame in enumerate(frames) if at > submitted or queued(frame) is None]
    return list(itertools.dropwhile(lambda frame: frame["type"] != "executing", kept))


def queued(frame: dict[str, Any]) -> int | None:
    found: int | None = frame["data"].get("status", {}).get("exec_info", {}).get("queue_remaining")
    return found


async def same_answer(client: Client, name: str, *, path: str = "", **request: Any) -> Any:
    recording = recorded(name)
    method, path = recording["method"], path or recording["path"]
    status, kind, body, headers = await client.call(method, path, **request)
    assert status == recording["status"], name
    if status == 200 and recording["ctype"]:
        assert kind == recording["ctype"], name
    if isinstance(recording["body"], dict | list):
        assert shape(body) == shape(recording["body"]), name
    return headers


CALLS = (
    *("GET_system_stats", "GET_api_system_stats", "GET_embeddings", "GET_features", "GET_history_empty", "GET_jobs"),
    *("GET_models_bad", "GET_models_checkpoints", "GET_prompt_get", "GET_queue_empty", "GET_users"),
    "GET_view_metadata_bad",
)


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_is_answered_with_the_same_status_and_shape(client: Client, name: str) -> None:
    await same_answer(client, name)


async def test_orders_and_files_are_answered_alike(client: Client, fake: FakeComfyUI) -> None:
    await same_answer(client, "POST_free", json={"unload_models": True})
    form = aiohttp.FormData()
    form.add_field("image", b"\x89PNG", filename="up.png")
    await same_answer(client, "POST_upload_image", data=form)
    await client.run(recorded("run_ok")["request"])
    headers = await same_answer(client, "GET_view")
    assert headers["Content-Disposition"] == recorded("GET_view")["headers"]["Content-Disposition"]


async def test_models_and_nodes_are_listed_alike(client: Client) -> None:
    listed = (await client.call("GET", "/models"))[2]
    assert sorted(listed) == sorted(recorded("GET_models")["body"])
    experiment = (await client.call("GET", "/experiment/models"))[2]
    assert {entry["name"] for entry in experiment} == {
        entry["name"] for entry in recorded("GET_experiment_models")["body"]
    }
    for name in ("KSampler", "SaveImage"):
        expected = recorded(f"GET_object_info_{name}")["body"][name]
        found = (await client.call("GET", f"/object_info/{name}"))[2][name]
        assert set(found["input"]["required"]) == set(expected["input"]["required"])
        for key in ("output", "output_node", "output_is_list", "name", "category", "python_module"):
            assert found[key] == expected[key], (name, key)
        assert pack_of(msgspec.Raw(json.dumps(expected).encode())) == "", "ComfyUI's own class"
        assert found["input_order"]["required"] == expected["input_order"]["required"]


def test_every_recording_is_replayed() -> None:
    used = {
        *(*REFUSED, *RUNS, *CALLS, "run_long1", "run_long2", "run_long3", "run_interrupt_ws", "GET_queue_busy"),
        *("run_ksampler_1_ws", "run_ksampler_2_ws", "GET_history_interrupted", "POST_queue_delete", "POST_interrupt"),
        *("POST_free", "POST_upload_image", "GET_view", "GET_models", "GET_experiment_models"),
        *("GET_object_info_KSampler", "GET_object_info_SaveImage"),
    }
    assert {path.stem for path in Path(FOLDER).glob("*.json")} == used


@pytest.mark.parametrize(
    ("name", "nodes", "steps"), [("run_ksampler_1_ws", 7, 8), ("run_ok", 4, None), ("run_partly_cached", 3, None)]
)
def test_recorded_frames_tell_every_node_and_step_in_order(name: str, nodes: int, steps: int | None) -> None:
    recording = recorded(name)
    frames = recording if isinstance(recording, list) else [frame for _, frame in recording["ws"]]
    ids = {frame["data"]["node"] for frame in frames if frame["type"] == "executing" and frame["data"]["node"]}
    cached = {node for frame in frames if frame["type"] == "execution_cached" for node in frame["data"]["nodes"]}
    progress, order = RunProgress(dict.fromkeys(ids | cached, "KSampler")), ProgressOrder()
    news = [progress.hear(event(json.dumps(frame)), now=0.0) for frame in frames]
    told = [one for one in news if one is not None]
    assert all(order.hear("1.n.1", one) is not None for one in told)
    assert list(dict.fromkeys(one.node for one in told if one.node)) == list(range(1, nodes + 1))
    assert {one.nodes for one in told if one.node} == {nodes}
    assert [one.step for one in told if one.step] == list(range(1, (steps or 0) + 1))
