"""Terms that change while jobs wait: nobody leaves today's limits by being moved, and nobody waits on where they forbid it."""

from __future__ import annotations

import time

import msgspec
import pytest

from northstar.agent.direct_link import DirectLink
from northstar.broker.dead_letters import DeadLetters
from northstar.broker.explained_jobs import JobExplainer
from northstar.broker.job_past import JobPast
from northstar.broker.queue_places import QueuePlaces
from northstar.broker.rerouting import Rerouter
from northstar.broker.routed import Routed
from northstar.broker.routing import Router
from northstar.broker.submission import wanted_job
from northstar.broker.terms_in_force import TermsUnreadable
from northstar.broker.transfer import move
from northstar.broker.waiting_events import waiting_events
from northstar.broker.wanted_lanes import wanted_lane
from northstar.config.pools import packaged_pools
from northstar.domain.errors import NorthstarError
from northstar.domain.explanations import JobExplanation
from northstar.domain.jobs import JobRequest, RetryRule
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.models import ModelNeed
from northstar.domain.requirements import Requirements
from northstar.domain.tenancy import NO_TERMS, Tenants, TenantTerms
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.terms import RegionNotAllowed
from northstar.store.messages import Failure
from tests.agent.rig import Rig, nonce
from tests.broker.test_rerouting import Floor
from tests.broker.test_routing import Guess
from tests.policy.models.catalogue import a_model
from tests.servers import eventually

EUROPE = TenantTerms(regions=("eu",))
AMERICA = TenantTerms(regions=("us",))
ENTERPRISE = TenantTerms(enterprise=True)


class Agreed:
    """What is agreed at the moment with the tenant of all the jobs here."""

    def __init__(self, terms: TenantTerms | NorthstarError = NO_TERMS) -> None:
        self.terms = terms

    def __call__(self) -> Tenants:
        if isinstance(self.terms, NorthstarError):
            raise self.terms
        return Tenants(tenants={"default": self.terms})


async def opened(rig: Rig, agreed: Agreed) -> Floor:
    floor = Floor(rig, tenants=agreed)
    await floor.opens()
    await rig.cell.declare(["region:eu", "region:us"], by="test")
    return floor


async def machine_in(floor: Floor, region: str, *pools: str, dedicated_to: str | None = None) -> DirectLink:
    link = await floor.rig.link("-".join([*pools, region, *([dedicated_to] if dedicated_to else [])]))
    profile = MachineProfile(pools=pools, services=("waits",), region=region, dedicated_to=dedicated_to)
    await link.register(profile, MachineDescription(region=region), slots=4, models=())
    await floor.rig.plan()
    return link


async def explained(rig: Rig, job: str) -> JobExplanation:
    places = QueuePlaces(rig.cell, monotonic=time.monotonic)
    return await JobExplainer(rig.cell, past=JobPast(rig.cell, None), places=places, rule=PatienceRule()).explain(job)


