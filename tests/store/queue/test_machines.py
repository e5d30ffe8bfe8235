"""Machines: come, park and are handed work, drain, go; and what they hold."""

from __future__ import annotations

import msgspec
import pytest

from tests.store.queue.builders import Shop, a_job
from tests.store.queue.calls import Refused

# Parked -------------------------------------------------------------------------------------------------------------


def test_work_is_handed_to_a_parked_machine_in_the_call_that_brings_it(shop: Shop) -> None:
    shop.park()
    shop.submit("a")
    assert shop.status("a") == "offered"
    assert shop.take() == ["a"]
    assert shop.cell.kinds("a") == ["job.submitted", "job.offered", "job.started"]


def test_the_bell_of_the_holder_rings_with_the_jobs_themselves(shop: Shop) -> None:
    bell = shop.cell.node.pubsub()
    bell.ssubscribe(shop.cell.keys.bell("holder"))
    assert bell.get_sharded_message(timeout=5) is not None
    shop.park()
    shop.submit(a_job("a", body="[1]"))
    message = bell.get_sharded_message(timeout=5)
    assert message is not None
    ((word, machine, jobs),) = msgspec.msgpack.decode(message["data"])
    assert (word, machine, [(job[0], job[5]) for job in jobs]) == ("offer", "m", [("a", "[1]")])
    bell.close()


def test_whoever_names_the_token_of_an_offer_has_accepted_it(shop: Shop) -> None:
    shop.park()
    shop.submit("a")
    token = shop.job("a").get("token")
    assert shop.complete("a", token) == "ok"
    assert shop.cell.kinds("a") == ["job.submitted", "job.offered", "job.started", "job.succeeded"]


def test_an_offer_that_nobody_accepts_goes_back_to_the_front_uncharged(shop: Shop) -> None:
    shop.park()
    shop.submit("a", "b")
    shop.later(2_000)
    shop.tick()
    job = shop.job("a")
    assert (job.get("status"), job.get("attempts"), job.get("recoveries")) == ("queued", 0, 0)
    assert shop.take(2) == ["a", "b"]


def test_the_first_of_the_ranking_that_is_still_parked_gets_the_job(shop: Shop) -> None:
    for machine in ("far", "near"):
        shop.register(machine)
        shop.park(machine)
    shop.submit("a", "b", lane=shop.lane(on=("m", ("far", 0, 7), ("near", 0, 1))))
    assert (shop.job("a").get("machine"), shop.job("b").get("machine")) == ("near", "far")


def test_a_parked_machine_is_woken_when_a_lane_is_ready_for_it(shop: Shop) -> None:
    shop.park()
    shop.submit("a", lane=shop.lane(on=(("m", 5_000, 0),)))
    assert shop.status("a") == "queued"
    shop.later(5_000)
    shop.tick()
    assert shop.status("a") == "offered"


def test_a_machine_is_handed_no_more_than_it_asked_for(shop: Shop) -> None:
    shop.park(credits_=2)
    shop.submit("a", "b", "c")
    assert [shop.status(job) for job in "abc"] == ["offered", "offered", "queued"]


def test_a_claim_accepts_no_more_offers_than_its_credit(shop: Shop) -> None:
    shop.park(credits_=3)
    shop.submit("a", "b", "c")
    assert shop.take(1) == ["a"]
    shop.later(2_000)
    shop.tick()
    assert shop.take(5) == ["b", "c"]


def test_an_agent_that_registers_again_is_parked_no_more(shop: Shop) -> None:
    """It says what it accepts by its next claim; until then it must not stand in the way of others as if it waited."""
    shop.park()
    shop.register()
    assert shop.statistics()["counts"]["parked_size"] == 0


def test_a_resumed_cell_wakes_its_parked_machines(shop: Shop) -> None:
    shop.cell.call("pause", scope="cell", because="upkeep", by="operator")
    shop.submit("a")
    shop.park()
    shop.cell.call("resume", scope="cell", by="operator")
    shop.tick()
    assert shop.status("a") == "offered"


