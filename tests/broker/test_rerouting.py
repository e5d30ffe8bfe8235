"""Jobs that wait where nobody can have them go where somebody can, and home again when their pool is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from northstar.agent.direct_link import DirectLink
from northstar.broker.dead_letters import DeadLetters, Filter
from northstar.broker.deployment import Deployer
from northstar.broker.explained_jobs import JobExplainer
from northstar.broker.job_past import JobPast
from northstar.broker.queue_places import QueuePlaces
from northstar.broker.rerouting import Rerouter
from northstar.broker.routed import Routed
from northstar.broker.routing import Router
from northstar.broker.submission import Submitter, wanted_job
from northstar.broker.transfer import move
from northstar.broker.waiting_events import waiting_events
from northstar.broker.wanted_lanes import wanted_lane
from northstar.config.pools import packaged_pools
from northstar.domain.decisions import RoutingDecision
from northstar.domain.jobs import JobRequest, RetryRule
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.models import ModelNeed
from northstar.domain.pools import Pools
from northstar.domain.requirements import Requirements
from northstar.domain.stored_decisions import read_stored
from northstar.domain.tenancy import NO_TENANTS, Tenants, TenantTerms
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.policy.routing.decision_matrix import PoolRefusesJob
from northstar.policy.routing.duration import DurationEstimator
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.pool_capacity import FleetCapacity
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.history.finished_jobs import place_of
from northstar.store.messages import Failure
from northstar.store.snapshots import read_candidates
from tests.agent.rig import Rig, nonce
from tests.broker.test_routing import Guess
from tests.policy.models.catalogue import a_model
from tests.specification.pool_jobs import with_pool, with_routing

WORDS = [
    "tag:edge",
    "model:sdxl.safetensors",
    "service:waits",
    "pool:fast-lane",
    "pool:standard",
    "pool:heavy",
    "pool:enterprise",
    "pool:lightning",
]
ENTERPRISE = Tenants(tenants={"acme": TenantTerms(enterprise=True)})
A_PICTURE = {"width": 512, "height": 512, "steps": 20}


class Floor:
    """A cell with a router at its door, and one that looks again."""

    def __init__(
        self,
        rig: Rig,
        *,
        tenants: Callable[[], Tenants] = lambda: NO_TENANTS,
        seconds: float | None = 10.0,
        pools: Callable[[], Pools] = packaged_pools,
        view_s: float = 0,
    ) -> None:
        """Jobs take so many seconds; None: what is said of them, or the rules."""
        self.rig = rig
        self._pools = pools
        self.catalogue = CatalogueIndex()
        self._estimates = DurationEstimator() if seconds is None else Guess(seconds)
        self._tenants = tenants
        deployer = Deployer(rig.cell, new_id=lambda: nonce() + nonce(), monotonic=time.monotonic)
        self.rerouter = Rerouter(rig.cell, self.router(), new_nonce=nonce, deployer=deployer)
        self.submitter = Submitter(
            rig.cell, new_id=lambda: nonce() + nonce(), monotonic=time.monotonic, view_s=view_s, router=self.router()
        )

    def router(self) -> Router:
        return Router(
            pools=self._pools, tenants=self._tenants, estimates=self._estimates, catalogue=lambda: self.catalogue
        )

    async def opens(self) -> None:
        await self.rig.cell.declare(WORDS, by="test")

    async def machine(self, name: str, *pools: str, tags: tuple[str, ...] = ()) -> DirectLink:
        link = await self.rig.link(name)
        profile = MachineProfile(pools=pools, services=("waits",), tags=tags)
        await link.register(profile, MachineDescription(), slots=4, models=())
        await self.rig.plan()
        return link

    async def submit(self, job: str, **fields: Any) -> None:
        request = JobRequest(service="waits", id=job, payload=A_PICTURE, **fields)
        await self.submitter.submit([request])

    async def decision(self, job: str) -> RoutingDecision:
        (found,) = (await self.rig.cell.inspect([job], decisions=True)).jobs
        return read_stored(found.decision)

    async def takes(self, link: DirectLink) -> list[str]:
        await self.rig.plan()
        return [job.id for job in (await link.claim(credits_=4)).jobs]


async def test_a_job_of_a_pool_without_machines_goes_to_one_that_comes(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("a")
    assert (await floor.decision("a")).route == "waiting"
    heavy = await floor.machine("h", "heavy")
    assert await floor.rerouter.step() == 1
    decision = await floor.decision("a")
    assert (decision.pool, decision.route, decision.optimal) == ("heavy", "fallback", "fast-lane")
    assert await floor.takes(heavy) == ["a"]


async def test_it_goes_home_when_its_own_pool_has_a_machine_again(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.machine("h", "heavy")
    await floor.submit("a")
    assert (await floor.decision("a")).pool == "heavy"
    fast = await floor.machine("f", "fast-lane")
    assert await floor.rerouter.step() == 1
    assert ((await floor.decision("a")).pool, await floor.takes(fast)) == ("fast-lane", ["a"])


async def test_a_job_that_went_elsewhere_and_failed_there_is_replayed_there(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("a", retry=RetryRule(max_attempts=1))
    heavy = await floor.machine("h", "heavy")
    await floor.rerouter.step()
    await rig.plan()
    (held,) = (await heavy.claim(credits_=1)).jobs
    await heavy.fail([Failure(held.id, held.token, "NS_TEST", "broken", retryable=False, jitter=0.0)])
    dead = DeadLetters(rig.cell, new_nonce=nonce)
    assert [letter.pool async for letter in dead.find(Filter(pool="heavy"))] == ["heavy"]
    assert await dead.replay(["a"]) == {"a": None}
    assert await floor.takes(heavy) == ["a"]


async def test_a_job_that_went_elsewhere_waits_in_that_pool_of_another_cell_too(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("a")
    await floor.machine("h", "heavy")
    await floor.rerouter.step()
    async with Rig(rig.url) as there:
        await there.cell.declare(WORDS, by="test")
        assert (await move(rig.cell, there.cell, ["a"], new_id=nonce)).moved == ("a",)
        (job,) = (await there.cell.inspect(["a"], decisions=True)).jobs
        assert place_of(job)[0] == read_stored(job.decision).pool == "heavy"


async def test_who_waits_at_home_or_nowhere_better_stays(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("nowhere")
    assert await floor.rerouter.step() == 0
    await floor.machine("f", "fast-lane")
    await floor.submit("home")
    assert await floor.rerouter.step() == 0


async def test_a_promised_pool_and_one_that_was_asked_for_are_kept(rig: Rig) -> None:
    floor = Floor(rig, tenants=lambda: ENTERPRISE)
    await floor.opens()
    await floor.submit("promised", tenant="acme")
    await floor.submit("asked", pool="standard")
    await floor.machine("h", "heavy")
    assert await floor.rerouter.step() == 0
    assert [(await floor.decision(job)).pool for job in ("promised", "asked")] == ["enterprise", "standard"]


async def test_a_job_that_asks_for_what_is_isolated_for_another_by_now_is_brought_to_no_machine_of_it(rig: Rig) -> None:
    """It was accepted before the terms held, and may run nowhere now; the tenant of the terms goes there."""
    now = [NO_TENANTS]
    floor = Floor(rig, tenants=lambda: now[0])
    await floor.opens()
    await rig.cell.declare(["isolation:acme"], by="test")
    asked = Requirements(isolation="acme")
    await floor.submit("eves", tenant="eve", requires=asked)
    await floor.submit("acmes", tenant="acme", requires=asked)
    now[0] = Tenants(tenants={"acme": TenantTerms(isolation="acme")})
    link = await rig.link("h")
    profile = MachineProfile(pools=("heavy",), services=("waits",), dedicated_to="acme")
    await link.register(profile, MachineDescription(), slots=4, models=())
    assert await floor.rerouter.step() == 2
    assert await floor.takes(link) == ["acmes"]
    assert [(await floor.decision(job)).pool for job in ("eves", "acmes")] == ["fast-lane", "heavy"]


async def test_what_its_submitter_said_of_its_time_still_counts(rig: Rig) -> None:
    """Of ten minutes nobody says anything but its submitter, and ten minutes of pictures are no work for the Fast Lane."""
    floor = Floor(rig, seconds=None)
    await floor.opens()
    await floor.submit("long", expected_s=600.0)
    before = await floor.decision("long")
    await floor.machine("h", "heavy")
    await floor.rerouter.step()
    after = await floor.decision("long")
    assert (before.estimate.p50_s, after.estimate.p50_s) == (600.0, 600.0)
    assert before.optimal == after.optimal


async def test_a_job_whose_body_cannot_be_read_stays_and_holds_up_no_other(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("a")
    (known,) = (await rig.cell.inspect(["a"], decisions=True)).jobs
    request = JobRequest(service="waits", pool="fast-lane")
    strange = wanted_job(request, job_id="strange", lane=1, weight=1.0, decision=known.decision)
    strange = msgspec.structs.replace(strange, body='{"service":"waits","payload":{},"speciality":"of tomorrow"}')
    lane = wanted_lane(request.lane(), None, PatienceRule())
    await rig.cell.submit(jobs=[strange], lanes=[lane], nonce=nonce())
    await floor.machine("h", "heavy")
    assert await floor.rerouter.step() == 1
    assert (await floor.decision("a")).pool == "heavy"


async def test_a_job_whose_model_is_kept_for_others_by_now_stays_and_holds_up_no_other(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("kept", requires=Requirements(models=(ModelNeed(name="sdxl.safetensors"),)))
    await floor.submit("free")
    await floor.machine("h", "heavy")
    floor.catalogue = CatalogueIndex([a_model("sdxl.safetensors", tenants=("acme",))])
    assert await floor.rerouter.step() == 1
    assert (await floor.decision("free")).pool == "heavy"


async def test_where_all_wait_at_home_the_fleet_is_not_counted(rig: Rig) -> None:
    class Counting(Router):
        seen = 0

        def decide_by(self, fleet: FleetCapacity, index: FleetIndex) -> None:
            self.seen += 1
            super().decide_by(fleet, index)

    floor = Floor(rig)
    await floor.opens()
    await floor.machine("f", "fast-lane")
    await floor.submit("home")
    router = Counting(pools=packaged_pools, tenants=lambda: NO_TENANTS, estimates=Guess(10.0), catalogue=CatalogueIndex)
    assert await Rerouter(rig.cell, router, new_nonce=nonce).step() == 0
    assert router.seen == 0


async def test_others_have_their_turn_between_two_jobs_that_are_looked_at(rig: Rig) -> None:
    turns: list[int] = []

    class Noting(Router):
        def route(self, request: JobRequest, *, key: str) -> Routed:
            turns.append(others)
            return super().route(request, key=key)

    others = 0

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    floor = Floor(rig)
    await floor.opens()
    for at in range(10):
        await floor.submit(f"job-{at}")
    router = Noting(pools=packaged_pools, tenants=lambda: NO_TENANTS, estimates=Guess(10.0), catalogue=CatalogueIndex)
    task = asyncio.create_task(other())
    await Rerouter(rig.cell, router, new_nonce=nonce).step()
    task.cancel()
    assert len(set(turns)) == 10


async def test_two_that_look_at_once_move_a_job_once(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("a")
    await floor.machine("h", "heavy")
    other = Floor(rig)
    assert await floor.rerouter.step() + await other.rerouter.step() == 1


async def test_where_it_goes_machines_near_its_users_are_preferred_as_at_submit(rig: Rig) -> None:
    floor = Floor(rig, pools=lambda: with_pool("heavy", scaling={"prefers_edge": True}))
    await floor.opens()
    await floor.submit("a")
    await floor.machine("far", "heavy")
    await floor.machine("near", "heavy", tags=("edge",))
    assert await floor.rerouter.step() == 1
    choices = await read_candidates(rig.cell.client, rig.cell.keys)
    (far,), (near,) = choices["far"], choices["near"]
    assert near.preference < far.preference


async def test_an_explanation_names_the_pool_in_which_it_waits_now(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("a")
    await floor.machine("h", "heavy")
    await floor.rerouter.step()
    explainer = JobExplainer(
        rig.cell,
        past=JobPast(rig.cell, None),
        places=QueuePlaces(rig.cell, monotonic=time.monotonic),
        rule=PatienceRule(),
    )
    assert (await explainer.explain("a")).pool == "heavy"


async def test_many_lanes_have_their_turn_round_by_round(rig: Rig) -> None:
    floor = Floor(rig)
    tags = [f"t{at}" for at in range(40)]
    await rig.cell.declare([*WORDS, *(f"tag:{tag}" for tag in tags)], by="test")
    for tag in tags:
        await floor.submit(f"job-{tag}", requires=Requirements(tags=(tag,)))
    link = await rig.link("h")
    profile = MachineProfile(pools=("heavy",), services=("waits",), tags=tuple(tags))
    await link.register(profile, MachineDescription(), slots=4, models=())
    await rig.plan()
    moved = [await floor.rerouter.step() for _ in range(4)]
    assert (moved[0], sum(moved)) == (32, 40)


async def test_what_was_accepted_once_is_known_again_though_it_would_be_refused_today(rig: Rig) -> None:
    """A client repeats a submit whose answer was lost, and the pools have changed meanwhile."""
    now = [packaged_pools()]
    floor = Floor(rig, pools=lambda: now[0])
    await floor.opens()
    first = JobRequest(service="waits", id="first", payload=A_PICTURE, pool="standard")
    keyed = JobRequest(service="waits", payload=A_PICTURE, pool="standard", idempotency_key="order-7")
    accepted = [*await floor.submitter.submit([first]), *await floor.submitter.submit([keyed])]
    now[0] = with_pool("standard", models={"takes": ("text",), "takes_unknown": False})
    again = [*await floor.submitter.submit([first]), *await floor.submitter.submit([keyed])]
    assert [job.id for job in again] == [job.id for job in accepted]
    assert all(job.replayed for job in again)
    with pytest.raises(PoolRefusesJob):
        await floor.submitter.submit([msgspec.structs.replace(first, id="new")])


async def test_every_job_of_a_long_lane_has_its_turn_though_the_first_ones_never_move(rig: Rig) -> None:
    """The first 130 cannot be read and stay; the others may go, and did not while only the first hundred were ever looked at."""
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("a")
    (known,) = (await rig.cell.inspect(["a"], decisions=True)).jobs
    request = JobRequest(service="waits", pool="fast-lane", priority=90)
    lane = wanted_lane(request.lane(), None, PatienceRule())
    strange = [
        msgspec.structs.replace(
            wanted_job(request, job_id=f"strange-{at}", lane=1, weight=1.0, decision=known.decision),
            body='{"service":"waits","payload":{},"speciality":"of tomorrow"}',
        )
        for at in range(130)
    ]
    await rig.cell.submit(jobs=strange, lanes=[lane], nonce=nonce())
    await floor.machine("h", "heavy")
    assert [await floor.rerouter.step() for _ in range(2)] == [0, 1]
    assert (await floor.decision("a")).pool == "heavy"


async def test_a_round_takes_no_more_processor_time_than_it_may_and_the_next_one_goes_on_there(rig: Rig) -> None:
    """Each look at a job takes a second of a clock that a test moves."""
    looks: list[str] = []

    class Slow(Router):
        def route(self, request: JobRequest, *, key: str) -> Routed:
            looks.append(key)
            return super().route(request, key=key)

    def seconds() -> float:
        return float(len(looks))

    floor = Floor(rig)
    await floor.opens()
    for at in range(6):
        await floor.submit(f"job-{at}")
    router = Slow(pools=packaged_pools, tenants=lambda: NO_TENANTS, estimates=Guess(10.0), catalogue=CatalogueIndex)
    rerouter = Rerouter(rig.cell, router, new_nonce=nonce, budget_s=2.0, processor_s=seconds)
    for _ in range(3):
        await rerouter.step()
    assert looks == [f"job-{at}" for at in range(6)]


async def test_a_job_that_is_away_goes_home_though_those_before_it_are_at_home(rig: Rig) -> None:
    """Of one lane both: the guests' own pool had no machine when they came."""
    floor = Floor(rig)
    await floor.opens()
    heavy = await floor.machine("h", "heavy")
    await floor.submit("guest")
    assert (await floor.decision("guest")).optimal == "fast-lane"
    (known,) = (await rig.cell.inspect(["guest"], decisions=True)).jobs
    decided = read_stored(known.decision)
    at_home = msgspec.json.encode(msgspec.structs.replace(decided, optimal="heavy", route="matrix")).decode()
    request = JobRequest(service="waits", pool="heavy", priority=90)
    jobs = [wanted_job(request, job_id=f"home-{at}", lane=1, weight=1.0, decision=at_home) for at in range(3)]
    await rig.cell.submit(jobs=jobs, lanes=[wanted_lane(request.lane(), None, PatienceRule())], nonce=nonce())
    await floor.machine("f", "fast-lane")
    assert await floor.rerouter.step() == 1
    assert (await floor.decision("guest")).pool == "fast-lane"
    assert [job.id for job in (await heavy.claim(credits_=4)).jobs] == [f"home-{at}" for at in range(3)]


