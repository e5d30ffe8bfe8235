"""The machines as submissions see them: read once for all who ask, made ready beside the loop, and ranked as plans rank them."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from northstar.broker import fleet_view
from northstar.broker.dispatch import Dispatcher
from northstar.broker.fleet_view import FleetView
from northstar.broker.routing import Router
from northstar.broker.submission import Submitter
from northstar.config.pools import packaged_pools
from northstar.domain.errors import InvalidRequest
from northstar.domain.estimates import FinishedRun
from northstar.domain.jobs import JobRequest
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.refusals import QueueRefusal
from northstar.domain.tenancy import NO_TENANTS
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.policy.routing import fleet_index, machine_order
from northstar.policy.routing.duration import DurationEstimator
from northstar.policy.routing.ranking_terms import RankingTerms, ranking_terms
from northstar.store.cell import Cell
from northstar.store.messages import Submitted
from northstar.store.snapshots import CellReader, read_candidates
from tests.agent.rig import Rig, nonce
from tests.broker.test_rerouting import A_PICTURE, WORDS, Floor
from tests.servers import eventually
from tests.specification.pool_jobs import with_pool


def routed_by(estimator: DurationEstimator) -> Router:
    pools = packaged_pools()
    return Router(pools=lambda: pools, tenants=lambda: NO_TENANTS, estimates=estimator, catalogue=CatalogueIndex)


async def idle(rig: Rig, name: str, gpu: str, *pools: str, tags: tuple[str, ...] = (), slots: int = 1) -> None:
    """A machine that waits for work."""
    link = await rig.link(name)
    profile = MachineProfile(pools=pools or ("fast-lane", "standard"), services=("waits",), tags=tags)
    await link.register(profile, MachineDescription(gpu=gpu), slots=slots, models=())
    assert (await link.claim(credits_=1)).jobs == []


def experienced() -> DurationEstimator:
    """The very job took 12 s on an H100 and 48 s on an L4."""
    estimator = DurationEstimator()
    for gpu, seconds in (("h100", 12.0), ("l4", 48.0)) * 8:
        run = FinishedRun(shape="", service="waits", model="", user="", gpu_class=gpu, ran_s=seconds)
        shaped = FinishedRun(shape="other", service="waits", model="", user="", gpu_class=gpu, ran_s=seconds)
        assert {estimator.learn(run), estimator.learn(shaped)} == {"learned"}
    return estimator


async def test_of_two_machines_that_wait_the_one_that_runs_the_job_faster_gets_it(rig: Rig) -> None:
    await rig.cell.declare(WORDS, by="test")
    await idle(rig, "a-slow", "NVIDIA L4")
    await idle(rig, "b-fast", "NVIDIA H100 PCIe")
    submitter = Submitter(
        rig.cell,
        new_id=lambda: nonce() + nonce(),
        monotonic=time.monotonic,
        view_s=0,
        router=routed_by(experienced()),
    )
    await submitter.submit([JobRequest(service="waits", id="a", payload=A_PICTURE)])
    assert (await rig.record("a")).machine == "b-fast"


async def test_a_plan_gives_a_job_that_waits_to_the_machine_that_runs_it_faster(rig: Rig) -> None:
    await rig.cell.declare(WORDS, by="test")
    await rig.submit("a")
    await idle(rig, "a-slow", "NVIDIA L4")
    await idle(rig, "b-fast", "NVIDIA H100 PCIe")
    terms = ranking_terms(packaged_pools(), experienced().paces())
    await Dispatcher(rig.cell, new_nonce=nonce, terms=lambda: terms).plan()
    assert (await rig.record("a")).machine == "b-fast"
    choices = await read_candidates(rig.cell.client, rig.cell.keys)
    (slow,), (fast,) = choices["a-slow"], choices["b-fast"]
    assert fast.preference < slow.preference


async def test_machines_near_their_users_stay_preferred_when_a_plan_is_made(rig: Rig) -> None:
    """The submission says it of new lanes; a plan that did not know would take it back."""
    floor = Floor(rig, pools=lambda: with_pool("fast-lane", scaling={"prefers_edge": True}))
    await floor.opens()
    await idle(rig, "far", "", "fast-lane", slots=2)
    await idle(rig, "near", "", "fast-lane", tags=("edge",), slots=2)
    await floor.submit("first")
    assert (await rig.record("first")).machine == "near"
    await rig.cell.set_candidates([("far", []), ("near", [])], nonce=nonce())
    terms = RankingTerms(near=frozenset({"fast-lane"}))
    dispatcher = Dispatcher(rig.cell, new_nonce=nonce, terms=lambda: terms)
    assert await dispatcher.plan() == 2
    assert await preferences(rig) == {"far": 24, "near": 24}  # near has a slot used by now
    terms = RankingTerms()
    assert await dispatcher.plan() == 2  # no wait has changed, but the pool has
    assert await preferences(rig) == {"far": 0, "near": 24}


async def preferences(rig: Rig) -> dict[str, int]:
    known = await read_candidates(rig.cell.client, rig.cell.keys)
    return {name: one.preference for name, (one,) in known.items()}


async def test_the_fleet_is_read_once_however_many_ask_at_the_same_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = CellReader.snapshot

    async def counted(self: CellReader) -> Any:
        nonlocal reads
        reads += 1
        return await read(self)

    monkeypatch.setattr(CellReader, "snapshot", counted)
    view = FleetView(rig.cell, monotonic=time.monotonic)
    seen = await asyncio.gather(*(view.now() for _ in range(20)))
    assert reads == 1
    assert len({id(one) for one in seen}) == 1


async def test_a_look_that_is_due_is_made_beside_the_submissions_unless_the_last_one_is_too_old(rig: Rig) -> None:
    now_s = 0.0
    view = FleetView(rig.cell, monotonic=lambda: now_s)
    first = await view.now()
    now_s = 1.5
    assert await view.now() is first

    async def has_looked() -> bool:
        return await view.now() is not first

    await eventually(has_looked, what="the look that was due is made")
    second = await view.now()
    now_s += 2.0
    assert await view.now() is not second


async def test_who_gives_up_takes_the_look_from_nobody_else(rig: Rig) -> None:
    view = FleetView(rig.cell, monotonic=time.monotonic)
    patient, other = asyncio.create_task(view.now()), asyncio.create_task(view.now())
    await asyncio.sleep(0)
    other.cancel()
    assert (await patient).snapshot.machines == {}


@pytest.mark.parametrize(("few", "beside"), [(16, False), (1, True)])
async def test_a_fleet_of_more_than_a_few_machines_is_sorted_beside_the_loop(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, few: int, beside: bool
) -> None:
    threads: set[int] = set()

    def watched(*of: Any) -> Any:
        threads.add(threading.get_ident())
        return machine_order.ordered(*of)

    monkeypatch.setattr(fleet_view, "FEW_MACHINES", few)
    monkeypatch.setattr(fleet_index, "ordered", watched)
    link = await rig.joined("a")
    await rig.joined("b")
    await rig.submit("x")
    await rig.plan()
    assert (
        len((await link.claim(credits_=1)).jobs) == 1
    )  # from here on machines differ in the memory that they have free
    view = FleetView(rig.cell, monotonic=time.monotonic, every_s=0, router=routed_by(DurationEstimator()))
    await view.now()
    assert (threading.get_ident() not in threads) is beside
    (await view.now()).index.order(8_000)
    threads.clear()
    (await view.now()).index.order(8_000)  # what the view before was asked for is ready
    assert (threading.get_ident() not in threads) is beside


async def test_jobs_of_one_batch_do_not_take_what_a_pool_keeps_for_its_own_work(rig: Rig) -> None:
    """Of four free slots two are kept: two guests go there, the others wait where they belong."""
    floor = Floor(rig, pools=lambda: with_pool("heavy", scaling={"reserved_share": 0.5}))
    await floor.opens()
    await floor.machine("h", "heavy")
    jobs = [JobRequest(service="waits", id=f"job-{at}", payload=A_PICTURE) for at in range(4)]
    accepted = await floor.submitter.submit_and_tell(jobs)
    assert [one.decision.pool for one in accepted if one.decision] == ["heavy", "heavy", "fast-lane", "fast-lane"]


async def a_floor_that_keeps_half_of_heavy(rig: Rig) -> Floor:
    """Two free slots of four are for guests; looks at the fleet are far between."""
    floor = Floor(rig, pools=lambda: with_pool("heavy", scaling={"reserved_share": 0.5}), view_s=3600.0)
    await floor.opens()
    await floor.machine("h", "heavy")
    return floor


async def pools_of(floor: Floor, *ids: str, **fields: Any) -> list[str | None]:
    jobs = [JobRequest(service="waits", id=one, payload=A_PICTURE, **fields) for one in ids]
    return [one.decision.pool if one.decision else None for one in await floor.submitter.submit_and_tell(jobs)]


async def test_what_is_submitted_again_takes_no_slot_again(rig: Rig) -> None:
    floor = await a_floor_that_keeps_half_of_heavy(rig)
    assert await pools_of(floor, "a") == ["heavy"]
    for _ in range(3):
        assert await pools_of(floor, "a") == ["heavy"]
    assert await pools_of(floor, "b", "c") == ["heavy", "fast-lane"]


async def test_a_batch_that_is_refused_takes_no_slot(rig: Rig) -> None:
    floor = await a_floor_that_keeps_half_of_heavy(rig)
    assert await pools_of(floor, "a") == ["heavy"]
    with pytest.raises(QueueRefusal):  # by the cell, which has another job of that id
        await pools_of(floor, "a", priority=70)
    with pytest.raises(InvalidRequest):  # by the router, at the second job
        await floor.submitter.submit_and_tell(
            [
                JobRequest(service="waits", id=pool or "x", payload=A_PICTURE, pool=pool)
                for pool in (None, "no-such-pool")
            ]
        )
    assert await pools_of(floor, "b", "c") == ["heavy", "fast-lane"]


async def test_a_batch_counts_though_the_fleet_is_read_between_its_routing_and_its_arrival(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read then cannot have it yet, and the batch keeps what it was given; what is read after it has it."""
    floor = await a_floor_that_keeps_half_of_heavy(rig)
    view, submit = floor.submitter.view, Cell.submit

    async def after_a_look(cell: Cell, **batch: Any) -> list[Submitted]:
        monkeypatch.setattr(Cell, "submit", submit)
        view.every_s = 0
        await view.now()
        view.every_s = 3600.0
        return await submit(cell, **batch)

    await view.now()
    monkeypatch.setattr(Cell, "submit", after_a_look)
    assert await pools_of(floor, "a", "b") == ["heavy", "heavy"]
    assert await pools_of(floor, "c") == ["fast-lane"]