def test_new_candidates_reach_a_parked_machine_at_once(shop: Shop) -> None:
    shop.submit("a", lane=shop.lane(on=()))
    shop.park()
    (lane,) = shop.statistics()["lanes"]
    reply = shop.cell.call("set_candidates", nonce="n", machines=[["m", [[lane[0], 0, 0]]], ["gone", []]])
    assert (reply, shop.status("a")) == ({"unknown": ["gone"]}, "offered")


def test_a_returned_job_that_is_overdue_reaches_a_parked_machine_that_policy_had_not_ranked(shop: Shop) -> None:
    shop.register("other")
    shop.submit("a", lane=shop.lane(on=("m",)))
    token = shop.lease()
    shop.later(50_000)
    shop.cell.call("renew", machine="m", session="s", jobs=[{"id": token[0], "token": token[1]}])
    shop.claim(0, "other")
    shop.park("other")
    shop.later(10_000)
    shop.release(*token)
    shop.tick()
    assert shop.job("a").get("machine") == "other"


def test_a_machine_held_up_by_an_overdue_job_looks_again_after_the_job_is_gone(shop: Shop) -> None:
    """The room was kept for a job that another machine took, or that was canceled; nobody tells the one that kept it."""
    shop.submit("large", lane=shop.lane("large", vram_mb=20_000))
    token = shop.lease()
    shop.submit("larger", lane=shop.lane("large", vram_mb=20_000))
    shop.later(60_000)
    shop.cell.call("renew", machine="m", session="s", jobs=[{"id": token[0], "token": token[1]}])
    shop.submit("small")
    shop.park()
    shop.cancel("larger")
    shop.later(1_000)
    shop.tick()
    assert shop.status("small") == "offered"


# Come and go --------------------------------------------------------------------------------------------------------


def test_a_machine_that_comes_back_with_its_session_keeps_its_jobs(shop: Shop) -> None:
    shop.submit("a")
    job, token = shop.lease()
    assert shop.register()["held"] == [[job, token]]
    assert shop.complete(job, token) == "ok"


def test_a_new_session_of_a_machine_gives_back_what_the_old_one_held(shop: Shop) -> None:
    shop.submit("a")
    job, token = shop.lease()
    assert shop.register(session="new")["held"] == []
    assert (shop.status("a"), shop.job("a").get("recoveries")) == ("queued", 1)
    assert shop.complete(job, token) == "NS_LEASE_LOST"


def test_a_silent_machine_is_lost_and_its_jobs_go_back(shop: Shop) -> None:
    shop.cell.open({"alive_ms": 10_000}, configure=True)
    shop.register()
    shop.submit("a")
    shop.lease()
    shop.later(10_000)
    shop.tick()
    assert (shop.status("a"), shop.job("a").get("recoveries")) == ("queued", 1)
    assert shop.cell.kinds("m") == ["machine.registered", "machine.registered", "machine.lost"]


@pytest.mark.parametrize(("lost", "recoveries"), [(True, 1), (False, 0)])
def test_a_removed_machine_charges_its_jobs_only_when_it_was_lost(shop: Shop, lost: bool, recoveries: int) -> None:
    shop.submit("a")
    shop.lease()
    reply = shop.cell.call("remove_machine", machine="m", because="gone", lost=lost, nonce="n")
    assert (reply, shop.job("a").get("recoveries")) == ({"returned": 1}, recoveries)


def test_a_draining_machine_finishes_what_runs_and_gives_back_what_was_only_offered(shop: Shop) -> None:
    shop.submit("a")
    shop.lease()
    shop.park()
    shop.submit("b")
    assert shop.cell.call("drain_machine", machine="m", draining=True, nonce="n") == {"used": 1}
    assert (shop.status("a"), shop.status("b"), shop.take()) == ("running", "queued", [])
    shop.cell.call("drain_machine", machine="m", draining=False, nonce="n")
    assert shop.take() == ["b"]


