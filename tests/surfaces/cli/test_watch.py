"""Watching a job tells of its latest run only."""

from __future__ import annotations

import asyncio
import json

import pytest

from northstar.domain.runs import LatestRun, run_number
from northstar.store.progress import channel, publish_progress
from northstar.surfaces.cli.watch import _listen, _Telling
from tests import servers
from tests.agent.rig import Rig
from tests.servers import eventually


async def test_what_an_older_run_still_says_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    async with servers.embedded_valkey() as server, Rig(server.url) as rig:
        listening = asyncio.create_task(_listen(rig.cell, "a", _Telling(as_json=True)))

        async def is_heard() -> bool:
            return bool((await rig.cell.client.execute_command("PUBSUB", "SHARDNUMSUB", channel(rig.cell, "a")))[1])

        await eventually(is_heard, what="the watcher listens")
        for token, fraction in (("1.n.1", 0.5), ("2.n.1", 0.1), ("1.n.1", 0.9), ("2.n.1", 0.2)):
            text = json.dumps({"fraction": fraction}).encode()
            assert await publish_progress(rig.cell, "a", token, text) == 1
        told: list[float] = []

        async def is_told() -> bool:
            told.extend(json.loads(line)["fraction"] for line in capsys.readouterr().out.splitlines())
            return 0.2 in told

        await eventually(is_told, what="the last message is told")
        assert told == [0.5, 0.1, 0.2]
        listening.cancel()
        await asyncio.wait({listening})


def test_runs_are_numbered_and_what_is_no_token_belongs_to_none() -> None:
    assert [run_number(token) for token in ("2.n.1", "10.n.1", "", "x.1", "-3.n.1")] == [2, 10, 0, 0, 0]
    latest = LatestRun()
    assert latest.is_older("nonsense")
    assert not latest.is_older("2.n.1")
    assert latest.begins_with("2.n.1")
    assert not latest.begins_with("2.other.7")
    assert (latest.is_older("1.n.1"), latest.is_older("2.n.1"), latest.is_older("10.n.1")) == (True, False, False)
