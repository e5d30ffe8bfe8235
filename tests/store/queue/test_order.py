"""Who comes next: overdue, then returned, then priority, then fair share, then first come; and the promise about waiting."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.queue.builders import Shop, a_job
from tests.store.queue.calls import Cell, Refused, Server


def test_priority_goes_before_age_and_age_before_nothing_else(shop: Shop) -> None:
    shop.submit(a_job("old", priority=1), a_job("high", priority=9), a_job("new", priority=1))
    assert shop.take(3) == ["high", "old", "new"]


def test_order_holds_across_the_lanes_that_a_machine_may_take(shop: Shop) -> None:
    shop.submit(a_job("a", priority=1), lane=shop.lane("one"))
    shop.submit(a_job("b", priority=2), lane=shop.lane("two"))
    shop.submit(a_job("c", priority=3), lane=shop.lane("one"))
    assert shop.take(3) == ["c", "b", "a"]


def test_what_a_machine_gave_back_goes_before_everything_but_the_overdue(shop: Shop) -> None:
    shop.submit("a")
    token = shop.lease()
    shop.submit(a_job("urgent", priority=255))
    shop.release(*token)
    assert shop.take(2) == ["a", "urgent"]


def test_tenants_of_equal_weight_take_turns_however_much_one_submits_first(shop: Shop) -> None:
    shop.submit(*(a_job(f"ann{number}", tenant="ann") for number in range(6)))
    shop.submit(*(a_job(f"bob{number}", tenant="bob") for number in range(3)))
    assert shop.take(6) == ["ann0", "bob0", "ann1", "bob1", "ann2", "bob2"]


def test_a_tenant_of_twice_the_weight_gets_twice_the_share(shop: Shop) -> None:
    shop.register("wide", slots=500)
    lane = shop.lane(on=("wide",))
    shop.submit(*(a_job(f"ann{number}", tenant="ann", weight=1) for number in range(60)), lane=lane)
    shop.submit(*(a_job(f"bob{number}", tenant="bob", weight=2) for number in range(60)), lane=lane)
    taken = shop.take(60, "wide")
    assert sum(job.startswith("bob") for job in taken) == 40


def test_a_tenant_that_was_away_saves_up_no_share(shop: Shop) -> None:
    shop.submit(*(a_job(f"ann{number}", tenant="ann") for number in range(10)))
    shop.take(5)
    shop.submit(*(a_job(f"bob{number}", tenant="bob") for number in range(5)))
    taken = shop.take(5)
    assert sum(job.startswith("bob") for job in taken) in {2, 3}


@given(
    costs=st.lists(st.tuples(st.integers(1, 100), st.integers(1, 100)), min_size=20, max_size=40),
    weights=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_two_busy_tenants_never_differ_by_more_than_one_job_of_each(
    server: Server, costs: list[tuple[int, int]], weights: tuple[int, int]
) -> None:
    """Start-time fair queueing: served work over weight differs by at most the largest cost over weight of both."""
    shop = Shop(Cell(server))
    for tenant, weight in enumerate(weights):
        jobs = [
            a_job(f"{tenant}-{number}", tenant=str(tenant), weight=weight, cost=cost[tenant])
            for number, cost in enumerate(costs)
        ]
        shop.submit(*jobs)
    bound = sum(max(cost[tenant] for cost in costs) / weights[tenant] + 0.001 for tenant in (0, 1))
    served, left = [0.0, 0.0], [len(costs), len(costs)]
    while min(left):
        ((job, token, *_),) = shop.claim()["jobs"]
        tenant, _, number = job.partition("-")
        served[int(tenant)] += costs[int(number)][int(tenant)] / weights[int(tenant)]
        left[int(tenant)] -= 1
        assert abs(served[0] - served[1]) <= bound + 0.001 * len(costs)
        shop.complete(job, token)
    shop.cell.erase()


def test_absurd_costs_cannot_break_the_order_of_the_lane(shop: Shop) -> None:
    """Start tags have a width; a tenant whose share is spent for ages goes last, and its jobs are still found."""
    costly = [a_job(f"ann{number:03}", tenant="ann", cost=1_000_000, weight=1e-6) for number in range(5)]
    with pytest.raises(Refused, match="NS_BAD_ARGUMENT"):
        shop.submit(*costly)
    costly = [job | {"weight": 0.001} for job in costly]
    shop.submit(*costly)
    shop.submit(a_job("bob", tenant="bob"))
    assert sorted(shop.take(10)) == [*(job["id"] for job in costly), "bob"]


# Overdue ------------------------------------------------------------------------------------------------------------


def test_an_overdue_job_goes_first_whatever_the_priority_of_others(shop: Shop) -> None:
    shop.submit(a_job("old", priority=0))
    shop.later(60_000)
    shop.submit(a_job("urgent", priority=255))
    assert shop.take(2) == ["old", "urgent"]


def test_what_was_submitted_a_moment_less_apart_goes_in_order_however_long_all_of_it_has_waited(shop: Shop) -> None:
    """The promise is about who was submitted when: a fleet that is behind keeps its order, and does not fall back to age alone."""
    shop.submit(a_job("old", priority=0))
    shop.later(59_999)
    shop.submit(a_job("urgent", priority=255))
    shop.later(600_000)
    assert shop.take(2) == ["urgent", "old"]


def test_what_policy_named_goes_before_older_work_that_it_did_not_name_for_no_longer_than_promised(shop: Shop) -> None:
    shop.submit("forgotten", lane=shop.lane("forgotten", on=()))
    shop.later(59_999)
    shop.submit("warm", lane=shop.lane("warm"))
    shop.later(1)
    shop.submit("late", lane=shop.lane("warm"))
    assert shop.take(3) == ["warm", "forgotten", "late"]


def test_what_is_overdue_beside_the_first_goes_before_it_by_age_alone(shop: Shop) -> None:
    """The price of the promise: the job whose turn it is waits for no more than it must, so nobody chooses among the old ones."""
    shop.submit(a_job("old", priority=0), a_job("ordinary", priority=1))
    shop.later(1)
    shop.submit(a_job("high", priority=200))
    shop.later(60_000)
    assert shop.take() == ["high"], "nothing is overdue beside it"
    shop.submit(a_job("higher", priority=201))
    shop.later(60_000)
    shop.submit(a_job("urgent", priority=255))
    assert shop.take(4) == ["old", "ordinary", "higher", "urgent"]


def test_tenants_take_turns_though_everything_has_waited_for_ages(shop: Shop) -> None:
    lanes = {name: shop.lane(f"lane of {name}") for name in ("ann", "bob")}
    shop.submit(*(a_job(f"ann{number}", tenant="ann") for number in range(3)), lane=lanes["ann"])
    shop.later(1_000)
    shop.submit(*(a_job(f"bob{number}", tenant="bob") for number in range(3)), lane=lanes["bob"])
    shop.later(3_600_000)
    assert shop.take(6) == ["ann0", "bob0", "ann1", "bob1", "ann2", "bob2"]


def test_an_overdue_job_reaches_a_machine_that_policy_has_forgotten(shop: Shop) -> None:
    shop.submit("old", lane=shop.lane("forgotten", on=()))
    assert shop.take() == []
    shop.later(60_000)
    assert shop.take() == ["old"]


def test_the_oldest_of_the_overdue_goes_first_over_all_classes(shop: Shop) -> None:
    for number in range(5):
        shop.submit(str(number), lane=shop.lane(f"lane {number}", on=()))
        shop.later(1)
    shop.later(60_000)
    assert shop.take(5) == ["0", "1", "2", "3", "4"]


def test_no_job_is_overtaken_however_many_classes_the_machine_can_serve(shop: Shop) -> None:
    """Each class leaves a bound behind that is out of date; none of them may hide the job that is overdue."""
    for number in range(80):
        shop.submit(f"done{number}", lane=shop.lane(f"lane {number}"))
        shop.cancel(f"done{number}")
    shop.submit("old", lane=shop.lane("one more", on=()))
    shop.later(61_000)
    shop.submit(a_job("new", priority=255), lane=shop.lane("lane 3"))
    assert shop.take() == ["old"]


def test_an_overdue_job_that_needs_more_vram_than_is_free_keeps_the_room_for_itself(shop: Shop) -> None:
    shop.submit("large", lane=shop.lane("large", vram_mb=20_000))
    _, token = shop.lease()
    shop.submit("larger", lane=shop.lane("large", vram_mb=20_000))
    shop.later(60_000)
    shop.cell.call("renew", machine="m", session="s", jobs=[{"id": "large", "token": token}])
    shop.submit("small")
    assert shop.take() == [], "the small one would come between"
    shop.complete("large", token)
    assert shop.take() == ["larger"]


def _keeps_room_for_larger(shop: Shop) -> None:
    """One job runs, an overdue one waits for its room, and a small one that would fit waits beside them; the machine has parked."""
    shop.submit("large", lane=shop.lane("large", vram_mb=20_000))
    _, token = shop.lease()
    shop.submit("larger", lane=shop.lane("large", vram_mb=20_000))
    shop.later(60_000)
    shop.cell.call("renew", machine="m", session="s", jobs=[{"id": "large", "token": token}])
    shop.submit("small")
    assert shop.take(park=True) == []


def test_room_that_was_kept_for_work_which_then_went_elsewhere_is_used_within_a_second(shop: Shop) -> None:
    """Nobody tells the machine that it need not wait any more: the tick that is due by then has it look."""
    _keeps_room_for_larger(shop)
    shop.cancel("larger")
    assert shop.tick()["next_due_ms"] <= shop.cell.now_ms + 1_000
    shop.later(1_000)
    shop.tick()
    assert shop.status("small") == "offered"


def test_looks_while_the_room_is_kept_never_put_off_the_one_after_it_is_free(shop: Shop) -> None:
    _keeps_room_for_larger(shop)
    for number in range(5):
        shop.later(400)
        shop.submit(f"another{number}")
        shop.tick()
    shop.cancel("larger")
    assert shop.tick()["next_due_ms"] <= shop.cell.now_ms + 1_000
    shop.later(1_000)
    shop.tick()
    assert shop.status("small") == "offered"


def test_an_overdue_job_that_could_never_run_here_holds_nobody_up(shop: Shop) -> None:
    shop.submit("large", lane=shop.lane("large", vram_mb=20_000))
    shop.cell.call("update_machine", machine="m", session="s", vram_mb=8_000)
    shop.later(60_000)
    shop.submit("small")
    assert shop.take() == ["small"]


def test_behind_a_job_that_can_never_run_here_the_overdue_are_still_found(shop: Shop) -> None:
    shop.submit("large", lane=shop.lane("large", vram_mb=20_000, on=()))
    shop.submit("done", lane=shop.lane("emptied", on=()))
    shop.submit("old", lane=shop.lane("forgotten", on=()))
    shop.cancel("done")
    shop.cell.call("update_machine", machine="m", session="s", vram_mb=8_000)
    shop.later(60_000)
    assert shop.take(2) == ["old"]


def test_one_claim_takes_all_the_overdue_behind_what_can_never_run_here(shop: Shop) -> None:
    shop.submit("large", lane=shop.lane("large", vram_mb=20_000, on=()))
    for name in ("a", "b", "c", "d"):
        shop.submit(name, name + "2", lane=shop.lane(name, on=()))
    shop.cancel("a", "a2")
    shop.cell.call("update_machine", machine="m", session="s", vram_mb=8_000)
    shop.later(60_000)
    assert shop.take(10) == ["b", "b2", "c", "c2", "d", "d2"]


def test_a_claim_passes_overdue_work_that_only_others_serve_once_however_many_jobs_it_takes(shop: Shop) -> None:
    """Each job that it takes is compared with the oldest work by its own age; what others must do is not read again for that."""
    other = shop.register("other", profile="another gpu")["profile"]
    for number in range(3):
        shop.submit(f"theirs{number}", lane=shop.lane(f"theirs {number}", on=(), fits=[[other, True]]))
    shop.later(60_000)
    for number in range(10):
        shop.submit(str(number))
        shop.later(1)

    def reads() -> int:
        return int(shop.cell.node.info("commandstats").get("cmdstat_zrangebyscore", {}).get("calls", 0))

    before = reads()
    assert shop.take(10) == [str(number) for number in range(10)]
    assert reads() - before == 1


def test_two_of_the_same_age_are_found_wherever_the_page_of_classes_ends(shop: Shop) -> None:
    """The first of them does not fit what is free; the other is a page of classes further on, and is not held up by it."""
    shop.submit("runs", lane=shop.lane("runs", vram_mb=20_000))
    _, token = shop.lease()
    large = [shop.lane(f"large {number}", on=(), vram_mb=20_000) for number in range(70)]
    jobs = [a_job(f"large{number}", lane=number + 1) for number in range(70)]
    small = a_job("small", lane=71)
    shop.cell.call("submit", nonce="n", lanes=[*large, shop.lane("small", on=())], jobs=[*jobs, small])
    shop.later(60_000)
    shop.cell.call("renew", machine="m", session="s", jobs=[{"id": "runs", "token": token}])
    assert shop.take() == ["small"]


# Candidates ---------------------------------------------------------------------------------------------------------


def test_a_machine_takes_only_from_its_candidates_and_only_after_they_are_ready(shop: Shop) -> None:
    shop.submit("a", lane=shop.lane("slow", on=(("m", 5_000, 0),)))
    shop.submit("b", lane=shop.lane("never", on=()))
    assert shop.take(5) == []
    shop.later(4_999)
    assert shop.claim()["wake_ms"] == shop.cell.now_ms + 1
    shop.later(1)
    assert shop.take(5) == ["a"]


def test_ready_after_bends_priority_for_no_longer_than_it_says(shop: Shop) -> None:
    shop.submit(a_job("urgent", priority=255), lane=shop.lane("slow", on=(("m", 5_000, 0),)))
    shop.submit(a_job("other", priority=1), a_job("more", priority=1))
    assert shop.take() == ["other"]
    shop.later(5_000)
    assert shop.take() == ["urgent"]


def test_a_job_needs_the_vram_that_is_free(shop: Shop) -> None:
    shop.submit("a", "b", lane=shop.lane("large", vram_mb=20_000))
    assert shop.take(2) == ["a"]


def test_a_lane_that_the_machine_cannot_serve_is_refused_as_a_candidate(shop: Shop) -> None:
    shop.submit("a", lane=shop.lane("large", on=(), fits=[[shop.profile, False]]))
    (lane,) = shop.statistics()["lanes"]
    for function, request in (
        ("set_candidates", {"nonce": "n", "machines": [["m", [[lane[0], 0, 0]]]]}),
        ("claim", {"machine": "m", "session": "s", "credits": 1, "nonce": "c", "candidates": [[lane[0], 0, 0]]}),
    ):
        with pytest.raises(Refused, match="NS_LANE_DOES_NOT_FIT machine=m"):
            shop.cell.call(function, **request)


def test_a_placement_on_a_machine_that_cannot_serve_the_lane_is_left_out(shop: Shop) -> None:
    """Policy decided on what it knew; the machine may have come back with another profile since."""
    shop.submit("a", lane=shop.lane("large", on=("m",), fits=[[shop.profile, False]]))
    shop.submit("b", lane=shop.lane("undecided", on=("m",), fits=[]))
    assert shop.take(2) == []


def test_a_placement_counts_the_vram_of_the_lane_as_it_is(shop: Shop) -> None:
    shop.submit("a", lane=shop.lane("large", vram_mb=20_000))
    shop.submit("b", lane=shop.lane("large", vram_mb=0))
    assert shop.take(2) == ["a"]


def test_a_paused_pool_gives_out_nothing_until_it_is_resumed(shop: Shop) -> None:
    shop.submit("a", lane=shop.lane("one", pool="heavy"))
    shop.submit("b", lane=shop.lane("two"))
    shop.cell.call("pause", scope="pool:heavy", because="upkeep", by="operator")
    assert shop.take(2) == ["b"]
    shop.later(100_000)
    shop.register()
    assert shop.take(2) == []
    shop.cell.call("resume", scope="pool:heavy", by="operator")
    assert shop.take(2) == ["a"]


def test_numbers_of_events_leave_no_gap(shop: Shop) -> None:
    shop.submit("a", "b")
    shop.fail(*shop.lease())
    shop.complete(*shop.lease())
    shop.cell.open(server="another")
    shop.cancel("a")
    events = shop.cell.events()
    assert all(after.number == before.number + 1 for before, after in pairwise(events))
    assert [event.job_number for event in shop.cell.events("a")] == [1, 2, 3, 4]
    assert (events[0].epoch, events[-1].epoch) == (1, 2)