def test_fewer_slots_take_nothing_away_and_give_nothing_new(shop: Shop) -> None:
    shop.submit("a", "b", "c")
    shop.take(2)
    assert shop.cell.call("update_machine", machine="m", session="s", slots=1) == {"used": 2}
    assert shop.take() == []


def test_a_profile_learns_once_which_classes_it_can_serve(shop: Shop) -> None:
    shop.submit("a", lane=shop.lane("lane", fits=[]))
    ((kind, key),) = shop.register()["undecided"]
    assert key == "class of lane"
    assert shop.cell.call("decide_fits", fits=[[shop.profile, kind, True]]) == {"decided": 1}
    assert shop.cell.call("decide_fits", fits=[[shop.profile, kind, False], ["ffffff", kind, True]]) == {"decided": 0}
    assert shop.register()["undecided"] == []


def test_leases_stand_still_while_nobody_was_there(shop: Shop) -> None:
    shop.submit("a")
    shop.lease()
    shop.later(500_000)
    shop.cell.call("outage", gap_ms=500_000)
    shop.tick()
    assert shop.status("a") == "running"
    shop.later(30_000)
    shop.tick()
    assert shop.status("a") == "queued"


def test_time_never_runs_backwards(shop: Shop) -> None:
    noon_ms = shop.cell.now_ms
    shop.submit("a")
    shop.later(-50_000)
    shop.submit("b")
    assert shop.job("b").get("submitted_ms") == noon_ms


# Models -------------------------------------------------------------------------------------------------------------


def test_a_model_that_a_machine_holds_may_be_asked_for(shop: Shop) -> None:
    present = {"machine": "m", "session": "s", "models": [["wan", "disk", 5]]}
    assert shop.cell.call("models_present", **present) == {"changed": True}
    assert shop.cell.call("models_present", **present) == {"changed": False}
    shop.submit("a", lane=shop.lane(words=["model:wan"]))


def test_the_same_need_is_not_fetched_twice(shop: Shop) -> None:
    shop.register("other")
    fetch = {"session": "s", "model": "wan", "bytes": 5, "expected_ms": 9_000, "copies": 1}
    assert shop.cell.call("fetch_started", machine="m", **fetch) == {"fetching": 1}
    with pytest.raises(Refused, match="NS_ALREADY_FETCHING"):
        shop.cell.call("fetch_started", machine="m", **fetch)
    with pytest.raises(Refused, match="NS_FETCH_IN_FLIGHT model=wan machine=m"):
        shop.cell.call("fetch_started", machine="other", **fetch)
    shop.later(700)
    ended = {"session": "s", "model": "wan", "outcome": "fetched"}
    assert shop.cell.call("fetch_ended", machine="m", **ended) == {"took_ms": 700}
    with pytest.raises(Refused, match="NS_NOT_FETCHING"):
        shop.cell.call("fetch_ended", machine="m", **ended)


def test_a_lost_machine_fetches_and_holds_nothing_any_more(shop: Shop) -> None:
    shop.register("other")
    shop.cell.call("models_present", machine="m", session="s", models=[["flux", "resident", 5]])
    fetch = {"session": "s", "model": "wan", "bytes": 5, "expected_ms": 9_000, "copies": 1}
    shop.cell.call("fetch_started", machine="m", **fetch)
    shop.cell.call("remove_machine", machine="m", because="gone", lost=True, nonce="n")
    assert shop.cell.call("fetch_started", machine="other", **fetch) == {"fetching": 1}
    assert shop.cell.node.execute_command("ZCARD", shop.cell.keys["holders"]) == 0


# Orders about models ------------------------------------------------------------------------------------------------

FETCH = {"id": "o1", "what": "fetch", "model": "wan", "body": "{}"}


