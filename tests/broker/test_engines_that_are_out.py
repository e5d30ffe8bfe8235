"""A machine none of whose engines takes work is here, and is nobody's hope: jobs go where they can run, and people are told."""

from __future__ import annotations

import msgspec
import pytest

from northstar.agent.direct_link import DirectLink
from northstar.agent.presence import FixedPresence
from northstar.agent.worker import Worker
from northstar.agent.worker_settings import WorkerSettings
from northstar.domain.jobs import JobRequest
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.policy.routing.snapshot import MachineState
from northstar.store.snapshots import read_snapshot
from tests.agent.rig import Rig, Runs, soon
from tests.broker.test_explaining import explainer
from tests.broker.test_rerouting import A_PICTURE, Floor
from tests.servers import eventually

WHY = "waits takes no work now: the machine is in quarantine: 3 of its engines broke"
FAST = MachineProfile(pools=("fast-lane",), services=("waits",))


async def a_worker(rig: Rig, runs: Runs, *, slots: int = 1) -> Worker:
    return Worker(
        await rig.link("f"),
        runs,
        profile=FAST,
        presence=FixedPresence(),
        settings=WorkerSettings(slots=slots, renew_every_s=0.2, drain_s=5.0, reclaim_every_s=0.2, batch=16),
        jitter=lambda: 0.0,
    )


async def standing(rig: Rig, *, takes_work: bool) -> None:
    async def is_so() -> bool:
        machine = (await read_snapshot(rig.cell.client, rig.cell.keys)).machines.get("f")
        return machine is not None and machine.takes_work is takes_work

    await eventually(is_so, what=f"the broker knows that f takes {'work' if takes_work else 'no work'}")


async def quarantined(floor: Floor) -> DirectLink:
    """The machine of the Fast Lane, as its agent registers while it is in quarantine."""
    link = await floor.machine("f", "fast-lane")
    await link.register(FAST, MachineDescription(takes_work=False, trouble=WHY), slots=4, models=())
    return link


async def test_a_job_does_not_go_to_a_pool_whose_only_machine_is_quarantined(rig: Rig) -> None:
    """The next pool that can is taken at submit, and the decision says why."""
    floor = Floor(rig)
    await floor.opens()
    await quarantined(floor)
    standard = await floor.machine("s", "standard")
    await floor.submit("a")
    decision = await floor.decision("a")
    assert (decision.pool, decision.route, decision.optimal) == ("standard", "fallback", "fast-lane")
    assert decision.machines is not None
    assert [one.machine for one in decision.machines.best] == ["s"]
    assert await floor.takes(standard) == ["a"]


async def test_a_job_that_waits_for_a_machine_that_is_quarantined_meanwhile_runs_elsewhere_and_others_come_home(
    rig: Rig,
) -> None:
    """With a real agent, whose engines fail and answer again."""
    floor, runs = Floor(rig), Runs()
    await floor.opens()
    worker = await a_worker(rig, runs)
    async with rig.working(worker), rig.dispatching():
        await standing(rig, takes_work=True)
        await floor.submit("first")
        await soon(lambda: runs.ids == ["first"], "first runs")
        await floor.submit("a")
        await floor.submit("b")
        assert [(await floor.decision(job)).pool for job in ("a", "b")] == ["fast-lane", "fast-lane"]
        heavy = await floor.machine("h", "heavy")
        assert await floor.rerouter.step() == 0, "that its machine is busy is no reason to go"
        worker.offer((), trouble=WHY)
        await standing(rig, takes_work=False)
        assert await floor.rerouter.step() == 2
        assert [(await floor.decision(job)).pool for job in ("a", "b")] == ["heavy", "heavy"]
        await rig.plan()
        assert [job.id for job in (await heavy.claim(credits_=1)).jobs] == ["a"]
        runs.finish("first")
        worker.offer(("waits",))
        await standing(rig, takes_work=True)
        assert await floor.rerouter.step() == 1
        assert (await floor.decision("b")).pool == "fast-lane"
        await soon(lambda: runs.ids == ["first", "b"], "b runs at home")
        runs.finish("b")


async def test_submit_warns_where_only_a_machine_fits_whose_engine_is_out(rig: Rig) -> None:
    floor = Floor(rig)
    await floor.opens()
    link = await quarantined(floor)
    (accepted,) = await floor.submitter.submit_and_tell([JobRequest(service="waits", id="a", payload=A_PICTURE)])
    decision = await floor.decision("a")
    assert (decision.pool, decision.route) == ("fast-lane", "waiting")
    assert decision.unservable == f"f fits, but its engine is out: {WHY}"
    assert [(action.what, action.command) for action in accepted.actions] == [
        (f"mend f: {WHY}", "northstar machines show f")
    ]
    assert decision.machines is not None
    (group,) = decision.machines.turned_down
    assert (group.code, group.count, group.names) == ("out_of_work", 1, ("f",))
    assert group.says.startswith("fits, and its engine is out: waits takes no work now")
    told = await explainer(rig).job("a")
    assert told.unservable == f"f fits, but its engine is out: {WHY}"
    assert told.place is not None
    assert (told.place.machines, told.place.why) == (0, f"f fits, but its engine is out: {WHY}")
    (shown,) = told.machines.shown
    assert (shown.reason.code, shown.reason.says) == ("out_of_work", WHY)
    await link.register(FAST, MachineDescription(), slots=4, models=())
    assert await floor.takes(link) == ["a"], "all is well again within a plan"


class Older(msgspec.Struct, frozen=True, kw_only=True):
    """What a version before this one said and read of a description."""

    region: str = ""
    trouble: str = ""


def a_machine(description: MachineDescription) -> MachineState:
    return MachineState(id="m", profile="p", slots=1, used=0, active=True, parked=False, description=description)


@pytest.mark.parametrize("trouble", ["", WHY])
def test_agents_and_brokers_of_other_versions_go_on(trouble: str) -> None:
    """A machine of an older version does not say whether it takes work, and counts as before; an older broker passes over what it does not know."""
    said = msgspec.json.encode(Older(region="eu", trouble=trouble))
    assert a_machine(msgspec.json.decode(said, type=MachineDescription)).takes_work
    new = msgspec.json.encode(MachineDescription(region="eu", trouble=trouble, takes_work=False))
    assert msgspec.json.decode(new, type=Older) == Older(region="eu", trouble=trouble)
    assert not a_machine(msgspec.json.decode(new, type=MachineDescription)).takes_work
