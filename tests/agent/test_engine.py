"""Running a claimed job on a connector: a workspace of its own, files stored before the job counts as done."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from northstar.agent.engine import ConnectorRunner, ServiceNotOffered
from northstar.agent.outputs import LocalOutputs, OutputChanged
from northstar.connectors.contract import ConnectorJob, ConnectorResult, Output, Report
from northstar.domain.jobs import ClaimedJob, JobBody
from northstar.domain.progress import Progress
from northstar.store.asset_errors import AssetStoreFull, AssetStoreUnavailable
from northstar.store.asset_notes import Note
from northstar.store.assets import AssetRef, AssetStore

Work = Callable[[ConnectorJob, Report], ConnectorResult]


class Painter:
    """A connector whose work is a function."""

    service = "picture"

    def __init__(self, work: Work) -> None:
        self._work = work
        self.jobs: list[ConnectorJob] = []

    async def ready(self) -> None:
        return

    async def run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        self.jobs.append(job)
        await asyncio.sleep(0)
        return self._work(job, report)

    async def close(self) -> None:
        return


def claimed(service: str = "picture") -> ClaimedJob:
    body = JobBody(service=service, payload={"prompt": "sky"}, finish_within_s=9.0)
    return ClaimedJob("j", "1.n.1", 1, 0, 30_000, msgspec.json.encode(body).decode())


def paints(job: ConnectorJob, report: Report) -> ConnectorResult:
    report(Progress(fraction=0.5))
    path = job.workspace / "sky.png"
    path.write_bytes(b"picture")
    digest = hashlib.sha256(b"picture").hexdigest()
    picture = Output(name="sky.png", media_type="image/png", size_bytes=7, sha256=digest, path=path)
    return ConnectorResult(outputs=(picture, Output.of_text("note", "done")), summary={"steps": 4})


def runner(painter: Painter, folder: Path) -> ConnectorRunner:
    (folder / "workspaces").mkdir()
    outputs = LocalOutputs(AssetStore(folder / "assets"), cell="c", clock_ms=lambda: 0)
    return ConnectorRunner({"picture": painter}, outputs=outputs, workspaces=folder / "workspaces")


async def test_the_connector_gets_the_job_and_a_workspace_that_goes_with_it(tmp_path: Path) -> None:
    painter, told = Painter(paints), list[Progress]()
    await runner(painter, tmp_path).run(claimed(), told.append)
    (job,) = painter.jobs
    assert (job.id, job.payload, job.deadline_s) == ("j", {"prompt": "sky"}, 9.0)
    assert told[0] == Progress(fraction=0.5)
    assert list((tmp_path / "workspaces").iterdir()) == []


async def test_files_are_stored_and_named_in_the_result_and_text_stays_inside(tmp_path: Path) -> None:
    result = msgspec.json.decode(await runner(Painter(paints), tmp_path).run(claimed(), lambda _: None))
    picture, note = result["outputs"]
    ref = msgspec.convert(picture["asset"], AssetRef)
    assert await AssetStore(tmp_path / "assets").get(ref) == b"picture"
    assert ref.media_type == "image/png"
    assert (picture["name"], note["name"], note["text"]) == ("sky.png", "note", "done")
    assert result["summary"] == {"steps": 4}


async def test_storing_is_told_with_the_bytes_of_all_files(tmp_path: Path) -> None:
    told: list[Progress] = []
    await runner(Painter(paints), tmp_path).run(claimed(), told.append)
    storing = [news for news in told if news.phase == "storing"]
    assert [(news.bytes_done, news.bytes_total, news.message) for news in storing] == [
        (0, 7, "sky.png"),
        (7, 7, "sky.png"),
    ]
    assert [news.fraction for news in storing] == [0.0, 1.0]


async def test_a_file_that_is_not_what_the_connector_verified_is_no_result(tmp_path: Path) -> None:
    def swaps(job: ConnectorJob, report: Report) -> ConnectorResult:
        result = paints(job, report)
        (job.workspace / "sky.png").write_bytes(b"another")
        return result

    with pytest.raises(OutputChanged, match=r"output sky\.png changed after it was verified"):
        await runner(Painter(swaps), tmp_path).run(claimed(), lambda _: None)


async def test_a_service_that_is_not_offered_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ServiceNotOffered, match=r"service video is not offered here \(offered: picture\)"):
        await runner(Painter(paints), tmp_path).run(claimed("video"), lambda _: None)


async def test_the_workspace_goes_when_the_work_fails_too(tmp_path: Path) -> None:
    def fails(job: ConnectorJob, report: Report) -> ConnectorResult:
        (job.workspace / "half").write_bytes(b"half")
        raise OSError("no paper")

    with pytest.raises(OSError, match="no paper"):
        await runner(Painter(fails), tmp_path).run(claimed(), lambda _: None)
    assert list((tmp_path / "workspaces").iterdir()) == []


@pytest.mark.parametrize("room_comes", [True, False])
async def test_a_file_without_room_is_held_until_there_is_some_or_the_wait_is_over(
    tmp_path: Path, room_comes: bool
) -> None:
    assets = AssetStore(tmp_path / "assets")
    assets.notes.write("c", Note(is_full=True))
    (tmp_path / "workspaces").mkdir()
    outputs = LocalOutputs(assets, cell="c", clock_ms=lambda: 0, pause_s=0.01, hold_s=10.0 if room_comes else 0.05)
    engine = ConnectorRunner({"picture": Painter(paints)}, outputs=outputs, workspaces=tmp_path / "workspaces")
    told: list[Progress] = []
    running = asyncio.create_task(engine.run(claimed(), told.append))
    if room_comes:
        await asyncio.wait({running}, timeout=0.1)
        assert not running.done()
        assets.notes.write("c", Note())
        assert b"asset" in (await running).encode()
    else:
        with pytest.raises(AssetStoreFull):
            await running
    waiting = [news for news in told if news.message == "sky.png waits for room in the asset store"]
    assert waiting
    assert {news.phase for news in waiting} == {"storing"}


class Failing(AssetStore):
    """A store that does not answer the first times."""

    failures = 3

    async def put(self, content: Path | bytes, **what: Any) -> AssetRef:
        if self.failures:
            self.failures -= 1
            raise AssetStoreUnavailable("503 Slow Down")
        return await super().put(content, **what)


async def test_a_file_is_held_while_the_store_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "workspaces").mkdir()
    outputs = LocalOutputs(Failing(tmp_path / "assets"), cell="c", clock_ms=lambda: 0, pause_s=0.01)
    engine = ConnectorRunner({"picture": Painter(paints)}, outputs=outputs, workspaces=tmp_path / "workspaces")
    told: list[Progress] = []
    assert b"asset" in (await engine.run(claimed(), told.append)).encode()
    waits = "sky.png waits for the asset store, which does not take it at present"
    assert [news.message for news in told].count(waits) == 3
