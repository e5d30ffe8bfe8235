"""Models on real machines: an agent that joined by an invite fetches what a job lacks, and loses nothing when it is killed at it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_fleet import Fleet
from tests.agent.models.builders import safetensors, visible
from tests.agent.models.origin import Origin, origin
from tests.northstar_command import WITHIN_S, eventually
from tests.servers import RunningServer

DATA = safetensors(4_000_000)


class Source:
    """An origin in a thread of its own, for tests that wait for processes."""

    def __init__(self, server: Origin, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self._loop = loop

    def within(self, what: Callable[[], Any]) -> Any:
        """Do it where the server lives."""
        done = threading.Event()
        results: list[Any] = []

        def do() -> None:
            results.append(what())
            done.set()

        self._loop.call_soon_threadsafe(do)
        assert done.wait(WITHIN_S)
        return results[0]

    def hold(self) -> None:
        """Bodies wait after their first half."""

        def close() -> None:
            self.server.gate = asyncio.Event()

        self.within(close)

    def let_go(self) -> None:
        def open_() -> None:
            if self.server.gate is not None:
                self.server.gate.set()
            self.server.gate = None

        self.within(open_)


@pytest.fixture
def source() -> Iterator[Source]:
    ready, stop = threading.Event(), threading.Event()
    found: list[Source] = []

    async def serve() -> None:
        async with origin(DATA) as server:
            found.append(Source(server, asyncio.get_running_loop()))
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="origin")
    thread.start()
    try:
        assert ready.wait(WITHIN_S)
        yield found[0]
    finally:
        stop.set()
        thread.join(WITHIN_S)


class ModelFleet(Fleet):
    """Machines with a models folder each, below their home."""

    def __init__(self, folder: Path, valkey: str, stack: contextlib.ExitStack) -> None:
        super().__init__(folder, valkey, stack)
        self._settings += '\n[models]\nroot = "~/models"\nprivate_hosts = ["127.0.0.1"]\n'

    def models_of(self, machine: str) -> Path:
        return self._folder / machine / "models"

    def submit_needing(self, job: str, source: Source, **payload: Any) -> None:
        need = {
            "name": "a.safetensors",
            "size_bytes": len(DATA),
            "sources": [f"{source.server.url}/a"],
            "sha256": source.server.sha256,
        }
        wanted = {"id": job, "service": "copy", "payload": {"text": job} | payload, "requires": {"models": [need]}}
        self.operator.good("submit", "-", stdin=json.dumps(wanted))

    def held(self, machine: str) -> dict[str, str]:
        found = [row["models"] for row in self.operator.good("machines", "list")["machines"] if row["id"] == machine]
        return dict(found[0]) if found else {}


@pytest.fixture
def fleet(tmp_path: Path, kill_server: RunningServer) -> Iterator[ModelFleet]:
    with contextlib.ExitStack() as stack:
        yield ModelFleet(tmp_path, kill_server.url, stack)


def test_a_machine_fetches_what_a_job_lacks_and_the_next_job_finds_it_there(fleet: ModelFleet, source: Source) -> None:
    _, url = fleet.serve("one")
    fleet.agent("machine", url)
    for job in ("first", "second"):
        fleet.submit_needing(job, source)
        fleet.becomes(job, "succeeded")
    assert visible(fleet.models_of("machine")) == {"checkpoints/a.safetensors": DATA}
    assert len(source.server.asked) == 1
    eventually(lambda: fleet.held("machine") == {"a.safetensors": "disk"}, what="the model is announced", pause_s=0.1)


def test_an_agent_that_is_killed_in_the_middle_of_a_download_loses_no_job_and_no_byte(
    fleet: ModelFleet, source: Source
) -> None:
    _, url = fleet.serve("one")
    agent = fleet.agent("machine", url)
    source.hold()
    fleet.submit_needing("job", source)
    partial = fleet.models_of("machine") / ".northstar" / "partial"
    half = len(DATA) // 2
    eventually(
        lambda: any(path.stat().st_size >= half for path in partial.glob("*")), what="half of it is there", pause_s=0.05
    )
    agent.popen.kill()
    agent.popen.wait(WITHIN_S)
    source.let_go()
    fleet.agent_again("machine")
    job = fleet.becomes("job", "succeeded")
    assert (job["attempts"], job["recoveries"]) == (0, 1)
    assert visible(fleet.models_of("machine")) == {"checkpoints/a.safetensors": DATA}
    first, second = source.server.ranges
    assert first is None
    assert second is not None
    assert int(second.removeprefix("bytes=").removesuffix("-")) >= half - 1_000_000


def test_an_operator_tells_a_machine_to_fetch_and_to_evict(fleet: ModelFleet, source: Source) -> None:
    _, url = fleet.serve("one")
    fleet.agent("machine", url)
    wanted = ("--from", f"{source.server.url}/a", "--sha256", source.server.sha256)
    given = fleet.operator.good("machines", "fetch", "machine", "a.safetensors", *wanted)
    assert (given["machine"], given["new"]) == ("machine", True)
    eventually(lambda: fleet.held("machine") == {"a.safetensors": "disk"}, what="it is there", pause_s=0.1)
    fleet.operator.good("machines", "evict", "machine", "a.safetensors")
    eventually(lambda: fleet.held("machine") == {}, what="it is gone", pause_s=0.1)
    assert visible(fleet.models_of("machine")) == {}
    assert fleet.operator.good("machines", "orders", "machine") == {"orders": []}


def test_what_no_machine_could_fetch_is_refused_before_anything_is_ordered(fleet: ModelFleet) -> None:
    answer = fleet.operator.run("machines", "fetch", "machine", "a", "--from", "https://x.test/a", "--sha256", "abc")
    assert (answer.code, "NS_MODEL_ORDER_INVALID" in answer.err) == (2, True)
