"""Where a job waits when the pool that the matrix wants cannot have it at once."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.job_profiles import JobProfile
from northstar.domain.pools import Pools
from northstar.policy.routing.decision_matrix import choose_pool
from northstar.policy.routing.pool_acceptance import objections
from northstar.policy.routing.pool_fallback import FallbackRule, PoolCapacity, PoolRoute, route_to_pool
from tests.specification.pool_jobs import ENTERPRISE_TERMS, GB, PACKAGED, job, with_pool, with_routing

#: A machine that fits, is free and holds the models; one that lacks them and can fetch them in 10 s, or in 10 min.
HOLDER = PoolCapacity(machines=1, fit=1, holders=1, slots=1, free=1, free_fit=1, free_holders=1)
NEAR = PoolCapacity(machines=1, fit=1, slots=1, free=1, free_fit=1, fetch_s=10)
FAR = PoolCapacity(machines=1, fit=1, slots=1, free=1, free_fit=1, fetch_s=600)
BUSY_HOLDER = PoolCapacity(machines=1, fit=1, holders=1, slots=1)
UNFIT = PoolCapacity(machines=2, slots=2, free=2, nearest_lacks="has 12000 MB of VRAM, the job needs 24000")

PICTURE = job(10, "image")
FILM = job(900, "video")


def routed(profile: JobProfile, pools: Pools = PACKAGED, **capacity: PoolCapacity) -> PoolRoute:
    """Pools by name, with `_` for `-`; those that are not named have no machines."""
    seen = {name.replace("_", "-"): one for name, one in capacity.items()}
    return route_to_pool(profile, choose_pool(profile, pools), pools, seen)


def where(profile: JobProfile, pools: Pools = PACKAGED, **capacity: PoolCapacity) -> tuple[str, str, bool]:
    found = routed(profile, pools, **capacity)
    return found.pool, found.route, found.deploys


def test_a_machine_of_the_pool_that_holds_the_models_gets_the_job() -> None:
    """Spec, chart: `L -->|Yes| N[Route to Best Machine]`."""
    assert where(PICTURE, fast_lane=HOLDER, standard=HOLDER) == ("fast-lane", "matrix", False)


def test_a_holder_that_is_busy_is_waited_for_in_its_pool() -> None:
    assert where(PICTURE, fast_lane=BUSY_HOLDER, standard=HOLDER) == ("fast-lane", "matrix", False)


def test_without_a_machine_of_the_pool_the_first_of_its_fallbacks_that_fits_gets_the_job() -> None:
    """Spec, chart: `P{Cross-Pool Feasible?} -->|Yes| Q[Route to Compatible Pool]`."""
    assert where(PICTURE, heavy=HOLDER, standard_art=HOLDER) == ("standard-art", "fallback", False)
    assert where(PICTURE, heavy=NEAR) == ("heavy", "fallback", True)


def test_what_was_passed_over_on_the_way_is_told() -> None:
    found = routed(PICTURE, fast_lane=UNFIT, heavy=HOLDER)
    assert [(one.subject, one.code) for one in found.rejected][:2] == [
        ("fast-lane", "no-machine"),
        ("standard", "no-machine"),
    ]
    assert (
        found.rejected[0].reason
        == "no machine fits: the one that comes closest has 12000 MB of VRAM, the job needs 24000"
    )
    assert found.rejected[0].count == 2


def test_a_short_fetch_in_the_right_pool_beats_a_holder_in_another() -> None:
    assert where(PICTURE, fast_lane=NEAR, standard=HOLDER) == ("fast-lane", "matrix", True)


def test_a_free_holder_in_another_pool_beats_a_long_fetch_in_the_right_one() -> None:
    assert where(PICTURE, fast_lane=FAR, standard=HOLDER) == ("standard", "fallback", False)


def test_where_the_long_fetch_begins_can_be_set() -> None:
    choice = choose_pool(PICTURE, PACKAGED)
    capacity = {"fast-lane": FAR, "standard": HOLDER}
    assert route_to_pool(PICTURE, choice, PACKAGED, capacity, FallbackRule(fetch_within_s=600)).pool == "fast-lane"


def test_a_busy_holder_in_another_pool_does_not_beat_a_long_fetch() -> None:
    """Spec, chart: `P -->|No| R[Trigger Model Deployment]`."""
    assert where(PICTURE, fast_lane=FAR, standard=BUSY_HOLDER) == ("fast-lane", "matrix", True)


def test_models_that_nobody_can_fetch_are_looked_for_in_other_pools_first() -> None:
    unknown = PoolCapacity(machines=1, fit=1, slots=1, free=1, free_fit=1)
    assert where(PICTURE, fast_lane=unknown, standard=HOLDER) == ("standard", "fallback", False)
    assert where(PICTURE, fast_lane=unknown) == ("fast-lane", "matrix", True)


def test_a_job_that_nobody_can_run_waits_where_the_matrix_wants_it() -> None:
    found = routed(FILM, heavy=UNFIT)
    assert (found.pool, found.route, found.deploys) == ("heavy", "waiting", False)
    assert found.because == (
        "no machine of pool heavy nor any of research, standard can run it now, so it waits where it belongs"
    )


def test_lightning_is_no_fallback_for_a_picture_even_if_an_operator_lists_it() -> None:
    """Spec, Lightning: "text models only"."""
    listed = with_pool("fast-lane", fallback=("lightning",))
    found = routed(PICTURE, listed, lightning=HOLDER)
    assert found.route == "waiting"
    assert [(one.subject, one.code) for one in found.rejected][1:] == [("lightning", "modality")]


def test_research_keeps_half_of_its_slots_from_the_work_of_heavy() -> None:
    """Spec, Research: "Very low machine count, premium instances"."""
    half_free = PoolCapacity(machines=2, fit=2, holders=2, slots=4, free=2, free_fit=2, free_holders=2)
    found = routed(FILM, research=half_free)
    assert (found.route, found.rejected[1].code) == ("waiting", "reserved")
    assert found.rejected[1].reason == "keeps 50% of its 4 slots for its own work, and 2 are free"
    more = PoolCapacity(machines=2, fit=2, holders=2, slots=4, free=3, free_fit=3, free_holders=3)
    assert where(FILM, research=more) == ("research", "fallback", False)


def test_enterprise_machines_are_never_lent() -> None:
    """Spec, Enterprise: "Dedicated instances", "Reserved capacity"."""
    listed = with_pool("heavy", fallback=("enterprise",))
    found = routed(FILM, listed, enterprise=HOLDER)
    assert (found.route, found.rejected[1].code) == ("waiting", "exclusive")


def test_enterprise_work_waits_rather_than_leave() -> None:
    """Spec, chart: `K --> M[Guaranteed Routing]`: it leads to no fallback."""
    film = job(900, "video", terms=ENTERPRISE_TERMS)
    found = routed(film, heavy=HOLDER, standard=HOLDER, research=HOLDER)
    assert (found.pool, found.route) == ("enterprise", "waiting")
    assert found.because == "its tenant has enterprise terms, so it waits there"
    assert where(film, enterprise=FAR, heavy=HOLDER) == ("enterprise", "matrix", True)


def test_a_pool_that_was_asked_for_is_not_left() -> None:
    asked = job(10, "image", pool="heavy")
    assert where(asked, heavy=FAR, research=HOLDER) == ("heavy", "pinned", True)
    assert where(asked, research=HOLDER) == ("heavy", "waiting", False)


def test_a_pool_that_is_not_in_use_for_the_job_yet_is_no_fallback() -> None:
    """Spec: "Gradual Pool Introduction"."""
    later = with_pool("standard", traffic_share=0.0)
    found = routed(PICTURE, later, standard=HOLDER)
    assert (found.route, found.rejected[1].code) == ("waiting", "not-introduced")


def test_without_pools_any_machine_will_do() -> None:
    """Spec: "Pool routing can fall back to uniform machine distribution"."""
    off = with_routing(mode="uniform")
    assert where(PICTURE, off, uniform=HOLDER) == ("uniform", "uniform", False)
    assert where(PICTURE, off) == ("uniform", "waiting", False)


COUNTS = st.integers(0, 3)
CAPACITIES = st.builds(
    lambda fit, held, busy, fetch_s: PoolCapacity(
        machines=fit,
        fit=fit,
        holders=min(fit, held),
        slots=fit,
        free=max(0, fit - busy),
        free_fit=max(0, fit - busy),
        free_holders=max(0, min(fit, held) - busy),
        fetch_s=fetch_s,
    ),
    COUNTS,
    COUNTS,
    COUNTS,
    st.none() | st.floats(0, 1_000),
)
SEEN = st.dictionaries(st.sampled_from(sorted(PACKAGED.pools)), CAPACITIES)
WORK: dict[str, st.SearchStrategy[Any]] = {"is_training": st.booleans(), "is_experimental": st.booleans()}
JOBS = st.builds(
    lambda seconds, makes, **rest: job(seconds, *makes, **rest),
    st.floats(0, 10_000),
    st.sets(st.sampled_from(["text", "image", "video", "3d"])),
    work=st.fixed_dictionaries({}, optional=WORK),
    terms=st.sampled_from([ENTERPRISE_TERMS, job(1).terms]),
    largest_model_bytes=st.integers(0, 100 * GB),
)


@given(JOBS, SEEN)
def test_no_job_waits_in_a_pool_that_refuses_it_or_outside_its_limits(
    profile: JobProfile, capacity: dict[str, PoolCapacity]
) -> None:
    choice = choose_pool(profile, PACKAGED)
    found = route_to_pool(profile, choice, PACKAGED, capacity)
    assert not list(objections(PACKAGED.pools[found.pool], profile))
    assert found.pool == choice.pool or found.pool in PACKAGED.pools[choice.pool].fallback
    assert (found.pool == "enterprise") == profile.terms.enterprise
    there = capacity.get(found.pool, PoolCapacity())
    assert (found.route == "waiting") == (there.fit == 0)


@given(JOBS, SEEN, st.sampled_from(sorted(PACKAGED.pools)))
def test_one_more_machine_never_makes_a_job_wait_that_had_somewhere_to_go(
    profile: JobProfile, capacity: dict[str, PoolCapacity], name: str
) -> None:
    choice = choose_pool(profile, PACKAGED)
    before = route_to_pool(profile, choice, PACKAGED, capacity)
    after = route_to_pool(profile, choice, PACKAGED, capacity | {name: HOLDER})
    assert before.route == "waiting" or after.route != "waiting" or name in capacity


def test_a_slot_that_somebody_has_by_now_is_not_given_again() -> None:
    """Of two free slots one is kept for the pool's own work; a second guest by the same view would take that one too."""
    pools = with_pool("heavy", scaling={"reserved_share": 0.5})
    two = PoolCapacity(machines=2, fit=2, holders=2, slots=2, free=2, free_fit=2, free_holders=2)
    choice = choose_pool(PICTURE, pools)
    assert route_to_pool(PICTURE, choice, pools, {"heavy": two}).pool == "heavy"
    after = route_to_pool(PICTURE, choice, pools, {"heavy": two}, given=lambda _: 1)
    assert (after.pool, after.route) == ("fast-lane", "waiting")
    assert [one.code for one in after.rejected if one.subject == "heavy"] == ["reserved"]


def test_a_free_holder_is_given_to_one_guest_and_the_next_one_stays_at_home() -> None:
    choice = choose_pool(PICTURE, PACKAGED)
    capacity = {"fast-lane": FAR, "standard": HOLDER}
    assert route_to_pool(PICTURE, choice, PACKAGED, capacity).pool == "standard"
    assert route_to_pool(PICTURE, choice, PACKAGED, capacity, given=lambda _: 1).pool == "fast-lane"


#: Nothing is fetched there; its engine may have the models.
LEFT_TO_ENGINE = PoolCapacity(machines=1, fit=1, slots=1, free=1, free_fit=1, engine_may_have=1)


def test_where_no_machine_keeps_models_none_are_brought_and_it_is_said() -> None:
    found = routed(PICTURE, fast_lane=LEFT_TO_ENGINE)
    assert (found.pool, found.deploys) == ("fast-lane", False)
    assert found.because.endswith("; no machine there keeps models, so its engine must have them")


def test_a_free_machine_of_a_fallback_that_is_known_to_hold_the_models_comes_before_one_whose_engine_may() -> None:
    assert where(PICTURE, fast_lane=LEFT_TO_ENGINE, standard=HOLDER) == ("standard", "fallback", False)
