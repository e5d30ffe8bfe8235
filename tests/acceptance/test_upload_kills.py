"""`kill -9` while a large output is on its way to the broker: the job runs again elsewhere, and no half file is ever to be seen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from northstar.store.asset_notes import NOTE_NAME
from tests.acceptance.site import Site, site
from tests.cable import Cable, cable
from tests.servers import RunningServer, eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

TEXT, TIMES = "0123456789abcdef" * 1_024, 768
SIZE_BYTES = len(TEXT) * TIMES
#: Of 12 MiB so many leave the machine.
SENT_BYTES = 4 * 1024**2


def sizes_below(folder: Path) -> list[int]:
    """Of every file but the note that retention keeps beside them."""
    return [path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != NOTE_NAME]


async def half_is_sent(there: Site, line: Cable) -> None:
    async def is_so() -> bool:
        return line.is_cut

    await eventually(is_so, what="a part of the file has left the machine")
    assert sizes_below(there.assets) == []


async def test_a_file_half_sent_by_a_killed_machine_is_seen_by_nobody_and_sent_whole_by_another(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    drafts = tmp_path / "drafts"
    drafts.mkdir()
    async with site(kill_server.url, tmp_path) as there:
        _, port = await there.serve("broker", environment={"TMPDIR": str(drafts)})
        async with cable(port) as line:
            lost = await there.machine("lost", line.url, slots=1)
            line.allowance = SENT_BYTES
            await there.submit("a", service="copy", text=TEXT, times=TIMES)
            await asyncio.gather(half_is_sent(there, line), there.machine("other", f"http://127.0.0.1:{port}"))
            lost.popen.kill()
            line.mend()  # nobody is left who would send the rest
            await there.becomes("a", "succeeded")
        history = await there.check_each_done_once("a")
        assert history.machines_of("a") == ["lost", "other"]
        assert history.jobs["a"].record.recoveries == 1
        assert sizes_below(there.assets) == [SIZE_BYTES]
        assert sizes_below(drafts) == []


async def test_what_a_killed_broker_had_of_a_file_is_gone_with_it_and_its_successor_gets_the_whole(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    drafts = tmp_path / "drafts"
    drafts.mkdir()
    async with site(kill_server.url, tmp_path) as there:
        broker, port = await there.serve("broker", environment={"TMPDIR": str(drafts)})
        async with cable(port) as line:
            await there.machine("sender", line.url, slots=1)
            line.allowance = SENT_BYTES
            await there.submit("a", service="copy", text=TEXT, times=TIMES)
            await half_is_sent(there, line)
            broker.popen.kill()
            broker.popen.wait()
            assert sizes_below(drafts) == []
            _, line.targets[0] = await there.serve("successor", environment={"TMPDIR": str(drafts)})
            line.mend()
            await there.becomes("a", "succeeded")
        await there.check_each_done_once("a")
        assert sizes_below(there.assets) == [SIZE_BYTES]
