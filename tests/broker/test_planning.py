"""Only what really changed is written, and a plan holds up nobody."""

from __future__ import annotations

import threading
from typing import Any, cast

import msgspec
import pytest

from northstar.broker import dispatch
from northstar.broker.dispatch import Dispatcher
from northstar.broker.planning import changed_candidates, says_the_same
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld, ModelNeed
from northstar.domain.requirements import Requirements
from northstar.policy.routing.gpu_pace import GpuPaces
from northstar.policy.routing.ranking_terms import NO_TERMS, RankingTerms
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot
from northstar.store.messages import Candidate
from northstar.store.snapshots import read_candidates, read_snapshot
from tests.agent.rig import PROFILE, Rig, nonce
from tests.policy.routing.builders import SDXL, cell, lane, machine

H100 = MachineDescription(gpu="NVIDIA H100 80GB HBM3")
KNOWN = frozenset({Candidate("l1", 6_000, 0), Candidate("l2", 0, 0)})


@pytest.mark.parametrize(
    "wanted",
    [
        [(0, 0.0, "l2"), (6_000, 0.0, "l1")],
        [(5_500, 0.0, "l1"), (100, 0.0, "l2")],
        [(6_600, 0.0, "l1"), (0, 0.0, "l2")],
    ],
)
def test_order_and_waits_that_move_a_little_are_no_change(wanted: list[tuple[int, float, str]]) -> None:
    assert says_the_same(KNOWN, wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        [(6_000, 0.0, "l1")],
        [(6_000, 0.0, "l1"), (0, 0.0, "l3")],
        [(6_000, 0.0, "l1"), (0, 0.0, "l2"), (0, 0.0, "l3")],
        [(3_000, 0.0, "l1"), (0, 0.0, "l2")],
        [(6_000, 0.0, "l1"), (1_500, 0.0, "l2")],
    ],
)
def test_another_lane_or_another_wait_is_a_change(wanted: list[tuple[int, float, str]]) -> None:
    assert not says_the_same(KNOWN, wanted)


def test_a_machine_without_candidates_that_may_take_nothing_is_left_alone() -> None:
    snapshot = cell(machine("m", profile="other"), lane("l"))
    assert changed_candidates(snapshot, {}, PatienceRule()) == []


async def test_a_machine_that_is_busier_than_before_is_not_written_again(rig: Rig) -> None:
    link = await rig.joined("m")
    await rig.submit("a", "b", "c")
    dispatcher = Dispatcher(rig.cell, new_nonce=nonce)
    await dispatcher.plan()
    assert len((await link.claim(credits_=2)).jobs) == 2
    assert await dispatcher.plan() == 0


async def test_paces_that_are_learned_reach_the_preferences_and_what_moves_them_a_little_writes_nothing(
    rig: Rig,
) -> None:
    """All may take the lane at once, before and after: the waits alone say nothing of paces."""
    for name, gpu in (("a-slow", "NVIDIA L4"), ("b-fast", "NVIDIA H100 80GB HBM3")):
        await (await rig.link(name)).register(PROFILE, MachineDescription(gpu=gpu), slots=1, models=())
    await rig.submit("a", expected_s=20.0)
    terms = NO_TERMS
    dispatcher = Dispatcher(rig.cell, new_nonce=nonce, terms=lambda: terms)
    await dispatcher.plan()
    assert await preferences(rig) == {"a-slow": 0, "b-fast": 0}
    terms = by_pace(h100=0.2)
    assert await dispatcher.plan() == 2
    assert await preferences(rig) == {"a-slow": 32 * 160, "b-fast": 0}  # 20 s of run against 4
    for pace in (0.2, 0.21, 0.215):
        terms = by_pace(h100=pace)
        assert await dispatcher.plan() == 0
    terms = by_pace(h100=0.225)  # a little at a time is far by and by
    assert await dispatcher.plan() == 2
    assert await preferences(rig) == {"a-slow": 32 * 155, "b-fast": 0}


async def test_a_dispatcher_that_comes_when_paces_are_known_already_writes_them_once(rig: Rig) -> None:
    for name, gpu in (("a-slow", "NVIDIA L4"), ("b-fast", "NVIDIA H100 80GB HBM3")):
        await (await rig.link(name)).register(PROFILE, MachineDescription(gpu=gpu), slots=1, models=())
    await rig.submit("a", expected_s=20.0)
    await Dispatcher(rig.cell, new_nonce=nonce).plan()
    late = Dispatcher(rig.cell, new_nonce=nonce, terms=lambda: by_pace(h100=0.2))
    assert (await late.plan(), await late.plan()) == (2, 0)
    assert await preferences(rig) == {"a-slow": 32 * 160, "b-fast": 0}


