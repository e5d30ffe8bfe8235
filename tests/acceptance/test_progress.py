"""Whoever watches a job is told the truth in order, from its place in the queue to its end.

A real broker whose front a machine dials, the agent's own parts, a source that has the model which the machine lacks, and a
ComfyUI that sends the frames of a recorded one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from northstar.agent.dialing import Backoff, Dialling
from northstar.agent.engine import ConnectorRunner
from northstar.agent.model_runner import ModelRunner
from northstar.agent.models.store import ModelStore
from northstar.agent.outputs import UploadedOutputs
from northstar.agent.presence import FixedPresence
from northstar.agent.worker import Worker
from northstar.agent.worker_settings import WorkerSettings
from northstar.connectors.comfyui import ComfyUIConnector
from northstar.connectors.secret import Secret
from northstar.domain.jobs import JobRequest
from northstar.domain.machines import MachineProfile
from northstar.domain.models import ModelNeed
from northstar.domain.requirements import Requirements
from northstar.store.progress import channel
from northstar.surfaces.cli.watch import follow
from northstar.surfaces.cli.watch_lines import WatchLines
from tests import servers
from tests.agent.models.builders import safetensors, store
from tests.agent.models.origin import origin
from tests.broker.gateway.rig import Fleet
from tests.connectors.comfyui.graphs import sampled
from tests.connectors.fake_comfyui.server import FakeComfyUI
from tests.servers import eventually

PROFILE = MachineProfile(pools=("standard",), services=("picture",))
STEPS = 6
MODEL = safetensors(3_000_000)


@contextlib.asynccontextmanager
async def painter(fleet: Fleet, url: str, engine: FakeComfyUI, models: ModelStore, folder: Path) -> AsyncIterator[None]:
    """A machine with ComfyUI and a models folder, at work."""
    connector = ComfyUIConnector(engine.url, service="picture")
    dialling = Dialling(http_url=url, token=Secret(await fleet.token()))
    backoff = Backoff(first_s=0.05, longest_s=0.2)
    async with aiohttp.ClientSession() as http, fleet.dialling(url) as link:
        outputs = UploadedOutputs(http, dialling, backoff=backoff, jitter=random.random)
        worker = Worker(
            link,
            ModelRunner(ConnectorRunner({"picture": connector}, outputs=outputs, workspaces=folder), models),
            profile=PROFILE,
            presence=FixedPresence(),
            settings=WorkerSettings(slots=1, drain_s=5.0, renew_every_s=0.2),
            jitter=random.random,
        )
        async with fleet.working(worker):
            yield
        await connector.close()


async def test_a_watcher_sees_queued_fetching_loading_running_storing_and_the_end_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work").mkdir()
    engine = FakeComfyUI(checkpoints=("tiny.safetensors",), pace_s=0.12)
    async with (
        servers.embedded_valkey() as server,
        Fleet(server.url, tmp_path) as fleet,
        fleet.front() as front,
        fleet.dispatching(),
        engine.serving(),
        origin(MODEL) as source,
        store(tmp_path / "models") as models,
    ):
        await fleet.cell.declare(["service:picture"], by="test")
        need = ModelNeed(
            name="tiny.safetensors", size_bytes=len(MODEL), sha256=source.sha256, sources=(f"{source.url}/tiny",)
        )
        wanted = JobRequest(
            service="picture", id="sky", payload=sampled(steps=STEPS), requires=Requirements(models=(need,))
        )
        await fleet.submitter.submit([wanted])
        watching = asyncio.create_task(follow(fleet.cell, "sky", WatchLines(as_json=True)))

        async def is_watched() -> bool:
            return bool(
                (await fleet.cell.client.execute_command("PUBSUB", "SHARDNUMSUB", channel(fleet.cell, "sky")))[1]
            )

        await eventually(is_watched, what="the watcher listens")
        async with painter(fleet, front.url, engine, models, tmp_path / "work"):
            view = await asyncio.wait_for(watching, 30)
    told_lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    events: list[dict[str, Any]] = [json.loads(line) for line in told_lines]
    assert view.status == "succeeded"
    assert stages(events) == ["queued", "running", "fetching", "loading", "running", "storing", "succeeded"]
    place, *_ = [event for event in events if event["event"] == "place"]
    assert (place["position"], place["eta_s"], place["why"]) == (1, None, "no machine is here")
    told = [event for event in events if event["event"] == "progress"]
    fetched = [event for event in told if event["phase"] == "fetching"]
    assert {(event["model"], event["bytes_total"]) for event in fetched} == {("tiny.safetensors", len(MODEL))}
    counts = [event["bytes_done"] for event in fetched]
    assert counts == sorted(counts)
    assert counts[-1] == len(MODEL)
    assert {(event["model"], event["node_name"]) for event in told if event["phase"] == "loading"} == {
        ("tiny.safetensors", "CheckpointLoaderSimple")
    }
    assert [event["node"] for event in told if event["node"]] == sorted(
        event["node"] for event in told if event["node"]
    )
    assert {event["nodes"] for event in told if event["node"]} == {7}
    steps = [event["step"] for event in told if event["step"]]
    assert steps == sorted(steps)
    assert set(steps) <= set(range(1, STEPS + 1))
    assert {event["steps"] for event in told if event["step"]} == {STEPS}
    (file,) = view.result["outputs"]
    assert told[-1]["phase"] == "storing"
    assert told[-1]["bytes_done"] == told[-1]["bytes_total"] == file["asset"]["size_bytes"]


def stages(events: list[dict[str, Any]]) -> list[str]:
    """States and phases as a person reads them, each once while it lasts."""
    names = [event["job"]["status"] if event["event"] == "state" else event.get("phase") for event in events]
    return [name for name, _ in itertools.groupby(name for name in names if name)]