async def test_where_a_job_goes_its_models_are_brought_as_at_submit(rig: Rig) -> None:
    """Spec, flowchart: `P -->|No| R[Trigger Model Deployment]`. What was ordered in the pool it leaves helps nobody where it goes."""
    model = ModelNeed(name="sdxl.safetensors", sources=("https://x.example/sdxl",), sha256="unknown", size_bytes=6)
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("a", requires=Requirements(models=(model,)))
    heavy = await rig.link("h")
    profile = MachineProfile(pools=("heavy",), services=("waits",))
    await heavy.register(profile, MachineDescription(), slots=1, models=())
    await floor.submit("busy", pool="heavy")
    assert await floor.takes(heavy) == ["busy"]
    assert await floor.rerouter.step() == 1
    assert (await floor.decision("a")).pool == "heavy"
    assert [order.model for order in await rig.cell.pending_orders("h")] == ["sdxl.safetensors"]


async def test_where_pools_are_switched_off_jobs_that_wait_in_a_pool_without_machines_go_to_any(rig: Rig) -> None:
    """But not those whose submitter asked for the pool, nor those of tenants with enterprise terms."""
    now = [packaged_pools()]
    floor = Floor(rig, pools=lambda: now[0], tenants=lambda: ENTERPRISE)
    await floor.opens()
    await floor.submit("by-the-matrix")
    await floor.submit("asked", pool="standard")
    await floor.submit("promised", tenant="acme")
    research = await floor.machine("r", "research")
    now[0] = with_routing(mode="uniform")
    assert await floor.rerouter.step() == 1
    assert (await floor.decision("by-the-matrix")).pool == "uniform"
    assert [(await floor.decision(job)).pool for job in ("asked", "promised")] == ["standard", "enterprise"]
    assert await floor.takes(research) == ["by-the-matrix"]