def by_pace(**factors: float) -> RankingTerms:
    return RankingTerms(paces=GpuPaces({"l4": 1.0, **factors}))


async def preferences(rig: Rig) -> dict[str, int]:
    known = await read_candidates(rig.cell.client, rig.cell.keys)
    return {name: one.preference for name, (one,) in known.items()}


def test_a_plan_for_two_thousand_machines_alike_of_which_nothing_changed_writes_nothing() -> None:
    fleet = cell(*(machine(f"m{number}", description=H100) for number in range(2_000)), lane("l", anchors=SDXL))
    terms = by_pace(h100=0.2)
    written = changed_candidates(fleet, {}, PatienceRule(), terms=terms)
    assert len(written) == 2_000
    assert changed_candidates(fleet, dict(written), PatienceRule(), terms=terms) == []


async def test_a_record_of_a_newer_version_does_not_stop_the_plan(rig: Rig) -> None:
    await rig.joined("m")
    await rig.submit("a")
    await rig.cell.set_candidates([("m", [])], nonce=nonce())
    for part in ("profiles", "classes", "lanes", "machines", "descriptions", "residency", "candidates"):
        await rig.cell.client.execute_command("HSET", rig.cell.keys[part], "newer1", b"\xc1")
    assert await Dispatcher(rig.cell, new_nonce=nonce).plan() == 1
    assert await rig.submit("b") == ["b"]


async def test_an_urgent_job_behind_64_full_lanes_is_what_a_machine_gets_first(rig: Rig) -> None:
    tags = [f"t{number:02}" for number in range(64)]
    await rig.cell.declare([f"tag:{tag}" for tag in tags], by="test")
    link = await rig.link("m")
    profile = msgspec.structs.replace(PROFILE, tags=tuple(tags))
    await link.register(profile, MachineDescription(), slots=1, models=())
    for tag in tags[:63]:
        await rig.submit(f"low-{tag}", tenant="a", priority=10, requires=Requirements(tags=(tag,)))
    await rig.submit("low-none", tenant="a", priority=10)
    await rig.submit("urgent", tenant="b", priority=100, requires=Requirements(tags=(tags[63],)))
    await Dispatcher(rig.cell, new_nonce=nonce).plan()
    known = (await read_candidates(rig.cell.client, rig.cell.keys))["m"]
    lanes = (await read_snapshot(rig.cell.client, rig.cell.keys)).lanes
    assert (len(lanes), len(known)) == (65, 64)
    assert [job.id for job in (await link.claim(credits_=1)).jobs] == ["urgent"]


class WatchedRule:
    """A rule that knows which threads asked it."""

    share = 0.5

    def __init__(self) -> None:
        self.threads: set[int] = set()

    @property
    def cap_ms(self) -> int:
        self.threads.add(threading.get_ident())
        return 30_000


@pytest.mark.parametrize(
    ("snapshot", "beside"),
    [
        (cell(machine("m"), lane("l1")), False),
        (cell(*(lane(f"l{number}") for number in range(100))), True),
    ],
)
async def test_only_what_takes_no_time_is_done_on_the_loop_itself(snapshot: CellSnapshot, beside: bool) -> None:
    here = threading.get_ident()
    assert (await dispatch._aside(snapshot, threading.get_ident) != here) is beside


async def test_a_plan_of_more_than_a_few_pairs_is_made_beside_the_loop(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "FEW_PAIRS", 1)
    await rig.cell.declare(["model:sdxl"], by="test")
    for name, state in (("warm", "resident"), ("disk", "disk")):
        await (await rig.link(name)).register(
            PROFILE, MachineDescription(), slots=1, models=[ModelHeld("sdxl", cast("Any", state), 5_000)]
        )
    await rig.submit("a", requires=Requirements(models=(ModelNeed(name="sdxl", size_bytes=5_000),)))
    rule = WatchedRule()
    await Dispatcher(rig.cell, new_nonce=nonce, rule=cast("PatienceRule", rule)).plan()
    assert rule.threads
    assert threading.get_ident() not in rule.threads
