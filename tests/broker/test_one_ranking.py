"""One ranking of machines: what the cell hands jobs out by, what is stored with a job, what is explained of it, and what a job gets that comes
back or from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import pytest

from northstar.agent.direct_link import DirectLink
from northstar.broker.dead_letters import DeadLetters
from northstar.broker.dispatch import Dispatcher
from northstar.broker.explained_jobs import JobExplainer
from northstar.broker.explaining import Explainer
from northstar.broker.job_past import JobPast
from northstar.broker.queue_places import QueuePlaces
from northstar.broker.rerouting import Rerouter
from northstar.broker.routing import Router
from northstar.broker.submission import Submitter
from northstar.broker.transfer import move, on_the_way, sweep
from northstar.config.pools import packaged_pools
from northstar.domain.decisions import RoutingDecision
from northstar.domain.jobs import JobRequest, RetryRule
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.models import ModelHeld, ModelNeed
from northstar.domain.pools import Pools
from northstar.domain.reasons import MachineGroup
from northstar.domain.requirements import Requirements
from northstar.domain.stored_decisions import read_stored
from northstar.domain.tenancy import NO_TENANTS
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.policy.routing.duration import JobToTime
from northstar.policy.routing.gpu_pace import GpuPaces
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.lane_waits import read_ranked
from northstar.store.messages import Candidate, Failure
from northstar.store.snapshots import read_candidates
from tests.agent.rig import Rig, nonce
from tests.broker.test_rerouting import A_PICTURE, WORDS
from tests.broker.test_routing import Guess
from tests.specification.pool_jobs import with_pool

#: By name the slow one comes first, and by all that is known of GPUs in general too.
GPUS = {"a": "NVIDIA L4", "b": "NVIDIA H100 PCIe"}
IN_GENERAL = GpuPaces({"l4": 1.0, "h100": 3.0})


class Learned(Guess):
    """Jobs of the service run 5 s on an H100 and 40 s on an L4, whatever is known of these GPUs in general."""

    def __init__(self) -> None:
        super().__init__()
        self.known_paces = IN_GENERAL
        self.own = {"h100": 5.0, "l4": 40.0}

    def run_times(self, job: JobToTime, gpu_classes: Iterable[str]) -> dict[str, float]:
        self.asked.append((job.service, job.user, job.model))
        return {name: self.own[name] for name in gpu_classes if name in self.own}


class Floor:
    """A cell with an L4 and an H100 in its Fast Lane, and whoever routes to them."""

    def __init__(self, rig: Rig, *, pools: Pools | None = None) -> None:
        self.rig = rig
        self.estimates = Learned()
        self._pools = pools or packaged_pools()
        self.links: dict[str, DirectLink] = {}
        self.submitter = Submitter(
            rig.cell, new_id=lambda: nonce() + nonce(), monotonic=time.monotonic, view_s=0, router=self.router()
        )

    def router(self) -> Router:
        return Router(
            pools=lambda: self._pools,
            tenants=lambda: NO_TENANTS,
            estimates=self.estimates,
            catalogue=CatalogueIndex,
        )

    async def opens(self, *, held: dict[str, str] | None = None, pool: str = "fast-lane", **profile: Any) -> None:
        await self.rig.cell.declare([*WORDS, "tag:other"], by="test")
        for name, gpu in GPUS.items():
            link = self.links[name] = await self.rig.link(name)
            models = [ModelHeld(model, state="resident") for model, holder in (held or {}).items() if holder == name]
            fields = {"pools": (pool,), "services": ("waits",)} | (profile.get(name) or {})
            await link.register(MachineProfile(**fields), MachineDescription(gpu=gpu), slots=4, models=tuple(models))
        await self.rig.plan()  # fits are decided

    async def submit(self, job: str, **fields: Any) -> None:
        await self.submitter.submit([JobRequest(service="waits", id=job, payload=A_PICTURE, **fields)])

    async def decision(self, job: str) -> RoutingDecision:
        (found,) = (await self.rig.cell.inspect([job], decisions=True)).jobs
        return read_stored(found.decision)

    async def meant(self, job: str) -> list[str]:
        """The machines that its stored decision names, the first first."""
        machines = (await self.decision(job)).machines
        assert machines is not None
        return [one.machine for one in machines.best]

    async def in_cell(self, job: str) -> list[str]:
        """The cell's ranking of its lane."""
        (found,) = (await self.rig.cell.inspect([job])).jobs
        return await read_ranked(self.rig.cell.client, self.rig.cell.keys, found.record.lane)

    def places(self) -> QueuePlaces:
        router = self.router()
        return QueuePlaces(self.rig.cell, monotonic=time.monotonic, paces=lambda: router.ranking_terms().paces)

    async def explained(self, job: str) -> list[MachineGroup]:
        explainer = JobExplainer(
            self.rig.cell, past=JobPast(self.rig.cell, None), places=self.places(), rule=PatienceRule()
        )
        return list((await explainer.explain(job)).machines.shown)

    def dispatcher(self) -> Dispatcher:
        return Dispatcher(self.rig.cell, new_nonce=nonce, terms=self.router().ranking_terms)


