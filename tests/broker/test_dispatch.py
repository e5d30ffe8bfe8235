"""A dispatcher does what is due, plans when something is new, and survives refusals and a server that is away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence

from northstar.broker.dispatch import Dispatcher
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.models import ModelHeld, ModelNeed
from northstar.domain.refusals import LaneDoesNotFit
from northstar.domain.requirements import Requirements
from northstar.store.cell import Cell
from northstar.store.embedded import EmbeddedValkey, RestartPolicy, ServerOptions
from northstar.store.messages import Candidate, Failure
from northstar.store.snapshots import read_candidates
from tests.agent.rig import PROFILE, SOON_S, Rig, nonce
from tests.servers import eventually

SDXL = ModelNeed(name="sdxl", size_bytes=5_000_000_000)


@contextlib.asynccontextmanager
async def dispatching(cell: Cell, **settings: float) -> AsyncIterator[None]:
    task = asyncio.create_task(Dispatcher(cell, new_nonce=nonce, **settings).run())  # type: ignore[arg-type]
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def candidates_of(rig: Rig, machine: str) -> dict[str, int]:
    known = await read_candidates(rig.cell.client, rig.cell.keys)
    return {candidate.lane: candidate.ready_after_ms for candidate in known.get(machine, ())}


async def has_candidates(rig: Rig, machine: str, count: int, *, within_s: float = SOON_S) -> None:
    async def is_so() -> bool:
        return len(await candidates_of(rig, machine)) == count

    await eventually(is_so, what=f"{machine} has {count} candidates", within_s=within_s)


async def test_a_lease_as_short_as_allowed_ends_though_nobody_else_calls(rig: Rig) -> None:
    link = await rig.joined()
    await rig.submit("a")
    assert len((await link.claim(credits_=1)).jobs) == 1
    async with dispatching(await rig.opened()):
        await asyncio.sleep(rig.limits.lease_ms / 1_000)

        async def is_back() -> bool:
            return await rig.status("a") == "queued"

        await eventually(is_back, what="the lease has ended")
    assert (await rig.record("a")).recoveries == 1


async def test_a_retry_is_due_in_time_though_the_bell_for_it_was_cut(rig: Rig) -> None:
    link = await rig.joined()
    await rig.submit("a")
    (job,) = (await link.claim(credits_=1)).jobs
    async with dispatching(await rig.opened()):
        await rig.cell.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await link.fail([Failure(job.id, job.token, "NS_BOOM", "it broke", retryable=True, jitter=0.0)])
        await rig.becomes("a", "queued", within_s=3)


async def test_a_machine_that_is_new_is_planned_for_at_once(rig: Rig) -> None:
    await rig.submit("a")
    async with dispatching(await rig.opened(), plan_every_s=60):
        await rig.joined("m")
        await has_candidates(rig, "m", 1)


async def test_a_lane_that_is_new_is_planned_for_at_once(rig: Rig) -> None:
    await rig.cell.declare(["model:sdxl"], by="test")
    await rig.submit("a")
    # From here on the submitter sees no machine that joins, so it cannot place a lane itself.
    rig.submitter.view.every_s = 3_600
    await rig.joined("m")
    async with dispatching(await rig.opened(), plan_every_s=60):
        await has_candidates(rig, "m", 1)
        await rig.submit("b", requires=Requirements(models=(SDXL,)))
        await has_candidates(rig, "m", 2)


async def test_a_machine_that_left_and_came_back_between_two_plans_gets_its_candidates_again(rig: Rig) -> None:
    dispatcher = Dispatcher(rig.cell, new_nonce=nonce)
    link = await rig.joined("m")
    await rig.submit("a")
    await dispatcher.plan()
    assert len(await candidates_of(rig, "m")) == 1
    await link.leave(because="test")
    assert await candidates_of(rig, "m") == {}
    await rig.joined("m")
    await dispatcher.plan()
    assert len(await candidates_of(rig, "m")) == 1


async def test_a_candidate_that_somebody_else_wrote_is_corrected(rig: Rig) -> None:
    dispatcher = Dispatcher(rig.cell, new_nonce=nonce)
    await rig.joined("m")
    await rig.submit("a")
    await dispatcher.plan()
    (lane,) = await candidates_of(rig, "m")
    await rig.cell.set_candidates([("m", [Candidate(lane, 30_000)])], nonce=nonce())
    await dispatcher.plan()
    assert await candidates_of(rig, "m") == {lane: 0}


async def test_what_is_planned_already_is_not_written_again(rig: Rig) -> None:
    await rig.joined("m")
    await rig.submit("a")
    await Dispatcher(rig.cell, new_nonce=nonce).plan()
    assert await Dispatcher(rig.cell, new_nonce=nonce).plan() == 0


async def test_cold_machines_wait_as_long_as_policy_says(rig: Rig) -> None:
    await rig.cell.declare(["model:sdxl"], by="test")
    warm, cold = await rig.link("warm"), await rig.link("cold")
    description = MachineDescription(download_bytes_per_s=1e9)
    held = [ModelHeld("sdxl", "resident", SDXL.size_bytes)]
    await warm.register(PROFILE, description, slots=1, models=held)
    await cold.register(PROFILE, description, slots=1, models=())
    await rig.submit("a", requires=Requirements(models=(SDXL,)))
    await Dispatcher(rig.cell, new_nonce=nonce).plan()
    assert list((await candidates_of(rig, "warm")).values()) == [0]
    # Half of the 5 s that the bytes would take, while the one machine that has them is free.
    assert list((await candidates_of(rig, "cold")).values()) == [2_500]


async def test_machines_whose_profile_does_not_fit_get_nothing(rig: Rig) -> None:
    link = await rig.link("fast")
    profile = MachineProfile(pools=("fast",), services=("waits",))
    await link.register(profile, MachineDescription(), slots=1, models=())
    await rig.submit("a")
    await Dispatcher(rig.cell, new_nonce=nonce).plan()
    assert await candidates_of(rig, "fast") == {}


class Refusing(Cell):
    """Refuses the first plan, as it does when a machine came back with another profile meanwhile."""

    refused = 0

    async def set_candidates(self, machines: Sequence[tuple[str, Sequence[Candidate]]], *, nonce: str) -> list[str]:
        if not self.refused:
            self.refused += 1
            raise LaneDoesNotFit({"machine": machines[0][0], "lane": "1"})
        return await super().set_candidates(machines, nonce=nonce)


async def test_a_plan_that_is_refused_is_made_again(rig: Rig) -> None:
    await rig.joined("m")
    await rig.submit("a")
    cell = Refusing(rig.client(), rig.name)
    await cell.open(rig.limits)
    await rig.cell.set_candidates([("m", [])], nonce=nonce())
    async with dispatching(cell):
        await has_candidates(rig, "m", 1)
    assert cell.refused == 1


async def test_it_goes_on_when_the_server_was_away() -> None:
    # Synced, because with `everysec` a slow disk may hold writes back, and SIGKILL loses them.
    options = ServerOptions(fsync="always", restart=RestartPolicy(first_delay_s=0.2))
    async with EmbeddedValkey(options=options) as server, Rig(server.url) as rig:
        link = await rig.joined()
        await rig.submit("a")
        (job,) = (await link.claim(credits_=1)).jobs
        async with dispatching(await rig.opened()):
            before = server.pid
            os.kill(before, signal.SIGKILL)

            async def is_back() -> bool:
                try:
                    return server.pid != before and await rig.status("a") == "running"
                except Exception:  # noqa: BLE001 -- whatever a client meets while the server is away
                    return False

            await eventually(is_back, what="the server is back")
            await link.fail([Failure(job.id, job.token, "NS_BOOM", "it broke", retryable=True, jitter=0.0)])
            await rig.becomes("a", "queued")
