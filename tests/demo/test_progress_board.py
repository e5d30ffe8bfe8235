"""The board shows what the latest run of a job says, and nothing of a run whose machine was lost."""

from __future__ import annotations

import asyncio

from northstar.demo.commission import Commission
from northstar.demo.progress_board import ProgressBoard
from northstar.domain.jobs import JobRequest
from northstar.store.progress import publish_progress
from tests import servers
from tests.agent.rig import Rig
from tests.servers import eventually


async def test_what_an_older_run_still_says_is_not_shown() -> None:
    async with servers.embedded_valkey() as server, Rig(server.url) as rig:
        await rig.submit("a")
        commission = Commission(title="a", file="a.txt", request=JobRequest(id="a", service="waits"))
        board = ProgressBoard(rig.cell, [commission], tell=lambda _: None)
        row, following = board.rows["a"], asyncio.create_task(board.follow())
        await board.listening()
        for token, text in (
            ("9.n.1", b'{"tokens": "old "}'),
            ("10.n.1", b'{"tokens": "new "}'),
            ("9.n.1", b'{"tokens": "ghost "}'),
            ("10.n.1", b"no progress"),
            ("10.n.1", b'{"tokens": "words"}'),
        ):
            assert await publish_progress(rig.cell, "a", token, text) == 1

        async def is_so() -> bool:
            return row.text.endswith("words")

        await eventually(is_so, what="the last words have come in")
        assert row.text == "new words"
        await rig.cell.cancel(["a"], because="test")
        await asyncio.wait_for(following, 10)
