"""What is advised can be done: no machine is to be given a pool that would not let it in, and then leave it with no pool at all."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from northstar.config.pools import packaged_pools
from northstar.domain.machines import Gpu, MachineDescription, MachineProfile
from northstar.domain.pools import Pools
from northstar.domain.requirements import Requirements, lane_of
from northstar.policy.fleet.pool_membership import Announced, pool_refusals
from northstar.policy.routing.considered import Considered
from northstar.policy.routing.explain_idle import Demand, LaneWait, idleness_of
from northstar.policy.routing.explain_machines import Wait, reasons_of
from northstar.policy.routing.explain_remedies import Standstill, standstill_of
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.pool_capacity import FleetCapacity
from northstar.policy.routing.pool_entry import PoolEntry
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot, MachineState
from tests.policy.routing.builders import lane, machine, profile, wanted

POOLS = packaged_pools()
LARGE = MachineDescription(gpus=(Gpu(index=0, name="H100", vram_mb=81_559),), disk_bytes=2_000_000_000_000)
SMALL = profile(vram_mb=0)


def fleet(*machines: MachineState, **profiles: MachineProfile) -> CellSnapshot:
    return CellSnapshot(machines={one.id: one for one in machines}, profiles=profiles)


def explained(
    snapshot: CellSnapshot, *, pools: Pools = POOLS, of_this_host: tuple[str, ...] = (), **needs: Any
) -> Standstill:
    """What `northstar explain` advises."""
    asked = Wait(lane=lane("l"), wanted=wanted(**needs), now_ms=5_000, submitted_ms=0, oldest_ms=0, overdue_ms=60_000)
    return standstill_of(
        asked,
        reasons_of(asked, snapshot, PatienceRule()),
        snapshot,
        of_this_host=of_this_host,
        entry=PoolEntry.of(pools, snapshot),
    )


def at_submit(snapshot: CellSnapshot, *, pools: Pools = POOLS, **needs: Any) -> Standstill:
    """What `northstar submit` advises."""
    key = lane_of(pool=needs.pop("pool"), service="picture", requires=Requirements(**needs))
    return Considered(FleetIndex(snapshot), FleetCapacity(snapshot)).standstill(key, rules=pools)


@pytest.mark.parametrize("ask", [explained, at_submit], ids=["explain", "submit"])
@pytest.mark.parametrize(
    ("pool", "join", "closest"),
    [
        (
            "heavy",
            "let a machine join pool heavy that offers service picture",
            "pool heavy lets no such machine in: it has 0 GPUs, at least 1 are asked for",
        ),
        (
            "enterprise",
            "let a machine join pool enterprise that offers service picture",
            "it serves 1 other pools too, and machines of this one serve no other",
        ),
    ],
)
def test_a_machine_without_a_gpu_is_not_to_serve_a_pool_that_asks_for_one(
    ask: Any, pool: str, join: str, closest: str
) -> None:
    """The only machine of a new installation would refuse to start."""
    found = ask(fleet(machine("local", profile="small"), small=SMALL), pool=pool)
    (action,) = found.actions
    assert action.command == f"northstar machines invite --pool {pool}"
    assert action.what.startswith(join)
    assert closest in action.what


def test_another_machine_is_told_all_that_the_pool_asks_for() -> None:
    """So that the one that is bought or hired for it is let in, too."""
    spec = POOLS.pools["enterprise"]
    (action,) = explained(fleet(machine("local", profile="small"), small=SMALL), pool="enterprise").actions
    assert "and serves no other pool; the closest, local," in action.what
    assert f"{spec.storage.min_gb:g} GB of disk for models" in action.what
    (action,) = explained(fleet(machine("local", profile="small"), small=SMALL), pool="heavy").actions
    assert "has 1 GPU" in action.what


def test_a_machine_that_the_pool_lets_in_is_still_the_first_thing_to_do() -> None:
    """And it may: the broker's own rule says so."""
    snapshot = fleet(
        machine("small", profile="small"),
        machine("large", profile="large", description=LARGE),
        small=SMALL,
        large=profile(vram_mb=80_000),
    )
    first = explained(snapshot, pool="heavy").actions[0]
    assert first.command == "northstar machines invite --pool standard --pool heavy"
    assert first.what.startswith("let large serve pool heavy too")
    assert at_submit(snapshot, pool="heavy").actions[0] == first
    joined = Announced(profile=profile(vram_mb=80_000, pools=("standard", "heavy")), description=LARGE)
    assert pool_refusals(POOLS, joined, {}) == {}


def test_a_machine_of_a_pool_that_is_kept_is_not_to_serve_another() -> None:
    """It would be refused by the pool that it has."""
    snapshot = fleet(
        machine("vip", profile="vip", description=LARGE), vip=profile(vram_mb=80_000, pools=("enterprise",))
    )
    entry = PoolEntry.of(POOLS, snapshot)
    assert "pool enterprise lets no such machine in" in entry.refusal(
        snapshot.machines["vip"], snapshot.profiles["vip"], "heavy"
    )


def test_a_full_pool_takes_nobody_and_counts_those_that_are_here() -> None:
    """One that is a member already is none more."""
    spec = POOLS.pools["heavy"]
    one_only = msgspec.structs.replace(spec, scaling=msgspec.structs.replace(spec.scaling, max_machines=1))
    pools = msgspec.structs.replace(POOLS, pools=POOLS.pools | {"heavy": one_only})
    first = machine("first", profile="heavy", description=LARGE)
    snapshot = fleet(
        first,
        machine("large", description=LARGE),
        heavy=profile(pools=("heavy", "standard")),
        p=profile(vram_mb=80_000),
    )
    entry = PoolEntry.of(pools, snapshot)
    assert "it has 1 machines already" in entry.refusal(snapshot.machines["large"], snapshot.profiles["p"], "heavy")
    assert entry.refusal(first, snapshot.profiles["heavy"], "heavy") == ""
    assert entry.refusal(first, snapshot.profiles["heavy"], "research") == ""


def test_an_idle_machine_is_not_told_to_join_a_pool_that_would_refuse_it() -> None:
    """`explain MACHINE` gives the same advice as `explain JOB`."""
    local = machine("local", profile="small")
    waits = lane("l", waits=True)
    snapshot = msgspec.structs.replace(
        fleet(local, small=SMALL), lanes={"l": waits}, classes={"c": wanted(pool="heavy")}
    )
    demand = Demand(now_ms=1_000, overdue_ms=60_000, lanes={"l": LaneWait(1, 0)})
    assert idleness_of(local, demand, snapshot, PatienceRule(), entry=PoolEntry.of(POOLS, snapshot)).actions == ()
    assert idleness_of(local, demand, snapshot, PatienceRule()).actions != (), "where no pool refuses it"


def test_where_pools_are_off_nobody_is_refused() -> None:
    """As at registration."""
    off = msgspec.structs.replace(POOLS, routing=msgspec.structs.replace(POOLS.routing, mode="uniform"))
    found = explained(fleet(machine("local", profile="small"), small=SMALL), pools=off, pool="heavy")
    assert found.actions[0].command == "northstar machines invite --pool standard --pool heavy"