def test_an_order_stands_until_the_machine_has_answered_it(shop: Shop) -> None:
    assert shop.cell.call("order_models", machine="m", by="me", orders=[FETCH]) == {"given": [["o1", True]]}
    (order,) = shop.cell.call("pending_orders", machine="m", session="s")["orders"]
    assert order == ["o1", "fetch", "wan", "{}", shop.cell.now_ms]
    answer = {"machine": "m", "session": "s", "order": "o1", "outcome": "done", "code": "", "message": ""}
    assert shop.cell.call("order_ended", **answer) == {"open": 0}
    with pytest.raises(Refused, match="NS_NO_SUCH_ORDER"):
        shop.cell.call("order_ended", **answer)


def test_an_order_for_the_same_is_not_given_twice(shop: Shop) -> None:
    shop.cell.call("order_models", machine="m", by="me", orders=[FETCH])
    again = [FETCH | {"id": "o2"}, FETCH | {"id": "o3", "what": "evict"}]
    given = shop.cell.call("order_models", machine="m", by="me", orders=again)["given"]
    assert given == [["o1", False], ["o3", True]]


def test_a_machine_has_only_so_many_open_orders_and_a_refused_batch_leaves_none(shop: Shop) -> None:
    many = [FETCH | {"id": f"o{number}", "model": f"model-{number}"} for number in range(32)]
    shop.cell.call("order_models", machine="m", by="me", orders=many[:31])
    with pytest.raises(Refused, match="NS_TOO_MANY_ORDERS machine=m limit=32"):
        shop.cell.call("order_models", machine="m", by="me", orders=[many[31], FETCH | {"id": "x", "model": "y"}])
    assert len(shop.cell.call("pending_orders", machine="m", session="s")["orders"]) == 31


def test_a_new_session_of_a_machine_still_has_its_orders_and_a_lost_machine_has_none(shop: Shop) -> None:
    shop.cell.call("order_models", machine="m", by="me", orders=[FETCH])
    shop.register("m", session="s2")
    assert len(shop.cell.call("pending_orders", machine="m", session="s2")["orders"]) == 1
    with pytest.raises(Refused, match="NS_MACHINE_REPLACED"):
        shop.cell.call("pending_orders", machine="m", session="s")
    shop.cell.call("remove_machine", machine="m", because="gone", lost=True, nonce="n")
    shop.register("m", session="s3")
    assert shop.cell.call("pending_orders", machine="m", session="s3")["orders"] == []


# Profiles -----------------------------------------------------------------------------------------------------------

WEEK_MS = 7 * 86_400_000


def forgotten(shop: Shop, *, after_ms: int) -> None:
    shop.later(after_ms)
    shop.cell.call("tick", nonce="t", budget=500)


def test_a_profile_that_no_machine_has_is_forgotten_after_a_week_with_what_was_decided_for_it(shop: Shop) -> None:
    first = shop.register("other", profile="a rare one")["profile"]
    shop.submit("a")
    (kind,) = [name for name in shop.cell.node.execute_command("HKEYS", shop.cell.keys["classes"]) if name[:1] != b"k"]
    shop.cell.call("decide_fits", fits=[[first, kind.decode(), True]])
    shop.cell.call("remove_machine", machine="other", because="gone", lost=False, nonce="n")
    forgotten(shop, after_ms=WEEK_MS - 1)
    assert shop.register("back", profile="a rare one")["profile"] == first
    shop.cell.call("remove_machine", machine="back", because="gone", lost=False, nonce="n")
    forgotten(shop, after_ms=WEEK_MS)
    assert shop.cell.node.execute_command("HEXISTS", shop.cell.keys["fits"], first + kind.decode()) == 0
    assert shop.register("new", profile="a rare one")["profile"] > first


def test_a_profile_stays_as_long_as_one_machine_has_it(shop: Shop) -> None:
    profile = shop.register("left", profile="shared")["profile"]
    shop.register("right", profile="shared")
    shop.register("left", profile="another")
    forgotten(shop, after_ms=1_000)
    shop.cell.call("renew", machine="right", session="s", jobs=[])
    assert shop.cell.node.execute_command("ZSCORE", shop.cell.keys["idle_profiles"], profile) is None
