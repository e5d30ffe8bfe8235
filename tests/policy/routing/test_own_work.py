"""A machine does what it need not fetch for before what it must fetch for, and nobody is overtaken by more than the fetch takes."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from northstar.broker.planning import is_same_wait
from northstar.domain.machines import MachineDescription
from northstar.policy.routing.candidates import candidates, ranking
from northstar.policy.routing.links import counted_rate
from northstar.policy.routing.own_work import step_from
from northstar.policy.routing.plan import plan_candidates
from northstar.policy.routing.ready_after import PatienceRule, fetch_ms, load_ms
from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState
from tests.policy.routing.builders import GB, cell, lane, machine, profile, wanted

RULE = PatienceRule(cap_ms=30_000)
NOW_MS = 1_000_000
LINK = 100e6
#: 2 GB over this link, as far as links are told apart, and into memory.
FETCH_MS = math.ceil(fetch_ms(2 * GB, counted_rate(LINK)) + load_ms(2 * GB))
HERE, AWAY = (("here", 2 * GB),), (("away", 2 * GB),)
NORMAL, HIGH, GIVEN_BACK = "1ff", "1f0", "0ff"


def waiting(name: str, anchors: tuple[tuple[str, int], ...], *, for_ms: int, order: str = NORMAL) -> LaneState:
    """Jobs of which the oldest has waited so long; the longer, the earlier its turn."""
    oldest_ms = NOW_MS - for_ms
    return lane(name, anchors=anchors, unfinished=1, waits=True, head=f"{order}{oldest_ms:012}", oldest_ms=oldest_ms)


def holder(**changes: Any) -> MachineState:
    fields: dict[str, Any] = {"held": {"here": "disk"}, "download_bytes_per_s": LINK}
    return machine("m", **fields | changes)


def seen(*parts: MachineState | LaneState) -> CellSnapshot:
    return msgspec.structs.replace(cell(*parts), now_ms=NOW_MS)


def wait_ms(host: MachineState, *lanes: LaneState, **cell_has: Any) -> dict[str, int]:
    """How long the oldest job of each lane must have waited before the machine may take it."""
    snapshot = msgspec.structs.replace(seen(host, *lanes), **cell_has)
    return {one.subject: one.ready_after_ms for one in candidates(host, snapshot, RULE)}


def may_take(host: MachineState, *lanes: LaneState, **cell_has: Any) -> set[str]:
    """Lanes that it may take now."""
    since = {one.id: NOW_MS - one.oldest_ms for one in lanes}
    return {name for name, ms in wait_ms(host, *lanes, **cell_has).items() if since[name] >= ms}


def test_what_it_has_the_models_of_goes_before_an_older_job_that_it_would_fetch_for() -> None:
    assert may_take(holder(), waiting("a", HERE, for_ms=50_000), waiting("b", AWAY, for_ms=60_000)) == {"a"}


def test_one_that_has_waited_longer_by_the_whole_fetch_is_not_held_back() -> None:
    own = waiting("a", HERE, for_ms=50_000)
    assert may_take(holder(), own, waiting("b", AWAY, for_ms=50_000 + FETCH_MS - 1)) == {"a"}
    assert may_take(holder(), own, waiting("b", AWAY, for_ms=50_000 + FETCH_MS)) == {"a", "b"}


def test_of_a_fetch_no_more_counts_than_the_cap_of_a_patience() -> None:
    own, huge = waiting("a", HERE, for_ms=50_000), (("huge", 500 * GB),)
    assert may_take(holder(), own, waiting("b", huge, for_ms=79_999)) == {"a"}
    assert may_take(holder(), own, waiting("b", huge, for_ms=80_000)) == {"a", "b"}


def test_with_nothing_of_its_own_to_do_it_fetches_at_once() -> None:
    """No fit slot idles for the sake of work that others would have to do."""
    assert may_take(holder(), waiting("b", AWAY, for_ms=1)) == {"b"}
    assert "b" in may_take(holder(), lane("a", anchors=HERE, unfinished=3, running=3), waiting("b", AWAY, for_ms=1))


def test_work_of_a_lower_priority_holds_back_nobody_and_that_of_a_higher_one_does() -> None:
    assert may_take(holder(), waiting("a", HERE, for_ms=9), waiting("b", AWAY, for_ms=9, order=HIGH)) == {"a", "b"}
    assert may_take(holder(), waiting("a", HERE, for_ms=9, order=HIGH), waiting("b", AWAY, for_ms=9)) == {"a"}


def test_what_another_machine_gave_back_is_held_back_by_nothing() -> None:
    own = waiting("a", HERE, for_ms=50_000)
    assert may_take(holder(), own, waiting("b", AWAY, for_ms=50_000, order=GIVEN_BACK)) == {"a", "b"}


def test_work_without_models_is_its_own_and_is_not_held_back() -> None:
    assert may_take(holder(), waiting("a", (), for_ms=9), waiting("b", AWAY, for_ms=9)) == {"a"}
    assert may_take(holder(), waiting("a", HERE, for_ms=90_000), waiting("b", (), for_ms=9)) == {"a", "b"}


def test_a_machine_that_fetches_nothing_holds_nothing_back() -> None:
    host = holder(description=MachineDescription(keeps_models=False))
    assert may_take(host, waiting("a", HERE, for_ms=9), waiting("b", AWAY, for_ms=9)) == {"a", "b"}


@pytest.mark.parametrize("later_ms", [1, 500, 3_000])
def test_the_wait_stays_the_same_while_little_time_passes_so_that_plans_change_little(later_ms: int) -> None:
    before = wait_ms(holder(), waiting("a", HERE, for_ms=48_000), waiting("b", AWAY, for_ms=48_000))["b"]
    after = wait_ms(
        holder(), waiting("a", HERE, for_ms=48_000 + later_ms), waiting("b", AWAY, for_ms=48_000 + later_ms)
    )
    assert after["b"] == before == 75_000


def test_own_work_that_is_paused_holds_nobody_back() -> None:
    own, other = waiting("a", HERE, for_ms=9), waiting("b", AWAY, for_ms=9)
    paused = {"paused": frozenset({"pool:standard"})}
    assert "b" in may_take(holder(), own, other, **paused)
    assert "b" not in may_take(holder(), own, other, paused=frozenset({"pool:heavy"}))


@pytest.mark.parametrize(("slots", "held_back"), [(1, True), (2, True), (3, False)])
def test_own_work_that_may_not_fit_beside_other_work_holds_nobody_back(slots: int, held_back: bool) -> None:
    """12 GB on a card of 24 GB: a second one fits whatever else runs, a third does not."""
    own, other = waiting("a", HERE, for_ms=9), waiting("b", AWAY, for_ms=9)
    has = {"classes": {"c": wanted(vram_mb=12_000)}, "profiles": {"p": profile(vram_mb=24_000), "other": profile()}}
    assert ("b" not in may_take(holder(slots=slots), own, other, **has)) is held_back


def test_own_work_that_is_left_to_a_warm_machine_holds_nobody_back() -> None:
    """It could not be begun in place of the other."""
    own, other = waiting("a", HERE, for_ms=9), waiting("b", AWAY, for_ms=9)
    warm = machine("w", held={"here": "resident"})
    host = holder()
    snapshot = seen(host, warm, own, other)
    waits = {one.subject: one.ready_after_ms for one in candidates(host, snapshot, RULE)}
    assert waits["a"] > 9
    assert waits["b"] == 0


def test_a_lane_that_is_ranked_anew_is_held_back_by_machines_at_work_as_a_plan_has_it() -> None:
    """Else each submission would undo it until the next plan."""
    own, other = waiting("a", HERE, for_ms=50_000), waiting("b", AWAY, for_ms=60_000)
    busy, idle = holder(slots=1, used=1), machine("n", slots=1, download_bytes_per_s=LINK)
    snapshot = seen(busy, idle, own, other)
    _, ranked = ranking(other, wanted(), snapshot, RULE)
    planned = plan_candidates(snapshot, RULE)["m"]
    waits = {one.subject: one.ready_after_ms for one in ranked}
    assert waits["m"] == next(one.ready_after_ms for one in planned if one.subject == "b") > 60_000
    assert waits["n"] == 0


def test_steps_of_a_wait_are_so_far_apart_that_no_plan_takes_them_for_the_same() -> None:
    steps = [step_from(1, first_ms=15_000)]
    while steps[-1] < 86_400_000:
        steps.append(step_from(steps[-1] + 1, first_ms=15_000))
    assert not any(is_same_wait(one, next_) for one, next_ in pairwise(steps))
