"""What the tests of the ComfyUI connector share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from northstar.connectors.comfyui import ComfyPatience, ComfyUIConnector
from northstar.connectors.comfyui.graph import run_id_of
from northstar.connectors.contract import ConnectorResult
from northstar.domain.progress import Progress
from northstar.domain.progress_text import describe
from tests.connectors.comfyui.graphs import picture
from tests.connectors.conftest import MakeJob
from tests.connectors.fake_comfyui.server import FakeComfyUI
from tests.connectors.processes import until

CALM = ComfyPatience(poll_s=0.1, reconnect_s=0.5, answer_s=10.0)
QUICK = ComfyPatience(connect_s=0.3, answer_s=0.2, poll_s=0.05, silence_s=0.2, reconnect_s=0.2, stop_s=2.0)
#: As quick where nothing is lost, for whatever answers at last on a busy host.
PATIENT = msgspec.structs.replace(QUICK, connect_s=10.0, answer_s=10.0)
#: Long enough that a test can act in its middle; ended by what the test does.
LONG = picture(blurs=30, leaves=8)
SOME = {"filename": "a.png", "subfolder": "", "type": "output"}

Connect = Callable[..., ComfyUIConnector]


def posted(fake: FakeComfyUI) -> list[dict[str, Any]]:
    return [body for method, path, body in fake.calls if (method, path) == ("POST", "/prompt")]


def run_id(job_id: str) -> str:
    return run_id_of("picture", job_id)


class Started:
    """A job in the middle of its run."""

    def __init__(self, connector: ComfyUIConnector, make_job: MakeJob, payload: dict[str, Any] = LONG) -> None:
        self.news: list[Progress] = []
        self.job = make_job(payload)
        self.task: asyncio.Task[ConnectorResult] = asyncio.ensure_future(connector.run(self.job, self.news.append))

    async def until_it_says(self, word: str) -> Started:
        await until(lambda: any(word in describe(news) for news in self.news) or self.task.done())
        assert not self.task.done(), self.task
        return self