async def test_jobs_that_nobody_has_routed_go_to_any_machine_too_once_pools_are_switched_off(rig: Rig) -> None:
    """A client without routing leaves its jobs to the Standard pool; where it named another, that one was asked for."""
    now = [packaged_pools()]
    floor = Floor(rig, pools=lambda: now[0])
    await floor.opens()
    await rig.submit("unrouted")
    await rig.submit("named", pool="heavy")
    research = await floor.machine("r", "research")
    assert await floor.rerouter.step() == 0  # while pools hold they stay
    now[0] = with_routing(mode="uniform")
    assert await floor.rerouter.step() == 1
    assert await floor.takes(research) == ["unrouted"]


async def test_each_job_is_told_its_own_reason_though_many_leave_a_lane_at_once(rig: Rig) -> None:
    """Of four slots of the first fallback two are kept: two jobs go there, and the others, for another reason, to the next."""
    floor = Floor(rig, pools=lambda: with_pool("standard", scaling={"reserved_share": 0.5}))
    await floor.opens()
    jobs = [f"job-{at}" for at in range(4)]
    for job in jobs:
        await floor.submit(job)
    await floor.machine("s", "standard")
    await floor.machine("h", "heavy")
    assert await floor.rerouter.step() == 4
    told = {
        one.subject: one.data["because"] for one in await waiting_events(rig.cell, jobs) if one.kind == "job.rerouted"
    }
    assert told == {job: (await floor.decision(job)).because for job in jobs}
    assert sorted(reason.split()[0] for reason in told.values()) == ["heavy", "heavy", "standard", "standard"]


async def test_a_job_that_is_routed_again_is_told_by_the_machines_of_that_moment(rig: Rig) -> None:
    """What was true at its submit is no reason any more."""
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("a")
    before = (await floor.decision("a")).machines
    assert before is not None
    assert (before.best, before.turned_down) == ((), ())
    await floor.machine("h", "heavy")
    await floor.machine("l", "lightning")
    assert await floor.rerouter.step() == 1
    after = (await floor.decision("a")).machines
    assert after is not None
    assert [one.machine for one in after.best] == ["h"]
    assert [(group.code, group.names) for group in after.turned_down] == [("pool", ("l",))]
