"""A worker over the real link: what it takes, keeps, hands back and gives up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from northstar.agent.readiness import EngineNotReady
from northstar.connectors.errors import EngineFailed
from northstar.domain.jobs import RetryRule
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld
from northstar.domain.refusals import MachineReplaced
from northstar.store.messages import Held, RenewReply
from northstar.store.snapshots import read_snapshot
from tests.agent.rig import PROFILE, SOON_S, Rig, Runs, nonce, soon
from tests.servers import eventually

AT_ONCE = RetryRule(backoff_s=0, backoff_cap_s=0)


@pytest_asyncio.fixture
async def rig(either_rig: Rig) -> Rig:
    return either_rig


@pytest_asyncio.fixture(autouse=True)
async def dispatcher(rig: Rig) -> AsyncIterator[None]:
    async with rig.dispatching():
        yield


async def test_runs_jobs_and_stores_their_results(rig: Rig) -> None:
    runs = Runs()
    async with rig.working(rig.worker(await rig.link(), runs)):
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        runs.finish("a", '{"answer": 42}')
        await rig.becomes("a", "succeeded")
    (job,) = (await rig.cell.inspect(["a"], results=True)).jobs
    assert job.result == '{"answer": 42}'


async def test_a_failure_of_the_work_is_charged_and_tried_again(rig: Rig) -> None:
    runs = Runs()
    async with rig.working(rig.worker(await rig.link(), runs)):
        await rig.submit("a", retry=AT_ONCE)
        runs.fail("a", EngineFailed("out of paper", service="waits"))
        await rig.becomes("a", "failed")
    record = await rig.record("a")
    assert (record.attempts, record.error_code) == (3, "NS_ENGINE_FAILED")
    assert runs.ids == ["a"] * 3


async def test_a_cancel_reaches_a_running_job_by_its_bell(rig: Rig) -> None:
    runs = Runs()
    worker = rig.worker(await rig.link(), runs, renew_every_s=60, reclaim_every_s=60)
    async with rig.working(worker):
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        await rig.cell.cancel(["a"], because="by user")
        await soon(lambda: runs.canceled == ["a"], "a is stopped")
        assert await rig.status("a") == "canceled"


async def test_renewal_keeps_a_job_that_takes_longer_than_its_lease(rig: Rig) -> None:
    runs = Runs()
    async with rig.working(rig.worker(await rig.link(), runs)):
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        await asyncio.sleep(3 * rig.limits.lease_ms / 1000)
        runs.finish("a")
        await rig.becomes("a", "succeeded")
    assert (runs.ids, (await rig.record("a")).recoveries) == (["a"], 0)


async def test_an_offer_that_takes_longer_than_its_lease_is_accepted_as_soon_as_it_runs(rig: Rig) -> None:
    runs = Runs()
    worker = rig.worker(await rig.link(), runs, slots=1, renew_every_s=60, reclaim_every_s=60)
    async with rig.working(worker):
        await soon_parked(rig)
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        await rig.becomes("a", "running")


async def test_a_claim_that_accepts_an_offer_leaves_the_other_slots_waiting_for_work(rig: Rig) -> None:
    runs = Runs()
    link = await rig.link()
    renews, renew = asyncio.Event(), link.renew

    async def later(held: Sequence[Held]) -> RenewReply:
        await renews.wait()
        return await renew(held)

    link.renew = later  # type: ignore[method-assign]  # so that it is the claim that accepts
    worker = rig.worker(link, runs, slots=2, renew_every_s=60, reclaim_every_s=60)
    async with rig.working(worker):
        await soon_parked(rig)
        await rig.submit("a")
        await rig.becomes("a", "running")
        await soon_parked(rig)
        await rig.submit("b")
        await soon(lambda: runs.ids == ["a", "b"], "b runs")
        renews.set()
        runs.finish("a")
        runs.finish("b")


async def test_a_worker_that_does_not_renew_loses_the_job_and_stops_it_when_it_hears(rig: Rig) -> None:
    hung, healthy = Runs(), Runs()
    async with rig.working(rig.worker(await rig.link("hung"), hung, renew_every_s=2.0)):
        await rig.submit("a")
        await soon(lambda: hung.ids == ["a"], "a runs")
        async with rig.working(rig.worker(await rig.link("healthy"), healthy)):
            await soon(lambda: healthy.ids + hung.ids[1:], "a runs again")
            await soon(lambda: hung.canceled == ["a"], "the hung worker stops a")
            healthy.finish("a")
            hung.finish("a")
            await rig.becomes("a", "succeeded")
    assert (await rig.record("a")).recoveries == 1


async def test_a_worker_that_stops_finishes_what_runs_and_takes_nothing_new(rig: Rig) -> None:
    runs = Runs()
    worker = rig.worker(await rig.link(), runs)
    async with rig.working(worker) as task:
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        worker.stop()
        await soon_draining(rig)
        await rig.submit("b")
        assert await rig.status("b") == "queued"
        runs.finish("a")
        async with asyncio.timeout(SOON_S):
            await task
    assert await rig.status("a") == "succeeded"
    assert runs.ids == ["a"]
    assert (await rig.cell.statistics()).counts["machines_size"] == 0


async def test_a_worker_that_stops_hands_back_what_does_not_end_in_time(rig: Rig) -> None:
    runs = Runs()
    worker = rig.worker(await rig.link(), runs, drain_s=0.1)
    async with rig.working(worker) as task:
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        worker.stop()
        async with asyncio.timeout(SOON_S):
            await task
    record = await rig.record("a")
    assert (record.status, record.recoveries, record.attempts) == ("queued", 0, 0)
    assert runs.canceled == ["a"]


async def test_an_older_agent_stops_its_work_when_a_newer_one_takes_its_name(rig: Rig) -> None:
    old, new = Runs(), Runs()
    async with rig.working(rig.worker(await rig.link(), old)) as task:
        await rig.submit("a")
        await soon(lambda: old.ids == ["a"], "a runs")
        async with rig.working(rig.worker(await rig.link(), new)):
            with pytest.raises(MachineReplaced):
                await asyncio.wait_for(task, SOON_S)
            assert old.canceled == ["a"]
            await soon(lambda: new.ids == ["a"], "a runs on the newer agent")
            new.finish("a")
            await rig.becomes("a", "succeeded")
    assert (await rig.record("a")).recoveries == 1


async def test_an_older_agent_that_stops_leaves_the_newer_one_alone(rig: Rig) -> None:
    old = await rig.joined()
    newer = await rig.joined()
    await rig.submit("a")
    (job,) = (await newer.claim(credits_=1)).jobs
    await old.leave(because="stopped")
    assert (await rig.record("a")).token == job.token
    assert (await rig.cell.statistics()).counts["machines_size"] == 1


async def test_a_machine_that_was_lost_stops_its_jobs_and_registers_again(rig: Rig) -> None:
    runs = Runs()
    async with rig.working(rig.worker(await rig.link(), runs, slots=1)):
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        await rig.cell.remove_machine("m", because="silent", lost=True, nonce=nonce())
        await soon(lambda: runs.canceled == ["a"], "a is stopped though every slot was busy")
        await soon(lambda: runs.ids == ["a", "a"], "a runs again here")
        runs.finish("a")
        await rig.becomes("a", "succeeded")


async def test_a_renewal_that_crosses_the_end_of_a_run_does_not_stop_the_next_run_of_the_job(rig: Rig) -> None:
    runs = Runs()
    worker = rig.worker(await rig.link(), runs, renew_every_s=0.01)
    async with rig.working(worker):
        await rig.submit("a", retry=RetryRule(max_attempts=100, backoff_s=0, backoff_cap_s=0))
        runs.fail("a", EngineFailed("again", service="waits"))
        await rig.becomes("a", "failed")
    assert runs.canceled == []
    assert (await rig.record("a")).recoveries == 0


async def test_a_job_in_an_answer_that_never_came_is_handed_back_and_claimed_again(rig: Rig) -> None:
    runs = Runs()
    link = await rig.link()
    async with rig.working(rig.worker(link, runs, reclaim_every_s=60)):
        await soon_parked(rig)
        await rig.cell.pause("cell", because="test", by="test")
        await rig.submit("a")
        await rig.cell.resume("cell", by="test")
        lost = await rig.cell.claim(machine="m", session=link.session, credits_=1, nonce=nonce(), park=False)
        assert [job.id for job in lost.jobs] == ["a"]
        await soon(lambda: runs.ids == ["a"], "a runs")
        runs.finish("a")
        await rig.becomes("a", "succeeded")
    record = await rig.record("a")
    assert (record.claims, record.recoveries, record.attempts) == (2, 0, 0)


async def test_a_result_that_is_too_large_fails_the_job_with_that_name(rig: Rig) -> None:
    runs = Runs()
    async with rig.working(rig.worker(await rig.link(), runs)):
        await rig.submit("a")
        runs.finish("a", '"' + "x" * 70_000 + '"')
        await rig.becomes("a", "failed")
    record = await rig.record("a")
    assert (record.error_code, record.attempts, record.recoveries) == ("NS_RESULT_TOO_LARGE", 1, 0)


async def test_a_machine_that_was_drained_works_again_though_the_bell_was_lost(rig: Rig) -> None:
    runs = Runs()
    link = await rig.link()
    async with rig.working(rig.worker(link, runs)):
        await soon_parked(rig)
        await rig.cell.drain_machine("m", draining=True, nonce=nonce())
        await rig.cell.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await rig.cell.drain_machine("m", draining=False, nonce=nonce())
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        runs.finish("a")
        await rig.becomes("a", "succeeded")


async def test_a_cancel_that_rang_while_nobody_listened_is_heard_at_the_reconnection(rig: Rig) -> None:
    runs = Runs()
    worker = rig.worker(await rig.link(), runs, renew_every_s=60, reclaim_every_s=60)
    async with rig.working(worker):
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        client = rig.cell.client
        pipeline = client.pipeline(transaction=True)
        pipeline.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await pipeline.execute()
        await rig.cell.cancel(["a"], because="by user")
        await soon(lambda: runs.canceled == ["a"], "a is stopped")


async def test_results_are_stored_though_the_server_is_out_of_memory(rig: Rig) -> None:
    runs = Runs()
    client = rig.cell.client
    async with rig.working(rig.worker(await rig.link(), runs)):
        await rig.submit("a", "b")
        await soon(lambda: sorted(runs.ids) == ["a", "b"], "both run")
        await client.execute_command("CONFIG", "SET", "maxmemory", "1")
        try:
            runs.finish("a")
            await rig.becomes("a", "succeeded")
            runs.fail("b", EngineFailed("out of paper", service="waits"))
            await rig.becomes("b", "delayed")
        finally:
            await client.execute_command("CONFIG", "SET", "maxmemory", "0")


async def test_a_machine_that_comes_back_without_its_models_is_not_believed_to_have_them(rig: Rig) -> None:
    first = await rig.link()
    await first.register(PROFILE, MachineDescription(), slots=1, models=[ModelHeld("sdxl", "resident", 1)])
    second = await rig.link()
    await second.register(PROFILE, MachineDescription(), slots=1, models=())
    assert (await read_snapshot(rig.cell.client, rig.cell.keys)).machines["m"].held == {}


async def soon_parked(rig: Rig, count: int = 1) -> None:
    async def is_so() -> bool:
        return (await rig.cell.statistics()).counts["parked_size"] == count

    await eventually(is_so, what=f"{count} parked machines", within_s=SOON_S)


async def soon_draining(rig: Rig) -> None:
    async def is_so() -> bool:
        return not (await read_snapshot(rig.cell.client, rig.cell.keys)).machines["m"].active

    await eventually(is_so, what="the machine takes no new work", within_s=SOON_S)


async def test_a_job_whose_engine_takes_no_work_goes_back_uncharged(rig: Rig) -> None:
    runs = Runs()
    async with rig.working(rig.worker(await rig.link(), runs)):
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a came")
        runs.fail("a", EngineNotReady("waits", reason="its engine died"))
        await soon(lambda: len(runs.ids) > 1, "a came again")
    record = await rig.record("a")
    assert (record.attempts, record.recoveries, record.error_code) == (0, 0, "")


async def test_a_machine_whose_engines_take_no_work_is_given_none_until_one_of_them_does(rig: Rig) -> None:
    runs = Runs()
    worker = rig.worker(await rig.link(), runs)
    async with rig.working(worker):
        await soon(lambda: not worker._attention.is_set(), "it waits")
        worker.offer((), trouble="waits takes no work now: it died")

        async def waits_no_more() -> bool:
            snapshot = await read_snapshot(rig.cell.client, rig.cell.keys)
            machine = snapshot.machines.get("m")
            return machine is not None and not machine.parked and not machine.takes_work

        await eventually(waits_no_more, what="the machine waits for no work")
        snapshot = await read_snapshot(rig.cell.client, rig.cell.keys)
        machine = snapshot.machines["m"]
        assert machine.out_because == "its engine is out: waits takes no work now: it died"
        assert snapshot.profiles[machine.profile].services == ("waits",), "what it could do is known"
        await rig.submit("a")
        worker.offer(("waits",))
        await soon(lambda: runs.ids == ["a"], "a runs")
        back = (await read_snapshot(rig.cell.client, rig.cell.keys)).machines["m"]
        assert (back.takes_work, back.description.trouble) == (True, "")
        runs.finish("a")
        await rig.becomes("a", "succeeded")


async def test_a_machine_that_an_operator_drained_stays_drained_when_its_agent_registers_again(rig: Rig) -> None:
    link = await rig.joined()
    await rig.cell.drain_machine("m", draining=True, nonce=nonce())
    await link.register(PROFILE, MachineDescription(), slots=1, models=())
    assert not (await read_snapshot(rig.cell.client, rig.cell.keys)).machines["m"].active
