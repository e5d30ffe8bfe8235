"""Watching a job tells of its latest run only, of everything in order, and never floods."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from northstar.domain.progress import Phase, Progress, to_wire
from northstar.domain.queue_place import QueuePlace
from northstar.domain.runs import LatestRun, run_number
from northstar.store.progress import channel, publish_progress
from northstar.surfaces.cli.watch import follow
from northstar.surfaces.cli.watch_lines import WatchLines
from tests import servers
from tests.agent.rig import Rig
from tests.servers import eventually


def running(step: int) -> Progress:
    return Progress(phase="running", node=4, nodes=7, node_name="KSampler", step=step, steps=20)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_what_an_older_run_still_says_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    async with servers.embedded_valkey() as server, Rig(server.url) as rig:
        await rig.submit("a")
        watching = asyncio.create_task(follow(rig.cell, "a", WatchLines(as_json=True)))

        async def is_heard() -> bool:
            return bool((await rig.cell.client.execute_command("PUBSUB", "SHARDNUMSUB", channel(rig.cell, "a")))[1])

        await eventually(is_heard, what="the watcher listens")
        news: list[tuple[str, Phase, float]] = [
            ("1.n.1", "running", 0.5),
            ("2.n.1", "loading", 0.1),
            ("1.n.1", "storing", 0.9),
            ("2.n.1", "running", 0.2),
            ("2.n.1", "fetching", 0.3),
            ("2.n.1", "storing", 0.4),
        ]
        for token, phase, fraction in news:
            assert await publish_progress(rig.cell, "a", token, to_wire(Progress(phase=phase, fraction=fraction))) == 1
        told: list[tuple[str, float]] = []

        async def is_told() -> bool:
            events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
            told.extend((event["phase"], event["fraction"]) for event in events if event["event"] == "progress")
            return ("storing", 0.4) in told

        await eventually(is_told, what="the last message is told")
        assert told == [("running", 0.5), ("loading", 0.1), ("running", 0.2), ("storing", 0.4)]
        await rig.cell.cancel(["a"], because="test")
        assert (await asyncio.wait_for(watching, 10)).status == "canceled"


def test_lines_that_stay_are_at_least_a_second_apart_but_for_a_new_phase(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = WatchLines(as_json=False, clock=clock)
    for step in range(1, 20):
        clock.now += 0.25
        lines.heard(running(step))
    lines.heard(Progress(phase="storing", bytes_done=0, bytes_total=2_000_000))
    assert capsys.readouterr().out.splitlines() == [
        *(f"  running (node 4 of 7: KSampler, step {step} of 20)" for step in (1, 5, 9, 13, 17, 19)),
        "  storing 0.0 of 2.0 MB",
    ]


def test_a_terminal_has_one_living_line_for_each_phase(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    lines = WatchLines(as_json=False)
    lines.waits(QueuePlace(position=2, machines=1, eta_s=38.0))
    lines.waits(QueuePlace(position=1, machines=1, eta_s=20.0))
    for step in (1, 2):
        lines.heard(running(step))
    assert capsys.readouterr().out.split("\r\x1b[2K") == [
        "",
        "  queued (position 2, about 40 s)",
        "  queued (position 1, about 20 s)\n",
        "  running (node 4 of 7: KSampler, step 1 of 20)",
        "  running (node 4 of 7: KSampler, step 2 of 20)",
    ]


def test_what_is_said_again_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (True, False):
        lines = WatchLines(as_json=as_json)
        for _ in range(3):
            lines.heard(running(1))
        assert len(capsys.readouterr().out.splitlines()) == 1


def test_programs_get_every_field_and_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    lines = WatchLines(as_json=True)
    news = Progress(phase="fetching", model="sdxl", bytes_done=1, bytes_total=6, preview=b"picture")
    lines.heard(news)
    lines.waits(QueuePlace(position=3, why="no machine is here"))
    told: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told[0] == {
        "event": "progress",
        "phase": "fetching",
        "fraction": None,
        "message": "",
        "tokens": None,
        "model": "sdxl",
        "bytes_done": 1,
        "bytes_total": 6,
        "node": None,
        "nodes": None,
        "node_name": "",
        "step": None,
        "steps": None,
    }
    assert told[1]["why"] == "no machine is here"
    assert (told[1]["position"], told[1]["eta_s"]) == (3, None)


def test_runs_are_numbered_and_what_is_no_token_belongs_to_none() -> None:
    assert [run_number(token) for token in ("2.n.1", "10.n.1", "", "x.1", "-3.n.1")] == [2, 10, 0, 0, 0]
    latest = LatestRun()
    assert latest.is_older("nonsense")
    assert not latest.is_older("2.n.1")
    assert latest.begins_with("2.n.1")
    assert not latest.begins_with("2.other.7")
    assert (latest.is_older("1.n.1"), latest.is_older("2.n.1"), latest.is_older("10.n.1")) == (True, False, False)
