"""Jobs that wait where nobody can have them go where somebody can, and home again when their pool is back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from northstar.agent.direct_link import DirectLink
from northstar.broker.rerouting import Rerouter
from northstar.broker.routing import Router
from northstar.broker.submission import Submitter
from northstar.config.pools import packaged_pools
from northstar.domain.decisions import RoutingDecision
from northstar.domain.jobs import JobRequest
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.requirements import Requirements
from northstar.domain.tenancy import NO_TERMS, TenantTerms
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.policy.routing.duration import DurationEstimator
from tests.agent.rig import Rig, nonce
from tests.broker.test_routing import Guess

WORDS = ["service:waits", "pool:fast-lane", "pool:standard", "pool:heavy", "pool:enterprise", "pool:lightning"]
A_PICTURE = {"width": 512, "height": 512, "steps": 20}


class Floor:
    """A cell with a router at its door, and one that looks again."""

    def __init__(
        self, rig: Rig, *, terms: Callable[[str], TenantTerms] = lambda _: NO_TERMS, seconds: float | None = 10.0
    ) -> None:
        """Jobs take so many seconds; None: what is said of them, or the rules."""
        self.rig = rig
        self._estimates = DurationEstimator() if seconds is None else Guess(seconds)
        self._terms = terms
        self.rerouter = Rerouter(rig.cell, self._router(), new_nonce=nonce)
        self.submitter = Submitter(
            rig.cell, new_id=lambda: nonce() + nonce(), monotonic=time.monotonic, view_s=0, router=self._router()
        )

    def _router(self) -> Router:
        return Router(pools=packaged_pools, terms=self._terms, estimates=self._estimates, catalogue=CatalogueIndex)

    async def opens(self) -> None:
        await self.rig.cell.declare(WORDS, by="test")

    async def machine(self, name: str, *pools: str) -> DirectLink:
        link = await self.rig.link(name)
        profile = MachineProfile(pools=pools, services=("waits",))
        await link.register(profile, MachineDescription(), slots=4, models=())
        await self.rig.plan()
        return link

    async def submit(self, job: str, **fields: Any) -> None:
        request = JobRequest(service="waits", id=job, payload=A_PICTURE, **fields)
        await self.submitter.submit([request])

    async def decision(self, job: str) -> RoutingDecision:
        (found,) = (await self.rig.cell.inspect([job], decisions=True)).jobs
        return msgspec.json.decode(found.decision, type=RoutingDecision)

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


async def test_who_waits_at_home_or_nowhere_better_stays(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("nowhere")
    assert await floor.rerouter.step() == 0
    await floor.machine("f", "fast-lane")
    await floor.submit("home")
    assert await floor.rerouter.step() == 0


async def test_a_promised_pool_and_one_that_was_asked_for_are_kept(rig: Rig) -> None:
    floor = Floor(rig, terms=lambda tenant: TenantTerms(enterprise=tenant == "acme"))
    await floor.opens()
    await floor.submit("promised", tenant="acme")
    await floor.submit("asked", pool="standard")
    await floor.machine("h", "heavy")
    assert await floor.rerouter.step() == 0
    assert [(await floor.decision(job)).pool for job in ("promised", "asked")] == ["enterprise", "standard"]


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


async def test_two_that_look_at_once_move_a_job_once(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("a")
    await floor.machine("h", "heavy")
    other = Floor(rig)
    assert await floor.rerouter.step() + await other.rerouter.step() == 1


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
