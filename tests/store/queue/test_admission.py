"""Who may join: invites, tokens of machines, approval, rotation, revocation and forgetting."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.store.queue.builders import Shop
from tests.store.queue.calls import Cell, Refused, Reply, Server

MINUTE_MS, DAY_MS = 60_000, 86_400_000
TOKEN_TTL_MS = 30 * DAY_MS
KEPT_MS = 7 * DAY_MS


class Gate:
    """A cell with an invite in it, and short words for what tests do at its gate."""

    def __init__(self, server: Server, **limits: int) -> None:
        self.shop = Shop(Cell(server), **limits)
        self.cell = self.shop.cell
        self.invite()

    def invite(self, invite: str = "i", **changes: Any) -> Reply:
        terms: Reply = {"pools": ["fast"], "region": "eu", "tags": ["quiet"], "dedicated_to": "", "approval": False}
        terms |= {"uses": 2, "ttl_ms": 15 * MINUTE_MS, "by": "ann"}
        return self.cell.call("invite", invite=invite, **{"secret": f"{invite}-secret"} | terms | changes)

    def join(self, machine: str = "a", invite: str = "i", **changes: Any) -> Reply:
        request: Reply = {
            "invite": invite,
            "invite_secret": f"{invite}-secret",
            "machine": machine,
            "about": "192.0.2.1",
        }
        return self.cell.call("redeem", **request | {"token": f"{machine}-1", "secret": f"{machine}-secret"} | changes)

    def show(self, owner: str = "a", **changes: Any) -> Reply:
        request = {"token": f"{owner}-1", "secret": f"{owner}-secret", "machine": ""}
        return self.cell.call("authenticate", **request | changes)

    def register(self, machine: str = "a", **changes: Any) -> Reply:
        return self.shop.register(machine, **{"admitted_by": f"{machine}-1"} | changes)

    def revoke(self, name: str = "a", what: str = "machine") -> Reply:
        return self.cell.call("revoke", what=what, name=name, because="lies", by="bob", nonce=self.shop.nonce())

    def rotate(self, machine: str = "a", **changes: Any) -> Reply:
        request = {"token": f"{machine}-1", "secret": f"{machine}-secret", "replacement": "new", "grace_ms": MINUTE_MS}
        return self.cell.call("rotate", **request | changes)

    def tokens(self) -> dict[str, list[Any]]:
        return {entry[0]: entry for entry in self.cell.call("list_tokens", after="", count=500)["tokens"]}

    def invites(self) -> dict[str, str]:
        return {entry[0]: entry[1] for entry in self.cell.call("list_invites", after="", count=500)["invites"]}

    def later(self, by_ms: int) -> None:
        """Time passes, and a dispatcher does what it makes due."""
        self.shop.later(by_ms)
        while self.shop.tick()["more"]:
            pass


@pytest.fixture
def gate(server: Server) -> Gate:
    return Gate(server)


def refused(call: Any, *arguments: Any, **changes: Any) -> str:
    with pytest.raises(Refused) as caught:
        call(*arguments, **changes)
    return caught.value.code


# Joining ------------------------------------------------------------------------------------------------------------


def test_a_machine_that_joins_gets_what_its_invite_grants(gate: Gate) -> None:
    granted = {"pools": ["fast"], "region": "eu", "tags": ["quiet"], "dedicated_to": ""}
    assert gate.join() == {"machine": "a", "status": "approved", "replayed": False} | granted
    assert gate.show() == {"machine": "a", "status": "approved", "former": False} | granted


def test_an_answer_that_was_lost_is_given_again_and_no_use_is_counted(gate: Gate) -> None:
    gate.join()
    assert gate.join()["replayed"]
    gate.join("b")
    assert gate.invites() == {"i": "NS_INVITE_USED_UP"}
    gate.later(16 * MINUTE_MS)
    assert gate.join()["replayed"], "also when the invite is over by then"
    assert gate.cell.kinds("a") == ["machine.joined"]


def test_an_invite_that_was_made_is_answered_again_and_not_made_twice(gate: Gate) -> None:
    gate.join()
    gate.later(MINUTE_MS)
    assert gate.invite() == {"ends_ms": gate.cell.now_ms + 14 * MINUTE_MS, "replayed": True}
    gate.join("b")
    assert refused(gate.join, "c") == "NS_INVITE_USED_UP"
    assert refused(gate.invite, secret="another") == "NS_INVITE_EXISTS"


def test_an_invite_lets_in_as_many_machines_as_it_says(gate: Gate) -> None:
    gate.join("a")
    gate.join("b")
    assert refused(gate.join, "c") == "NS_INVITE_USED_UP"


def test_an_invite_ends_when_it_says(gate: Gate) -> None:
    gate.shop.later(15 * MINUTE_MS - 1)
    gate.join("a")
    gate.shop.later(1)
    assert refused(gate.join, "b") == "NS_INVITE_EXPIRED"


def test_a_revoked_invite_lets_nobody_in_and_leaves_who_is_in(gate: Gate) -> None:
    gate.join("a")
    assert gate.cell.call("revoke_invite", invite="i", by="bob") == {"revoked": True, "used": 1}
    assert gate.cell.call("revoke_invite", invite="i", by="bob") == {"revoked": False, "used": 1}
    assert refused(gate.join, "b") == "NS_INVITE_REVOKED"
    assert gate.show("a")["status"] == "approved"


@pytest.mark.parametrize("changes", [{"invite": "nobody"}, {"invite_secret": "guessed"}])
def test_a_wrong_secret_of_an_invite_says_no_more_than_an_unknown_id(gate: Gate, changes: Reply) -> None:
    assert refused(gate.join, **changes) == "NS_INVITE_UNKNOWN"
    assert gate.tokens() == {}


def test_two_machines_never_share_a_name(gate: Gate) -> None:
    gate.join("a")
    assert refused(gate.join, "a", token="a-2", secret="other") == "NS_MACHINE_NAME_TAKEN"
    assert refused(gate.join, "m") == "NS_MACHINE_NAME_TAKEN", "nor with one that came without a token"
    assert [entry[1] for entry in gate.tokens().values()] == ["a"]


def test_a_token_that_another_machine_has_is_not_given_again(gate: Gate) -> None:
    gate.join("a")
    assert refused(gate.join, "b", token="a-1", secret="b-secret") == "NS_TOKEN_UNKNOWN"
    assert refused(gate.join, "b", token="a-1", secret="a-secret") == "NS_TOKEN_OF_ANOTHER_MACHINE"
    assert gate.show("a")["machine"] == "a"


def test_the_name_of_a_revoked_machine_is_free_again(gate: Gate) -> None:
    gate.join("a")
    gate.revoke("a")
    gate.join("a", token="a-2", secret="other")
    assert gate.show("a", token="a-2", secret="other")["machine"] == "a"
    assert refused(gate.show, "a") == "NS_TOKEN_REVOKED"


def test_invites_and_tokens_are_bounded(server: Server) -> None:
    gate = Gate(server, max_invites=2, max_tokens=1, max_invite_ms=MINUTE_MS * 15)
    assert refused(gate.invite, "long", ttl_ms=MINUTE_MS * 16) == "NS_INVITE_TOO_LONG"
    gate.invite("j")
    assert refused(gate.invite, "k") == "NS_TOO_MANY_INVITES"
    gate.join("a")
    assert refused(gate.join, "b") == "NS_TOO_MANY_TOKENS"


def test_a_cell_that_was_made_before_there_were_tokens_takes_the_limits_of_its_next_opener(gate: Gate) -> None:
    key = gate.cell.keys["meta"]
    limits = msgspec.msgpack.decode(gate.cell.node.hget(key, "limits"))
    old = {name: value for name, value in limits.items() if name not in {"max_tokens", "token_ttl_ms"}}
    gate.cell.node.hset(key, "limits", msgspec.msgpack.encode(old))
    assert gate.cell.open({"max_tokens": 7, "lease_ms": 9_999})["limits"] == limits | {"max_tokens": 7}
    gate.join("a")


# Showing a token ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"token": "nobody"}, {"secret": "guessed"}, {"secret": "b-secret"}])
def test_a_wrong_token_is_unknown_whatever_is_wrong_about_it(gate: Gate, changes: Reply) -> None:
    gate.join("a")
    gate.join("b")
    assert refused(gate.show, "a", **changes) == "NS_TOKEN_UNKNOWN"


def test_a_token_speaks_for_its_own_machine_only(gate: Gate) -> None:
    gate.join("a")
    assert gate.show("a", machine="a")["machine"] == "a"
    assert refused(gate.show, "a", machine="b") == "NS_TOKEN_OF_ANOTHER_MACHINE"
    assert refused(gate.register, "b", admitted_by="a-1") == "NS_TOKEN_OF_ANOTHER_MACHINE"


def test_nobody_registers_by_a_token_that_does_not_count_at_that_moment(gate: Gate) -> None:
    assert refused(gate.register, "a") == "NS_TOKEN_UNKNOWN"
    gate.invite("w", approval=True)
    gate.join("a", "w")
    assert refused(gate.register, "a") == "NS_TOKEN_WAITING"
    gate.revoke("a")
    assert refused(gate.register, "a") == "NS_TOKEN_REVOKED"
    assert gate.shop.statistics()["counts"]["machines_size"] == 1


# Approval -----------------------------------------------------------------------------------------------------------


def test_with_approval_a_machine_waits_before_its_first_job(gate: Gate) -> None:
    gate.invite("w", approval=True)
    assert gate.join("a", "w")["status"] == "waiting"
    assert gate.show("a")["status"] == "waiting"
    assert gate.cell.call("approve", machine="a", by="bob") == {"approved": True}
    assert gate.cell.call("approve", machine="a", by="bob") == {"approved": False}
    assert gate.show("a")["status"] == "approved"
    gate.register("a")
    assert gate.cell.kinds("a") == ["machine.joined", "machine.approved", "machine.registered"]


def test_only_a_machine_that_joined_and_was_not_revoked_is_approved(gate: Gate) -> None:
    assert refused(gate.cell.call, "approve", machine="a", by="bob") == "NS_NO_SUCH_TOKEN"
    gate.join("a")
    gate.revoke("a")
    assert refused(gate.cell.call, "approve", machine="a", by="bob") == "NS_TOKEN_REVOKED"


# Revocation ---------------------------------------------------------------------------------------------------------


def test_a_revoked_machine_is_put_out_and_its_jobs_go_back_uncharged(gate: Gate) -> None:
    gate.join("a")
    gate.register("a")
    gate.shop.submit("j", lane=gate.shop.lane(on=("a",)))
    job, token = gate.shop.lease("a")
    assert gate.revoke("a") == {"revoked": True, "machine": "a", "returned": 1, "invite": "i"}
    back = gate.shop.job(job)
    assert (back.get("status"), back.get("attempts"), back.get("recoveries")) == ("queued", 0, 0)
    assert gate.shop.complete(job, token, machine="a") == "NS_LEASE_LOST"
    assert refused(gate.shop.claim, machine="a") == "NS_NO_SUCH_MACHINE"
    assert refused(gate.show, "a") == "NS_TOKEN_REVOKED"
    assert gate.cell.kinds("a")[-2:] == ["machine.removed", "machine.revoked"]


def test_revoking_twice_is_revoking_once(gate: Gate) -> None:
    gate.join("a")
    gate.revoke("a-1", what="token")
    assert gate.revoke("a") == {"revoked": False, "machine": "a", "returned": 0, "invite": "i"}
    assert gate.cell.kinds("a").count("machine.revoked") == 1
    assert refused(gate.revoke, "b") == "NS_NO_SUCH_TOKEN"
    assert refused(gate.revoke, "b-1", what="token") == "NS_NO_SUCH_TOKEN"


def test_revoking_the_old_token_of_a_name_leaves_its_new_machine_at_work(gate: Gate) -> None:
    gate.join("a")
    gate.revoke("a")
    gate.join("a", token="a-2", secret="other")
    gate.register("a", admitted_by="a-2")
    assert not gate.revoke("a-1", what="token")["revoked"]
    assert gate.shop.take(machine="a") == []


def test_everybody_and_the_holder_hear_of_a_revocation_and_everybody_of_an_approval(gate: Gate) -> None:
    bell = gate.cell.node.pubsub()
    for holder in ("tick", "holder"):
        bell.ssubscribe(gate.cell.keys.bell(holder))
        assert bell.get_sharded_message(timeout=5) is not None
    gate.invite("w", approval=True)
    gate.join("a", "w")
    gate.cell.call("approve", machine="a", by="bob")
    gate.register("a")
    gate.revoke("a")
    rung: list[tuple[str, Any]] = []
    while ("tick", ["revoked", "a"]) not in rung or ("holder", ["revoked", "a"]) not in rung:
        message = bell.get_sharded_message(timeout=5)
        assert message is not None, rung
        holder = message["channel"].decode().rpartition(":")[2]
        rung += [(holder, word) for word in msgspec.msgpack.decode(message["data"])]
    assert ("tick", ["approved", "a"]) in rung
    bell.close()


def test_a_machine_goes_only_once_when_it_was_revoked_and_its_leases_end_later(gate: Gate) -> None:
    gate.join("a")
    gate.register("a")
    gate.revoke("a")
    gate.later(10 * MINUTE_MS)
    assert gate.cell.kinds("a").count("machine.lost") == 0


def test_the_answer_names_the_invite_by_which_the_machine_could_come_back(gate: Gate) -> None:
    gate.join("a")
    gate.join("b")
    assert gate.revoke("a")["invite"] == "", "used up"
    gate.invite("j")
    gate.join("c", "j")
    assert gate.revoke("c")["invite"] == "j"


# Rotation -----------------------------------------------------------------------------------------------------------


def test_after_a_rotation_both_secrets_count_for_a_while_and_then_the_new_one(gate: Gate) -> None:
    gate.join("a")
    assert gate.rotate() == {"ends_ms": gate.cell.now_ms + MINUTE_MS, "replayed": False}
    assert (gate.show("a")["former"], gate.show("a", secret="new")["former"]) == (True, False)
    gate.shop.later(MINUTE_MS)
    assert refused(gate.show, "a") == "NS_TOKEN_REPLACED"
    assert gate.show("a", secret="new")["machine"] == "a"


def test_a_rotation_whose_answer_was_lost_is_answered_again(gate: Gate) -> None:
    gate.join("a")
    ends_ms = gate.rotate()["ends_ms"]
    gate.shop.later(1_000)
    assert gate.rotate() == {"ends_ms": ends_ms, "replayed": True}
    assert gate.rotate(secret="new") == {"ends_ms": ends_ms, "replayed": True}
    assert gate.cell.kinds("a").count("machine.token_rotated") == 1


def test_whoever_has_only_the_former_secret_cannot_take_the_token_over(gate: Gate) -> None:
    gate.join("a")
    gate.rotate()
    assert refused(gate.rotate, replacement="thief") == "NS_TOKEN_REPLACED"
    assert refused(gate.rotate, secret="guessed") == "NS_TOKEN_UNKNOWN"


def test_revoking_takes_both_secrets(gate: Gate) -> None:
    gate.join("a")
    gate.rotate()
    gate.revoke("a")
    assert refused(gate.show, "a", secret="new") == "NS_TOKEN_REVOKED"
    assert refused(gate.show, "a") == "NS_TOKEN_UNKNOWN"


# Time ---------------------------------------------------------------------------------------------------------------


def test_an_invite_that_ended_is_remembered_for_a_week_and_then_forgotten(gate: Gate) -> None:
    gate.later(15 * MINUTE_MS + KEPT_MS - 1)
    assert refused(gate.join) == "NS_INVITE_EXPIRED"
    gate.later(1)
    assert refused(gate.join) == "NS_INVITE_UNKNOWN"
    assert gate.invites() == {}


def test_a_token_expires_when_its_machine_was_away_for_long_and_its_name_is_free_then(gate: Gate) -> None:
    gate.join("a")
    gate.later(TOKEN_TTL_MS - 1)
    gate.invite("j")
    assert gate.show("a")["machine"] == "a"
    assert refused(gate.join, "a", "j", token="a-2") == "NS_MACHINE_NAME_TAKEN"
    gate.later(1)
    assert refused(gate.show, "a") == "NS_TOKEN_EXPIRED"
    assert refused(gate.register, "a") == "NS_TOKEN_EXPIRED"
    gate.join("a", "j", token="a-2")
    gate.register("a", admitted_by="a-2")
    assert refused(gate.show, "a") == "NS_TOKEN_EXPIRED", "the new machine's presence does not bring it back"


def test_a_token_is_forgotten_a_week_after_it_expired(gate: Gate) -> None:
    gate.join("a")
    gate.later(TOKEN_TTL_MS + KEPT_MS)
    assert gate.tokens() == {}
    assert refused(gate.show, "a") == "NS_TOKEN_UNKNOWN"
    assert gate.cell.node.exists(gate.cell.keys["tokens"]) == 0, "its name neither"


def test_a_limit_that_is_raised_holds_for_tokens_that_are_there_already(gate: Gate) -> None:
    gate.join("a")
    gate.cell.open({"token_ttl_ms": 2 * TOKEN_TTL_MS}, configure=True)
    gate.later(TOKEN_TTL_MS + KEPT_MS)
    assert gate.show("a")["machine"] == "a"
    gate.later(TOKEN_TTL_MS)
    assert gate.tokens() == {}


def test_a_machine_that_stays_keeps_its_token_however_long(server: Server) -> None:
    gate = Gate(server, alive_ms=366 * DAY_MS)
    gate.join("a")
    gate.register("a")
    for _ in range(3):
        gate.later(TOKEN_TTL_MS + KEPT_MS)
        assert gate.show("a")["machine"] == "a"
    gate.cell.call("remove_machine", machine="a", because="shutdown", lost=False, nonce="x")
    gate.later(TOKEN_TTL_MS - 1)
    assert gate.show("a")["machine"] == "a", "the time away counts from when it went"
    gate.later(1)
    assert refused(gate.show, "a") == "NS_TOKEN_EXPIRED"


def test_a_lost_machine_may_come_back_by_its_token(gate: Gate) -> None:
    gate.join("a")
    gate.register("a")
    gate.later(10 * MINUTE_MS)
    assert "machine.lost" in gate.cell.kinds("a")
    gate.register("a", session="again")


def test_what_is_revoked_is_remembered_as_long_as_a_token_lasts(gate: Gate) -> None:
    gate.join("a")
    gate.revoke("a")
    gate.later(TOKEN_TTL_MS)
    assert refused(gate.show, "a") == "NS_TOKEN_REVOKED"
    gate.later(KEPT_MS)
    assert gate.tokens() == {}


# Lists --------------------------------------------------------------------------------------------------------------


def test_lists_show_everything_but_secrets(gate: Gate) -> None:
    gate.join("a")
    gate.register("a")
    joined_ms = gate.cell.now_ms
    granted = [["fast"], "eu", ["quiet"], ""]
    assert gate.tokens() == {
        "a-1": ["a-1", "a", "approved", *granted, "i", joined_ms, joined_ms, "ann", "192.0.2.1", True]
    }
    ends_ms = joined_ms + 15 * MINUTE_MS
    assert gate.cell.call("list_invites", after="", count=1)["invites"] == [
        ["i", "open", *granted, 0, 2, 1, joined_ms, ends_ms, "ann"]
    ]


def test_lists_are_read_in_pages_that_leave_nothing_out_though_machines_come_meanwhile(gate: Gate) -> None:
    gate.invite("many", uses=20)
    names = [f"m{number:02}" for number in range(12)]
    for name in names:
        gate.join(name, "many")
    seen, after = [], ""
    for page in range(20):
        reply = gate.cell.call("list_tokens", after=after, count=3)
        seen += [entry[1] for entry in reply["tokens"]]
        after = reply["after"]
        if not after:
            break
        gate.shop.later(1)
        gate.register(seen[-1])  # the one that the cursor names moves to the end
        assert page < 19
    assert set(seen) == set(names)
