"""A machine's slots are those of runs that go on, however a run ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from northstar.agent.direct_link import DirectLink
from northstar.agent.held_jobs import HeldJobs
from northstar.store.bells import Canceled, Offered, Ring
from tests.agent.rig import Rig, Runs, nonce, soon
from tests.servers import eventually


async def test_a_run_that_was_stopped_before_it_began_is_held_no_more() -> None:
    held, began = HeldJobs(), []

    async def run() -> None:
        began.append("a")

    task = asyncio.create_task(run())
    held.add("a", "1.x.1", task)
    held.stop("a", "1.x.1")
    await asyncio.wait({task})
    assert (began, len(held), held.named()) == ([], 0, [])


async def test_ending_all_leaves_none_though_some_had_not_begun() -> None:
    held = HeldJobs()
    for number in range(3):
        held.add(f"j{number}", f"1.x.{number}", asyncio.create_task(asyncio.sleep(60)))
    await held.end_all(within_s=1.0)
    assert len(held) == 0


async def parked(rig: Rig) -> None:
    async def is_so() -> bool:
        return (await rig.cell.statistics()).counts["parked_size"] == 1

    await eventually(is_so, what="the machine waits")


class Interrupted(DirectLink):
    """The first work that a bell brings is called off in the same moment."""

    interrupted = ""

    async def bells(self) -> AsyncIterator[Ring]:
        async for ring in super().bells():
            yield ring
            if isinstance(ring, Offered) and ring.jobs and not self.interrupted:
                self.interrupted = ring.jobs[0].token
                yield Canceled(ring.jobs[0].id, self.interrupted, self.machine)


async def test_a_machine_whose_work_was_called_off_before_it_began_takes_work_again(rig: Rig) -> None:
    runs = Runs()
    link = Interrupted(await rig.opened(), machine="m", session=nonce(), new_nonce=nonce)
    async with rig.dispatching(), rig.working(rig.worker(link, runs, slots=1)):
        await parked(rig)
        await rig.submit("a")
        await soon(lambda: bool(link.interrupted), "its work is called off")
        await soon(lambda: runs.ids == ["a"], "it comes again and runs")
        assert runs.started[0].token != link.interrupted
        runs.finish("a")
        await rig.becomes("a", "succeeded")