async def ranks(rig: Rig) -> dict[str, list[Candidate]]:
    """What each machine may take: with the waits and preferences."""
    return {name: list(found) for name, found in (await read_candidates(rig.cell.client, rig.cell.keys)).items()}


async def test_the_machine_that_is_named_at_submit_and_now_is_the_one_that_the_cell_has_first(rig: Rig) -> None:
    """By what this very job takes on each, against what is known of the GPUs in general and against their names."""
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("job")
    assert await floor.in_cell("job") == ["b", "a"]
    assert await floor.meant("job") == ["b", "a"]
    assert [group.names for group in await floor.explained("job")] == [("b", "a")]
    machines = (await floor.decision("job")).machines
    assert machines is not None
    assert [one.run_s for one in machines.best] == [5.0, 40.0]


async def test_where_machines_differ_in_more_the_group_that_the_cell_has_first_is_told_first(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens(a={"tags": ("other",)})
    await floor.submit("job")
    assert await floor.in_cell("job") == ["b", "a"]
    assert [group.names for group in await floor.explained("job")] == [("b",), ("a",)]


async def test_of_machines_that_are_as_soon_the_one_is_meant_that_the_cell_has_first(rig: Rig) -> None:
    """The emptier, and where its pool prefers that, the one near its users."""
    floor = Floor(rig, pools=with_pool("heavy", scaling={"prefers_edge": True}))
    floor.estimates.own, floor.estimates.known_paces = {}, GpuPaces({"l4": 1.0, "h100": 1.0})
    await floor.opens(a={"pools": ("fast-lane", "heavy")}, b={"pools": ("fast-lane", "heavy"), "tags": ("edge",)})
    await floor.submit("near", pool="heavy")
    assert await floor.in_cell("near") == await floor.meant("near") == ["b", "a"]
    await floor.submit("first")
    assert await floor.in_cell("first") == await floor.meant("first") == ["a", "b"]
    await rig.plan()
    assert len((await floor.links["a"].claim(credits_=1)).jobs) == 1
    later = Floor(rig)
    later.estimates.own, later.estimates.known_paces = {}, floor.estimates.known_paces
    await later.submit("next")
    assert await floor.in_cell("next") == await floor.meant("next") == ["b", "a"]


async def test_where_more_is_not_known_all_go_by_what_is_known_of_gpus_in_general(rig: Rig) -> None:
    floor = Floor(rig)
    floor.estimates.own = {}
    await floor.opens()
    await floor.submit("job")
    assert await floor.in_cell("job") == await floor.meant("job") == ["a", "b"]
    assert [group.names for group in await floor.explained("job")] == [("a", "b")]


async def test_once_a_plan_has_ranked_the_machines_anew_the_explanation_follows_it(rig: Rig) -> None:
    """A plan knows lanes and not jobs. What was meant at submit stays told as what was meant then."""
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("job")
    await floor.dispatcher().plan()
    assert await floor.in_cell("job") == ["a", "b"]
    assert [group.names for group in await floor.explained("job")] == [("a", "b")]
    assert await floor.meant("job") == ["b", "a"]


async def test_a_job_that_is_routed_again_is_ranked_and_told_by_its_own_times(rig: Rig) -> None:
    floor = Floor(rig)
    await rig.cell.declare(WORDS, by="test")
    await floor.submit("job")
    await floor.opens(pool="heavy")
    assert await Rerouter(rig.cell, floor.router(), new_nonce=nonce).step() == 1
    assert await floor.in_cell("job") == await floor.meant("job") == ["b", "a"]


async def test_patience_is_told_by_the_paces_that_the_plan_goes_by(rig: Rig) -> None:
    """An H100 that must load what an L4 has in memory would leave the job to it, were it not done so much sooner there."""
    floor = Floor(rig)
    floor.estimates.own = {}
    floor.estimates.known_paces = GpuPaces({"l4": 4.0, "h100": 1.0})
    await floor.opens(held={"sdxl.safetensors": "a"})
    model = ModelNeed(
        name="sdxl.safetensors", size_bytes=6_000_000_000, sources=("https://x.example/sdxl",), sha256="unknown"
    )
    await floor.submit("job", requires=Requirements(models=(model,)), expected_s=100.0)
    await floor.dispatcher().plan()
    (choice,) = (await ranks(rig))["b"]
    machine = Explainer(rig.cell, past=JobPast(rig.cell, None), places=floor.places())
    (lane,) = (await machine.machine("b")).may_take
    assert (choice.ready_after_ms, lane.reason and lane.reason.code) == (0, "takes_it")
    without = QueuePlaces(rig.cell, monotonic=time.monotonic)
    (lane,) = (await Explainer(rig.cell, past=JobPast(rig.cell, None), places=without).machine("b")).may_take
    assert lane.reason is not None
    assert lane.reason.code == "leaves_to_holders"  # what was told before


@pytest.mark.parametrize("near", [False, True])
async def test_a_lane_that_a_replay_makes_is_ranked_as_at_its_submit(rig: Rig, near: bool) -> None:
    """By its own times; and where its pool prefers machines near its users, by that too."""
    floor = Floor(rig, pools=with_pool("fast-lane", scaling={"prefers_edge": True}) if near else None)
    await floor.opens(a={"tags": ("edge",)} if near else None)
    if near:
        floor.estimates.own, floor.estimates.known_paces = {}, GpuPaces({"l4": 1.0, "h100": 1.0})
    await floor.submit("job", retry=RetryRule(max_attempts=1))
    at_submit = await ranks(rig)
    link = floor.links["b"]
    await rig.plan()
    (held,) = (await link.claim(credits_=1)).jobs
    await link.fail([Failure(held.id, held.token, "NS_TEST", "broken", retryable=False, jitter=0.0)])
    await forget_rankings(rig)
    assert await DeadLetters(rig.cell, new_nonce=nonce, router=floor.router()).replay(["job"]) == {"job": None}
    assert waits(await ranks(rig)) == waits(at_submit)
    assert await floor.in_cell("job") == (["a", "b"] if near else ["b", "a"])


async def test_a_lane_that_a_transfer_makes_is_ranked_as_one_that_is_submitted_there(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("job")
    async with Rig(rig.url) as there:
        other = Floor(there)
        await other.opens()
        assert (await move(rig.cell, there.cell, ["job"], new_id=nonce, router=other.router())).moved == ("job",)
        assert await other.in_cell("job") == ["b", "a"]
        arrived = waits(await ranks(there))
        await forget_rankings(there)
        await other.submit("another")
        assert waits(await ranks(there)) == arrived


async def test_a_transfer_that_a_sweeper_ends_is_ranked_so_too(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    await floor.submit("job")
    async with Rig(rig.url) as there:
        other = Floor(there)
        await other.opens()
        out = {"jobs": [{"id": "job", "transfer": nonce()}], "target": there.cell.name}
        await rig.cell.call("transfer_out", out, dict[str, Any])
        (since_ms,) = [one.since_ms for one in (await on_the_way(rig.cell)).values()]
        routers = {there.cell.name: other.router()}
        moves = await sweep(
            rig.cell,
            {there.cell.name: there.cell},
            older_than_ms=0,
            now_ms=since_ms + 1,
            new_id=nonce,
            routers=routers,
        )
        assert (moves.moved, await other.in_cell("job")) == (("job",), ["b", "a"])


async def forget_rankings(rig: Rig) -> None:
    """As if no plan and no submission had ever ranked the machines."""
    await rig.cell.set_candidates([(name, []) for name in GPUS], nonce=nonce())


def waits(found: dict[str, list[Candidate]]) -> dict[str, list[tuple[int, int]]]:
    """Waits and preferences by machine, whatever the lane is called."""
    return {name: [(one.ready_after_ms, one.preference) for one in choices] for name, choices in found.items()}
