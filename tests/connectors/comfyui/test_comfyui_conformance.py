"""The ComfyUI connector before the fake, and before a real server where `NORTHSTAR_COMFYUI_URL` names one."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from northstar.connectors.comfyui import ComfyBounds, ComfyPatience, ComfyUIConnector
from tests.connectors.comfyui.graphs import picture, sampled
from tests.connectors.conformance import ConnectorConformance, Subject, hear_nothing
from tests.connectors.conftest import MakeJob
from tests.connectors.fake_comfyui.server import FakeComfyUI

PATIENCE = ComfyPatience(poll_s=0.2, reconnect_s=0.5)
#: Small enough that a batch of pictures is too much.
BOUNDS = ComfyBounds(output_bytes=40_000)
ENDLESS = picture(blurs=30, leaves=8, leaf="PreviewImage")
BAD = picture(blurs=1)["prompt"] | {"7": {"class_type": "NoSuchNode", "inputs": {}}}


def connector_at(url: str) -> ComfyUIConnector:
    # A service of its own, because a server remembers runs by the job's id, and tests number their jobs from 1.
    return ComfyUIConnector(url, service=f"picture-{uuid.uuid4().hex}", patience=PATIENCE, bounds=BOUNDS)


class ComfyUIConformance(ConnectorConformance):
    async def test_a_graph_that_ran_before_leaves_files_of_its_own(self, subject: Subject, make_job: MakeJob) -> None:
        await subject.connector.ready()
        first, second = [await subject.connector.run(make_job(subject.good), hear_nothing) for _ in range(2)]
        assert second.outputs[0].name != first.outputs[0].name
        assert second.summary["cached_nodes"] == first.summary["nodes"] - 1, "the rest comes out of the cache"


class TestComfyUIConnector(ComfyUIConformance):
    @pytest.fixture
    async def fake(self) -> AsyncIterator[FakeComfyUI]:
        async with FakeComfyUI(checkpoints=("tiny.safetensors",), pace_s=0.03).serving() as fake:
            yield fake

    @pytest.fixture
    async def subject(self, fake: FakeComfyUI) -> AsyncIterator[Subject]:
        connector = connector_at(fake.url)

        async def is_working() -> bool:
            return fake.running is not None or bool(fake.pending)

        def spoil() -> None:
            fake.answers["/prompt"] = (200, b"<html>no answer of ComfyUI's</html>")

        yield Subject(
            connector=connector,
            kind="comfyui",
            good=picture(),
            endless=ENDLESS,
            bad={"prompt": BAD},
            too_much=picture(batch=60, size=256),
            is_working=is_working,
            kill=fake.stop,
            nonsense=picture(),
            spoil=spoil,
            loading=sampled(steps=1_000),
            queues=True,
            phases=frozenset({"running", "storing"}),
        )
        await connector.close()


class TestComfyUIConnectorOfOlderDays(TestComfyUIConnector):
    @pytest.fixture
    async def fake(self) -> AsyncIterator[FakeComfyUI]:
        fake = FakeComfyUI(checkpoints=("tiny.safetensors",), pace_s=0.03)
        fake.reads_interrupt_id = False
        async with fake.serving():
            yield fake


class TestComfyUIConnectorOfNewerDays(TestComfyUIConnector):
    @pytest.fixture
    async def fake(self) -> AsyncIterator[FakeComfyUI]:
        fake = FakeComfyUI(checkpoints=("tiny.safetensors",), pace_s=0.03)
        fake.is_newer = True
        async with fake.serving():
            yield fake


@pytest.mark.skipif("NORTHSTAR_COMFYUI_URL" not in os.environ, reason="NORTHSTAR_COMFYUI_URL names no real server")
class TestComfyUIConnectorBeforeARealServer(ComfyUIConformance):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[Subject]:
        url = os.environ["NORTHSTAR_COMFYUI_URL"]
        connector = connector_at(url)

        async def is_working() -> bool:
            async with aiohttp.ClientSession() as session, session.get(f"{url}/queue") as response:
                queue: dict[str, list[Any]] = await response.json()
            return bool(queue["queue_running"] or queue["queue_pending"])

        async def kill() -> None:
            pytest.skip("a real server that runs elsewhere is not killed")

        yield Subject(
            connector=connector,
            kind="comfyui",
            good=picture(colour=uuid.uuid4().int % 0xFFFFFF),
            endless=picture(colour=uuid.uuid4().int % 0xFFFFFF, size=1_024, blurs=30, leaves=10, leaf="PreviewImage"),
            bad={"prompt": BAD},
            too_much=picture(colour=uuid.uuid4().int % 0xFFFFFF, batch=60, size=256),
            is_working=is_working,
            kill=kill,
            queues=True,
            phases=frozenset({"running", "storing"}),
        )
        await connector.close()

    async def test_the_death_of_the_engine_is_told_at_once(self, subject: Subject, make_job: MakeJob) -> None:
        pytest.skip("a real server that runs elsewhere is not killed")

    async def test_a_dead_engine_is_not_ready(self, subject: Subject, make_job: MakeJob) -> None:
        pytest.skip("a real server that runs elsewhere is not killed")