async def test_a_job_that_is_moved_stays_in_the_regions_of_today(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    await floor.submit("a")
    agreed.terms = EUROPE
    abroad = await machine_in(floor, "us", "heavy")
    assert await floor.rerouter.step() == 1  # to the lane of its regions, where nobody serves it
    assert "region" in (await floor.decision("a")).unservable
    home = await machine_in(floor, "eu", "heavy")
    assert await floor.rerouter.step() == 1
    assert (await floor.takes(abroad), await floor.takes(home)) == ([], ["a"])


async def test_a_job_that_todays_terms_would_refuse_runs_nowhere_and_is_told_why(rig: Rig) -> None:
    """It was accepted for Europe, which is part of what it needs, and its tenant may only run in America now."""
    agreed = Agreed(EUROPE)
    floor = await opened(rig, agreed)
    await floor.submit("a")
    agreed.terms = AMERICA
    abroad, home = await machine_in(floor, "us", "heavy"), await machine_in(floor, "eu", "fast-lane")
    assert await floor.rerouter.step() == 1
    with pytest.raises(RegionNotAllowed):
        await floor.submit("b", requires=Requirements(regions=("eu",)))
    assert (await floor.takes(abroad), await floor.takes(home)) == ([], [])
    why = "tenant default may run its jobs in us only, and this one asks for eu"
    decision = await floor.decision("a")
    assert (decision.pool, decision.unservable[: len(why)], decision.because[: len(why)]) == ("fast-lane", why, why)
    told = await explained(rig, "a")
    assert told.unservable.startswith(why)
    assert [action.command for action in told.actions] == ["northstar tenants show default", "northstar cancel a"]
    assert [group.reason.code for group in told.machines.shown] == ["does_not_fit", "does_not_fit"]
    assert await floor.rerouter.step() == 0  # and there it stays


async def test_a_job_that_runs_nowhere_goes_home_once_terms_allow_it_again(rig: Rig) -> None:
    agreed = Agreed(EUROPE)
    floor = await opened(rig, agreed)
    await floor.submit("routed")
    await rig.cell.declare(["pool:standard"], by="test")
    await rig.submit("unrouted", requires=Requirements(regions=("eu",)))
    home = await machine_in(floor, "eu", "fast-lane", "standard")
    agreed.terms = AMERICA
    assert await floor.rerouter.step() == 2
    assert await floor.takes(home) == []
    agreed.terms = NO_TERMS
    assert await floor.rerouter.step() == 2
    assert sorted(await floor.takes(home)) == ["routed", "unrouted"]


async def test_terms_that_are_gone_do_not_widen_what_was_promised(rig: Rig) -> None:
    agreed = Agreed(EUROPE)
    floor = await opened(rig, agreed)
    await floor.submit("a")
    agreed.terms = NO_TERMS
    await machine_in(floor, "us", "heavy")
    assert await floor.rerouter.step() == 0


async def test_a_promised_pool_is_kept_when_the_promise_ends_for_later_jobs(rig: Rig) -> None:
    agreed = Agreed(ENTERPRISE)
    floor = await opened(rig, agreed)
    await floor.submit("promised")
    agreed.terms = NO_TERMS
    await floor.submit("later")
    await floor.machine("h", "heavy")
    await floor.rerouter.step()
    assert [(await floor.decision(job)).pool for job in ("promised", "later")] == ["enterprise", "heavy"]


async def test_a_job_that_waits_elsewhere_goes_to_the_enterprise_pool_once_its_tenant_has_such_terms(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    await floor.submit("a")
    agreed.terms = ENTERPRISE
    heavy = await floor.machine("h", "heavy")
    assert await floor.rerouter.step() == 1
    vault = await floor.machine("v", "enterprise")
    assert ((await floor.decision("a")).row, await floor.takes(heavy), await floor.takes(vault)) == (
        "enterprise",
        [],
        ["a"],
    )


async def test_while_the_terms_cannot_be_read_nobody_is_moved(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    await floor.submit("a")
    agreed.terms = TermsUnreadable("a newer version wrote them")
    await floor.machine("h", "heavy")
    assert await floor.rerouter.step() == 0
    agreed.terms = NO_TERMS
    assert await floor.rerouter.step() == 1


async def test_a_job_that_waits_at_home_leaves_where_its_narrowed_terms_forbid_it_and_its_neighbours_stay(
    rig: Rig,
) -> None:
    """Both wait in one lane, whose machine is abroad."""
    agreed = Agreed()
    floor = await opened(rig, agreed)
    abroad = await machine_in(floor, "us", "fast-lane")
    await floor.submit("bound")
    await floor.submit("free", tenant="other")
    agreed.terms = EUROPE
    assert await floor.rerouter.step() == 1
    assert await floor.takes(abroad) == ["free"]
    told = [event.data for event in await waiting_events(rig.cell, ["bound"]) if event.kind == "job.rerouted"]
    assert [one["because"] for one in told] == [(await floor.decision("bound")).because]
    assert told[0]["because"].endswith("the terms of tenant default forbid it where it waited")
    home = await machine_in(floor, "eu", "fast-lane")
    assert await floor.takes(home) == ["bound"]
    assert await floor.rerouter.step() == 0


async def test_a_job_that_runs_already_ends_where_it_runs(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    abroad = await machine_in(floor, "us", "fast-lane")
    await floor.submit("runs")
    assert await floor.takes(abroad) == ["runs"]
    agreed.terms = EUROPE
    assert await floor.rerouter.step() == 0
    (job,) = (await rig.cell.inspect(["runs"])).jobs
    assert job.record.status == "running"


async def test_who_gets_an_isolation_waits_for_machines_of_its_own_from_then_on(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    await rig.cell.declare(["isolation:acme"], by="test")
    everybodys = await machine_in(floor, "eu", "fast-lane")
    await floor.submit("a")
    agreed.terms = TenantTerms(isolation="acme")
    assert await floor.rerouter.step() == 1
    own = await machine_in(floor, "eu", "fast-lane", dedicated_to="acme")
    assert (await floor.takes(everybodys), await floor.takes(own)) == ([], ["a"])


async def test_a_job_at_home_goes_to_the_enterprise_pool_as_soon_as_its_tenant_has_such_terms(rig: Rig) -> None:
    """Also one whose submitter asked for the pool, as at a submit."""
    agreed = Agreed()
    floor = await opened(rig, agreed)
    fast = await machine_in(floor, "eu", "fast-lane")
    await floor.submit("by-the-matrix")
    await floor.submit("asked", pool="fast-lane")
    agreed.terms = ENTERPRISE
    assert await floor.rerouter.step() == 2
    assert await floor.takes(fast) == []
    decisions = [await floor.decision(job) for job in ("by-the-matrix", "asked")]
    assert [(one.pool, one.guaranteed) for one in decisions] == [("enterprise", True), ("enterprise", True)]


async def test_a_pool_that_was_asked_for_or_promised_is_kept_within_narrowed_regions(rig: Rig) -> None:
    agreed = Agreed(ENTERPRISE)
    floor = await opened(rig, agreed)
    vault, heavy = await machine_in(floor, "us", "enterprise"), await machine_in(floor, "us", "heavy")
    await floor.submit("promised")
    agreed.terms = NO_TERMS
    await floor.submit("asked", pool="heavy")
    agreed.terms = EUROPE
    assert await floor.rerouter.step() == 2
    assert (await floor.takes(vault), await floor.takes(heavy)) == ([], [])
    assert "region" in (await floor.decision("asked")).unservable
    for job, pool in (("promised", "enterprise"), ("asked", "heavy")):
        assert await floor.takes(await machine_in(floor, "eu", pool)) == [job]
        assert (await floor.decision(job)).pool == pool


async def test_what_is_stored_of_a_job_that_keeps_its_pool_is_told_of_the_machines_that_are_left_to_it(
    rig: Rig,
) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    await machine_in(floor, "us", "heavy")
    home = await machine_in(floor, "eu", "heavy")
    await floor.submit("asked", pool="heavy")
    agreed.terms = EUROPE
    assert await floor.rerouter.step() == 1
    told = await floor.decision("asked")
    assert told.machines is not None
    assert [one.machine for one in told.machines.best] == [home.machine]
    assert (told.route, told.fit_machines, told.unservable) == ("pinned", 1, "")
    assert told.because == "it waits in pool heavy; the terms of tenant default forbid it where it waited"


async def test_a_job_that_nobody_has_routed_is_held_to_the_terms_too(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    abroad = await machine_in(floor, "us", "standard")
    await rig.submit("unrouted")
    agreed.terms = EUROPE
    assert await floor.rerouter.step() == 1
    home = await machine_in(floor, "eu", "standard")
    assert (await floor.takes(abroad), await floor.takes(home)) == ([], ["unrouted"])


async def test_a_job_whose_body_cannot_be_read_is_held_to_the_terms_by_what_its_lane_asks_for(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    abroad = await machine_in(floor, "us", "fast-lane")
    await floor.submit("known")
    (known,) = (await rig.cell.inspect(["known"], decisions=True)).jobs
    request = JobRequest(service="waits", pool="fast-lane")
    strange = wanted_job(request, job_id="strange", lane=1, weight=1.0, decision=known.decision)
    strange = msgspec.structs.replace(strange, body='{"service":"waits","payload":{},"speciality":"of tomorrow"}')
    lane = wanted_lane(request.lane(), None, PatienceRule())
    await rig.cell.submit(jobs=[strange], lanes=[lane], nonce=nonce())
    agreed.terms = EUROPE
    assert await floor.rerouter.step() == 2
    home = await machine_in(floor, "eu", "fast-lane")
    assert (await floor.takes(abroad), sorted(await floor.takes(home))) == ([], ["known", "strange"])


async def test_what_the_catalogue_would_refuse_by_now_leaves_where_the_terms_forbid_it_all_the_same(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    abroad = await machine_in(floor, "us", "fast-lane")
    await floor.submit("kept", requires=Requirements(models=(ModelNeed(name="sdxl.safetensors"),)))
    floor.catalogue = CatalogueIndex([a_model("sdxl.safetensors", tenants=("acme",))])
    agreed.terms = EUROPE
    assert await floor.rerouter.step() == 1
    home = await machine_in(floor, "eu", "fast-lane")
    assert (await floor.takes(abroad), await floor.takes(home)) == ([], ["kept"])


async def test_a_job_that_pauses_after_a_failed_attempt_does_not_come_back_to_where_it_may_not_run(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    abroad = await machine_in(floor, "us", "fast-lane")
    await floor.submit("fails", retry=RetryRule(backoff_s=0.2, backoff_cap_s=0.2))
    await rig.plan()
    (held,) = (await abroad.claim(credits_=1)).jobs
    await abroad.fail([Failure(held.id, held.token, "NS_TEST", "broken", retryable=True, jitter=0.9)])
    assert (await rig.cell.inspect(["fails"])).jobs[0].record.status == "delayed"
    agreed.terms = EUROPE
    assert await floor.rerouter.step() == 1
    home = await machine_in(floor, "eu", "fast-lane")

    async def is_due() -> bool:
        await rig.cell.tick(nonce=nonce())
        return (await rig.cell.inspect(["fails"])).jobs[0].record.status == "queued"

    await eventually(is_due, what="the pause is over")
    assert (await floor.takes(abroad), await floor.takes(home)) == ([], ["fails"])


async def test_where_a_region_of_the_terms_is_not_known_in_the_cell_yet_a_job_waits_for_that_and_not_abroad(
    rig: Rig,
) -> None:
    """Whoever keeps the terms declares their words, a moment after they hold; nobody else is held up by it."""
    agreed = Agreed()
    floor = await opened(rig, agreed)
    abroad = await machine_in(floor, "us", "fast-lane")
    await floor.submit("a")
    agreed.terms = TenantTerms(regions=("moon",))
    assert await floor.rerouter.step() == 1
    assert await floor.takes(abroad) == []
    assert "not declared in this cell yet" in (await floor.decision("a")).unservable
    assert await floor.rerouter.step() == 0
    moon = await machine_in(floor, "moon", "fast-lane")
    assert await floor.rerouter.step() == 1
    assert await floor.takes(moon) == ["a"]


async def test_jobs_that_pause_have_their_turn_though_a_look_ends_among_them(rig: Rig) -> None:
    """One look at a job takes all the time that a round has; those that stay where they are hold up no other."""
    looks: list[str] = []

    class Slow(Router):
        def route(self, request: JobRequest, *, key: str) -> Routed:
            looks.append(key)
            return super().route(request, key=key)

    agreed = Agreed()
    floor = await opened(rig, agreed)
    abroad = await machine_in(floor, "us", "fast-lane")
    jobs = [f"job-{at}" for at in range(3)]
    for job in jobs:
        await floor.submit(job, retry=RetryRule(backoff_s=3_600.0, backoff_cap_s=3_600.0))
    await rig.plan()
    held = (await abroad.claim(credits_=3)).jobs
    await abroad.fail([Failure(one.id, one.token, "NS_TEST", "broken", retryable=True, jitter=0.9) for one in held])
    agreed.terms = EUROPE
    router = Slow(pools=packaged_pools, tenants=agreed, estimates=Guess(10.0), catalogue=CatalogueIndex)
    rerouter = Rerouter(rig.cell, router, new_nonce=nonce, budget_s=1.0, processor_s=lambda: float(len(looks)))
    assert [await rerouter.step() for _ in range(4)] == [1, 1, 1, 0]
    assert sorted(looks) == jobs


async def test_every_job_of_a_long_lane_has_its_turn_though_most_of_it_may_stay(rig: Rig) -> None:
    """A look is bounded: the first jobs and the next fifty, round about. The bound one is the last of 131."""
    agreed = Agreed()
    floor = await opened(rig, agreed)
    await machine_in(floor, "us", "fast-lane")
    for at in range(130):
        await floor.submit(f"job-{at}", tenant="other")
    await floor.submit("bound", priority=1)
    agreed.terms = EUROPE
    assert [await floor.rerouter.step() for _ in range(4)] == [0, 0, 1, 0]
    assert (await floor.decision("bound")).unservable


async def test_a_look_at_forbidden_jobs_takes_no_more_processor_time_than_any(rig: Rig) -> None:
    looks: list[str] = []

    class Slow(Router):
        def route(self, request: JobRequest, *, key: str) -> Routed:
            looks.append(key)
            return super().route(request, key=key)

    agreed = Agreed()
    floor = await opened(rig, agreed)
    await machine_in(floor, "us", "fast-lane")
    for at in range(6):
        await floor.submit(f"job-{at}")
    agreed.terms = EUROPE
    router = Slow(pools=packaged_pools, tenants=agreed, estimates=Guess(10.0), catalogue=CatalogueIndex)
    rerouter = Rerouter(rig.cell, router, new_nonce=nonce, budget_s=2.0, processor_s=lambda: float(len(looks)))
    moved, taken = 0, []
    for _ in range(6):
        before = len(looks)
        moved += await rerouter.step()
        taken.append(len(looks) - before)
    assert (moved, max(taken)) == (6, 2)
    assert list(dict.fromkeys(looks)) == [f"job-{at}" for at in range(6)]


async def test_a_dead_letter_goes_back_to_work_within_the_terms_of_today(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    abroad = await machine_in(floor, "us", "fast-lane")
    for job in ("bound", "barred"):
        await floor.submit(
            job,
            retry=RetryRule(max_attempts=1),
            requires=Requirements(regions=("us",) if job == "barred" else ()),
        )
    await rig.plan()
    held = (await abroad.claim(credits_=2)).jobs
    await abroad.fail([Failure(one.id, one.token, "NS_TEST", "broken", retryable=False, jitter=0.0) for one in held])
    agreed.terms = EUROPE
    dead = DeadLetters(rig.cell, new_nonce=nonce, router=floor.router())
    assert await dead.replay(["bound", "barred"]) == {"bound": None, "barred": None}
    home = await machine_in(floor, "eu", "fast-lane")
    assert (await floor.takes(abroad), await floor.takes(home)) == ([], ["bound"])


async def test_a_dead_letter_of_a_tenant_with_enterprise_terms_waits_for_its_pool(rig: Rig) -> None:
    """Until it is routed there, with the decision that says so, no machine may have it."""
    agreed = Agreed()
    floor = await opened(rig, agreed)
    fast = await machine_in(floor, "eu", "fast-lane")
    await floor.submit("a", retry=RetryRule(max_attempts=1))
    await rig.plan()
    (held,) = (await fast.claim(credits_=1)).jobs
    await fast.fail([Failure(held.id, held.token, "NS_TEST", "broken", retryable=False, jitter=0.0)])
    agreed.terms = ENTERPRISE
    await DeadLetters(rig.cell, new_nonce=nonce, router=floor.router()).replay(["a"])
    vault = await machine_in(floor, "eu", "enterprise")
    assert (await floor.takes(fast), await floor.takes(vault)) == ([], [])
    assert await floor.rerouter.step() == 1
    assert ((await floor.decision("a")).pool, await floor.takes(vault)) == ("enterprise", ["a"])


async def test_nothing_is_replayed_while_the_terms_cannot_be_read(rig: Rig) -> None:
    agreed = Agreed()
    floor = await opened(rig, agreed)
    fast = await machine_in(floor, "eu", "fast-lane")
    await floor.submit("a", retry=RetryRule(max_attempts=1))
    await rig.plan()
    (held,) = (await fast.claim(credits_=1)).jobs
    await fast.fail([Failure(held.id, held.token, "NS_TEST", "broken", retryable=False, jitter=0.0)])
    agreed.terms = TermsUnreadable("a newer version wrote them")
    with pytest.raises(TermsUnreadable):
        await DeadLetters(rig.cell, new_nonce=nonce, router=floor.router()).replay(["a"])
    assert (await rig.cell.inspect(["a"])).jobs[0].record.status == "failed"


async def test_a_job_that_is_moved_to_another_cell_waits_there_within_the_terms_of_that_cell(rig: Rig) -> None:
    floor = await opened(rig, Agreed())
    await floor.submit("a")
    async with Rig(rig.url) as there:
        other = await opened(there, Agreed(EUROPE))
        abroad, home = await machine_in(other, "us", "fast-lane"), await machine_in(other, "eu", "fast-lane")
        moves = await move(rig.cell, there.cell, ["a"], new_id=nonce, router=other.router())
        assert (moves.moved, await other.takes(abroad), await other.takes(home)) == (("a",), [], ["a"])
