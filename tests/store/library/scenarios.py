"""One furnished cell, and for every function the calls that matter in it.

In the cell: machines m1 (busy, slots free), m2 (holds an offer), m3 (parked), m4 (draining), m5 (another profile, which names node
classes); jobs in every status; a pause, a fetch in flight, orders, models, candidates, words, an arrival, two documents; an invite, and the
tokens of m6 (approved), m7 (waiting) and m8 (revoked), none of which is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.store.library.rig import LIMITS, Cell

Request = dict[str, Any]
FAST = {
    "key": "lane fast a",
    "class": "class fast",
    "pool": "fast",
    "vram_mb": 8_000,
    "words": ["model:a", "service:s"],
    "fits": [["000001", True]],
    "placements": [["m1", 0, 0], ["m2", 100, 1]],
}
SLOW = FAST | {
    "key": "lane slow b",
    "class": "class slow",
    "pool": "slow",
    "vram_mb": 4_000,
    "words": ["model:b"],
    "placements": [],
}
HEAVY = FAST | {
    "key": "lane heavy",
    "class": "class heavy",
    "pool": "heavy",
    "fits": [["000002", True]],
    "placements": [["m5", 0, 0]],
}


DIGEST = "0123456789abcdef"
A_DOCUMENT = {"kind": "model", "name": "one", "body": '{"size": 1}'}
AN_ORDER = {"id": "o9", "what": "fetch", "model": "d", "body": '{"sources": ["https://x.test/d"]}'}


def a_job(name: str, **changes: Any) -> Request:
    job = {
        "id": name,
        "lane": 1,
        "tenant": "t1",
        "weight": 1,
        "cost": 1,
        "priority": 50,
        "max_attempts": 3,
        "max_recoveries": 5,
        "start_within_ms": 0,
        "finish_within_ms": 0,
        "backoff_base_ms": 1_000,
        "backoff_cap_ms": 60_000,
        "retention_ms": 86_400_000,
        "idempotency_key": "",
        "digest": f"digest-{name}",
        "body": f'{{"prompt": "{name}"}}',
        "decision": '{"pool":"fast"}',
    }
    return job | changes


def a_machine(name: str, **changes: Any) -> Request:
    machine = {
        "machine": name,
        "session": f"{name}-session",
        "profile": "profile one",
        "fits": [],
        "slots": 6,
        "vram_mb": 80_000,
        "holder": "serve-1",
        "description": "{}",
        "words": [f"tag:{name}"],
        "nonce": f"reg-{name}",
    }
    return machine | changes


def of(machine: str, **more: Any) -> Request:
    return {"machine": machine, "session": f"{machine}-session", **more}


@dataclass
class Furnished:
    """The cell and the tokens of the leases in it."""

    cell: Cell
    tokens: dict[str, str]

    def held(self, *names: str, **more: Any) -> list[Request]:
        return [{"id": name, "token": self.tokens[name], **more} for name in names]

    def record(self, name: str) -> list[Any]:
        return self.cell.call("inspect", jobs=[name], bodies=False, results=False)["jobs"][0][1]  # type: ignore[no-any-return]


def furnish(cell: Cell) -> Furnished:
    """Bring a fresh cell into the state that the module's first words describe."""
    call = cell.call
    cell.open()
    call("declare", words=["model:a", "model:b", "service:s"], by="admin", withdraw=False)
    for name in ("m1", "m2", "m3", "m4"):
        call("register_machine", **a_machine(name))
    call("register_machine", **a_machine("m5", profile="profile two", node_set=DIGEST))
    call("register_machine", **a_machine("m0", profile="profile of nobody"))
    call("remove_machine", machine="m0", because="gone", lost=False, nonce="rm0")
    tokens: dict[str, str] = {}
    _jobs_that_ran(cell, tokens)
    _jobs_that_wait(cell)
    _machines_that_wait(cell)
    _machines_that_may_join(cell)
    call("put_documents", documents=[A_DOCUMENT, A_DOCUMENT | {"name": "two"}], by="admin")
    return Furnished(cell, tokens)


def _claim(cell: Cell, machine: str, credits_: int, tokens: dict[str, str], *, park: bool = False) -> None:
    reply = cell.call("claim", **of(machine, credits=credits_, nonce=f"n{cell.now_ms}{machine}", park=park))
    tokens.update({job[0]: job[1] for job in reply["jobs"]})
    cell.now_ms += 1


def _jobs_that_ran(cell: Cell, tokens: dict[str, str]) -> None:
    names = ("done", "dead", "delayed", "run-1", "run-2", "run-3")
    deadlines: dict[str, Request] = {
        "run-3": {"start_within_ms": 5_000, "finish_within_ms": 50_000},
        "done": {"idempotency_key": "key-done"},
    }
    cell.call("submit", nonce="s1", lanes=[FAST], jobs=[a_job(name, **deadlines.get(name, {})) for name in names])
    _claim(cell, "m1", 6, tokens)
    mine = {name: {"id": name, "token": tokens[name]} for name in names}
    cell.call("complete", **of("m1", jobs=[mine["done"] | {"result": '{"ok": true}'}]))
    failure = {"code": "E", "message": "it broke", "jitter": 0.5}
    dead, delayed = mine["dead"] | failure | {"retryable": False}, mine["delayed"] | failure | {"retryable": True}
    cell.call("fail", **of("m1", jobs=[dead, delayed]))


def _jobs_that_wait(cell: Cell) -> None:
    waiting = [a_job("wait-1"), a_job("wait-2", tenant="t2", priority=200, idempotency_key="key-2")]
    waiting += [a_job("wait-3", start_within_ms=70_000, finish_within_ms=90_000), a_job("leaving"), a_job("canceled")]
    cell.call("submit", nonce="s2", lanes=[FAST | {"placements": []}], jobs=waiting)
    cell.call("transfer_out", jobs=[{"id": "leaving", "transfer": "tr-1"}], target="other")
    cell.call("cancel", jobs=["canceled"], because="changed my mind")
    cell.call("pause", scope="pool:slow", because="maintenance", by="admin")
    cell.call("submit", nonce="s3", lanes=[SLOW, HEAVY], jobs=[a_job("paused"), a_job("heavy", lane=2)])
    cell.call("events_committed", epoch=1, event=5)


def _machines_that_wait(cell: Cell) -> None:
    cell.call("models_present", **of("m1", models=[["a", "resident", 4], ["b", "disk", 9]]))
    cell.call("fetch_started", **of("m1", model="c", bytes=5, expected_ms=1_000, copies=1))
    cell.call(
        "order_models",
        machine="m1",
        by="admin",
        orders=[AN_ORDER | {"id": "o1"}, AN_ORDER | {"id": "o2", "what": "evict"}],
    )
    cell.call("set_candidates", nonce="k1", machines=[["m2", []], ["m3", []]])
    cell.call("claim", **of("m3", credits=2, nonce="park-3", park=True))
    cell.call("claim", **of("m2", credits=1, nonce="park-2", park=True))
    offered = FAST | {"key": "lane offered", "class": "class offered", "placements": [["m2", 0, 0]]}
    cell.call("submit", nonce="s4", lanes=[offered], jobs=[a_job("offered", priority=255)])
    cell.call("drain_machine", machine="m4", draining=True, nonce="d4")
    record = cell.call("inspect", jobs=["wait-1"], bodies=False, results=False)["jobs"][0][1]
    moved = {"id": "arrived", "transfer": "tr-in", "record": record, "body": "{}", "lane": FAST | {"placements": []}}
    cell.call("transfer_in", nonce="in", jobs=[moved])


def an_invite(name: str, **changes: Any) -> Request:
    invite = {
        "invite": name,
        "secret": f"{name}-secret",
        "pools": ["fast"],
        "region": "eu",
        "tags": ["quiet"],
        "dedicated_to": "",
        "approval": False,
        "uses": 3,
        "ttl_ms": 900_000,
        "by": "admin",
    }
    return invite | changes


def joining(machine: str, invite: str = "i1", **changes: Any) -> Request:
    wanted = {
        "invite": invite,
        "invite_secret": f"{invite}-secret",
        "token": f"{machine}-token",
        "secret": f"{machine}-secret",
        "machine": machine,
        "about": "192.0.2.1",
    }
    return wanted | changes


def _machines_that_may_join(cell: Cell) -> None:
    cell.call("invite", **an_invite("i1"))
    cell.call("invite", **an_invite("i2", approval=True))
    for machine, invite in (("m6", "i1"), ("m7", "i2"), ("m8", "i1")):
        cell.call("redeem", **joining(machine, invite))
    cell.call("revoke", what="token", name="m8-token", because="lies", by="admin", nonce="rv")


@dataclass(frozen=True)
class Scenario:
    """A call in the furnished cell, `later_ms` after it was furnished."""

    function: str
    title: str
    request: Callable[[Furnished], Request]
    later_ms: int = 0
    fresh: bool = False
    before: Callable[[Furnished], object] | None = None

    def __str__(self) -> str:
        return f"{self.function}-{self.title.replace(' ', '-')}"

    def prepare(self, cell: Cell) -> Furnished:
        furnished = Furnished(cell, {}) if self.fresh else furnish(cell)
        if self.before:
            self.before(furnished)
        cell.now_ms += self.later_ms
        return furnished


ALL_JOBS = ["run-1", "offered", "wait-1", "delayed", "dead", "done", "canceled", "leaving", "paused", "heavy", "nobody"]


def _commit_events(furnished: Furnished) -> None:
    latest = furnished.cell.call("statistics", lanes=0, after="")["counts"]["event"]
    furnished.cell.call("events_committed", epoch=1, event=latest)


DAY_MS = 86_400_000
FAILURE = {"code": "E", "message": "broke", "jitter": 0.25}
OPEN = {"clock": "virtual", "server": "here", "limits": LIMITS, "configure": False}
A_HISTORY = {"history": "h1", "place": "sqlite:////history.db", "host": "a-host", "take": False}
TROUBLE = {"history": "h1", "code": "NS_HISTORY_GONE", "sentence": "it is gone"}
THE_NODES = of("m5", node_set=DIGEST, packed="packed")
NEW_LANE = FAST | {"key": "lane new", "class": "class new", "placements": [["m3", 0, 0], ["m1", 9, 0]]}
CHOICES = [["000001", 0, 0], ["00ffff", 5, 1]]


def _bound(furnished: Furnished) -> None:
    furnished.cell.call("bind_history", **A_HISTORY)


def _in_trouble(furnished: Furnished) -> None:
    _bound(furnished)
    furnished.cell.call("history_trouble", **TROUBLE)


REPORT = '{"running_s":2.5}'


def _done(furnished: Furnished, *names: str) -> list[Request]:
    return furnished.held(*names, result='{"x": 1}', report=REPORT)


def _moved(furnished: Furnished) -> list[Request]:
    record = furnished.record("wait-3")
    known = {"transfer": "tr-in", "record": record, "body": "{}", "decision": "{}", "lane": FAST}
    fresh = {"id": "m-new", "transfer": "tr-2", "record": record, "body": "{}", "decision": "{}", "lane": NEW_LANE}
    return [fresh, known | {"id": "arrived"}, known | {"id": "wait-1", "transfer": "tr-9"}]


def _at_work_by_a_token(furnished: Furnished) -> None:
    call = furnished.cell.call
    call("register_machine", **a_machine("m6", admitted_by="m6-token"))
    call("claim", **of("m6", credits=2, nonce="c6", park=True, candidates=CHOICES))


def _told(furnished: Furnished) -> None:
    furnished.cell.call("tell_node_set", **THE_NODES)


def _gone(machine: str) -> Request:
    return {"machine": machine, "because": "gone", "lost": False, "nonce": "rm"}


SCENARIOS: list[Scenario] = [
    Scenario(
        "transfer_abort",
        "taken back",
        lambda f: {
            "nonce": "ta",
            "jobs": [
                {"id": "leaving", "transfer": "tr-1", "because": "refused"},
                {"id": "wait-1", "transfer": "tr-1", "because": "refused"},
            ],
        },
    ),
    Scenario("transfer_settled", "forgotten", lambda f: {"jobs": [{"id": "arrived", "transfer": "tr-in"}]}),
    Scenario("open_cell", "made", lambda f: OPEN, fresh=True),
    Scenario("open_cell", "joined", lambda f: OPEN),
    Scenario("open_cell", "made with an id", lambda f: OPEN | {"id": "c1"}, fresh=True),
    Scenario("open_cell", "given an id", lambda f: OPEN | {"id": "c1"}),
    Scenario("open_cell", "on another server", lambda f: OPEN | {"server": "there", "configure": True}),
    Scenario("declare", "words", lambda f: {"words": ["model:x", "tag:y"], "by": "me", "withdraw": False}),
    Scenario("declare", "withdrawn", lambda f: {"words": ["model:b"], "by": "me", "withdraw": True}),
    Scenario("register_machine", "new", lambda f: a_machine("m9", profile="profile three", fits=[["000001", True]])),
    Scenario("register_machine", "again", lambda f: a_machine("m1", slots=3)),
    Scenario("register_machine", "restarted", lambda f: a_machine("m1", session="m1-session-2", profile="profile two")),
    Scenario("register_machine", "by a token", lambda f: a_machine("m6", admitted_by="m6-token", facts='{"gpu":"L4"}')),
    Scenario(
        "update_machine", "all fields", lambda f: of("m1", slots=9, vram_mb=1, holder="serve-2", description='{"a": 1}')
    ),
    Scenario("remove_machine", "lost", lambda f: {"machine": "m1", "because": "gone", "lost": True, "nonce": "rm"}),
    Scenario("remove_machine", "parked", lambda f: {"machine": "m3", "because": "gone", "lost": False, "nonce": "rm"}),
    Scenario("suspect_machine", "parked", lambda f: of("m3", holder="serve-1", grace_ms=1_000)),
    Scenario("drain_machine", "with an offer", lambda f: {"machine": "m2", "draining": True, "nonce": "dr"}),
    Scenario("drain_machine", "parked", lambda f: {"machine": "m3", "draining": True, "nonce": "dr"}),
    Scenario("drain_machine", "ended", lambda f: {"machine": "m4", "draining": False, "nonce": "dr"}),
    Scenario("register_machine", "names node classes", lambda f: a_machine("m9", profile="profile x", node_set=DIGEST)),
    Scenario(
        "register_machine",
        "names known node classes",
        lambda f: a_machine("m9", profile="profile x", node_set=DIGEST),
        before=_told,
    ),
    Scenario("tell_node_set", "new", lambda f: THE_NODES),
    Scenario("tell_node_set", "known", lambda f: THE_NODES, before=_told),
    Scenario(
        "tick",
        "node classes are forgotten with the last profile that names them",
        lambda f: {"nonce": "ti", "budget": 500},
        later_ms=8 * DAY_MS,
        before=_told,
    ),
    Scenario("models_present", "changed", lambda f: of("m1", models=[["b", "resident", 9], ["z", "disk", 1]])),
    Scenario("models_present", "the same", lambda f: of("m1", models=[["a", "resident", 4], ["b", "disk", 9]])),
    Scenario("models_present", "none", lambda f: of("m1", models=[])),
    Scenario("fetch_started", "new", lambda f: of("m2", model="d", bytes=5, expected_ms=9, copies=1)),
    Scenario("fetch_started", "second copy", lambda f: of("m2", model="c", bytes=5, expected_ms=9, copies=2)),
    Scenario("fetch_ended", "done", lambda f: of("m1", model="c", outcome="fetched")),
    Scenario(
        "order_models",
        "new and known",
        lambda f: {
            "machine": "m1",
            "by": "me",
            "orders": [AN_ORDER, AN_ORDER | {"id": "o1"}, AN_ORDER | {"model": "z"}],
        },
    ),
    Scenario("pending_orders", "two", lambda f: {"machine": "m1"}),
    Scenario("order_ended", "done", lambda f: of("m1", order="o1", outcome="done", code="", message="")),
    Scenario("order_ended", "failed", lambda f: of("m1", order="o2", outcome="failed", code="NS_X", message="no")),
    Scenario(
        "set_candidates",
        "parked looks",
        lambda f: {"nonce": "sc", "machines": [["m3", CHOICES], ["m1", CHOICES], ["gone", []]]},
    ),
    Scenario(
        "decide_fits",
        "two",
        lambda f: {"fits": [["000002", "000001", True], ["000002", "000002", False], ["000009", "1", True]]},
    ),
    Scenario("submit", "one", lambda f: {"nonce": "su", "lanes": [FAST], "jobs": [a_job("new")]}),
    Scenario(
        "submit",
        "new lane handed over",
        lambda f: {
            "nonce": "su",
            "lanes": [NEW_LANE, SLOW],
            "jobs": [
                a_job("n1", tenant="t3", start_within_ms=9, finish_within_ms=99, idempotency_key="k"),
                a_job("n2", lane=2),
            ],
        },
    ),
    Scenario(
        "submit",
        "known",
        lambda f: {
            "nonce": "su",
            "lanes": [FAST],
            "jobs": [a_job("done", idempotency_key="key-done"), a_job("wait-1")],
        },
    ),
    Scenario("claim", "takes", lambda f: of("m1", credits=4, nonce="cl", park=True)),
    Scenario("claim", "accepts an offer", lambda f: of("m2", credits=2, nonce="cl", park=True), later_ms=50),
    Scenario("claim", "with candidates", lambda f: of("m3", credits=6, nonce="cl", park=True, candidates=CHOICES)),
    Scenario("claim", "overdue", lambda f: of("m2", credits=6, nonce="cl", park=True), later_ms=65_000),
    Scenario(
        "claim",
        "waits for ready after",
        lambda f: of("m3", credits=6, nonce="cl", park=True, candidates=[["000001", 5_000, 0]]),
    ),
    Scenario(
        "claim",
        "repeated",
        lambda f: of("m1", credits=4, nonce="cl", park=True),
        before=lambda f: f.cell.call("claim", **of("m1", credits=4, nonce="cl", park=True)),
    ),
    Scenario(
        "complete",
        "two",
        lambda f: of("m1", jobs=[*_done(f, "run-1", "run-3", "done"), {"id": "no", "token": "x", "result": ""}]),
    ),
    Scenario(
        "complete_and_claim",
        "busy machine",
        lambda f: of("m1", jobs=_done(f, "run-1", "run-2"), credits=6, nonce="cc", park=True, candidates=CHOICES),
    ),
    Scenario("complete_and_claim", "offer", lambda f: of("m2", jobs=[], credits=3, nonce="cc", park=True)),
    Scenario(
        "fail",
        "both ways",
        lambda f: of(
            "m1",
            jobs=[
                *f.held("run-1", **FAILURE, retryable=True, report=REPORT),
                *f.held("run-3", "dead", **FAILURE, retryable=False),
            ],
        ),
    ),
    Scenario(
        "release",
        "two",
        lambda f: of("m1", nonce="re", because="shutdown", jobs=f.held("run-1", "run-3", "dead", report=REPORT)),
    ),
    Scenario("renew", "one of three", lambda f: of("m1", jobs=f.held("run-1", "done")), later_ms=1_000),
    Scenario("cancel", "every status", lambda f: {"jobs": ALL_JOBS, "because": "no longer wanted"}),
    Scenario("reprioritise", "every status", lambda f: {"jobs": ALL_JOBS, "priority": 240}),
    Scenario(
        "replay",
        "a dead one",
        lambda f: {"nonce": "rp", "jobs": [{"id": "dead", "lane": FAST}, {"id": "done", "lane": FAST}]},
    ),
    Scenario("replay", "its lane is gone", lambda f: {"nonce": "rp", "jobs": [{"id": "dead", "lane": NEW_LANE}]}),
    Scenario(
        "transfer_out",
        "every status",
        lambda f: {"target": "other", "jobs": [{"id": n, "transfer": f"t-{n}"} for n in ALL_JOBS]},
    ),
    Scenario(
        "reroute",
        "every status",
        lambda f: {
            "nonce": "rr",
            "because": "nobody there",
            "lanes": [NEW_LANE, SLOW],
            "jobs": [
                {"id": name, "from": f.record(name)[1] if name != "nobody" else "000001", "lane": 1, "decision": "{}"}
                for name in ALL_JOBS
            ]
            + [{"id": "paused", "from": "00ffff", "lane": 2}],
        },
    ),
    Scenario("transfer_in", "three", lambda f: {"nonce": "ti", "jobs": _moved(f)}),
    Scenario(
        "transfer_done",
        "one",
        lambda f: {"jobs": [{"id": "leaving", "transfer": "tr-1"}, {"id": "wait-1", "transfer": "no"}]},
    ),
    Scenario("tick", "offers lapse", lambda f: {"nonce": "ti", "budget": 500}, later_ms=2_500),
    Scenario("tick", "leases and machines lapse", lambda f: {"nonce": "ti", "budget": 500}, later_ms=45_000),
    Scenario(
        "tick",
        "everything is due",
        lambda f: {"nonce": "ti", "budget": 500},
        later_ms=40 * DAY_MS,
        before=_commit_events,
    ),
    Scenario("tick", "a profile is forgotten", lambda f: {"nonce": "ti", "budget": 500}, later_ms=8 * DAY_MS),
    Scenario("tick", "history is behind", lambda f: {"nonce": "ti", "budget": 3}, later_ms=8 * DAY_MS),
    Scenario("pause", "the cell", lambda f: {"scope": "cell", "because": "x", "by": "me"}),
    Scenario("pause", "known", lambda f: {"scope": "pool:slow", "because": "x", "by": "me"}),
    Scenario("resume", "the pool", lambda f: {"scope": "pool:slow", "by": "me"}),
    Scenario("resume", "not paused", lambda f: {"scope": "pool:other", "by": "me"}),
    Scenario("outage", "a minute", lambda f: {"gap_ms": 60_000}),
    Scenario("events_committed", "all", lambda f: {"epoch": 1, "event": 9}),
    Scenario("events_committed", "again", lambda f: {"epoch": 1, "event": 5}),
    Scenario("events_committed", "by name", lambda f: {"epoch": 1, "event": 6, "history": "h1"}, before=_bound),
    Scenario("bind_history", "first", lambda f: A_HISTORY),
    Scenario("bind_history", "again", lambda f: A_HISTORY | {"place": "moved"}, before=_bound),
    Scenario("bind_history", "taken", lambda f: A_HISTORY | {"history": "h2", "take": True}, before=_bound),
    Scenario("history_trouble", "noted", lambda f: TROUBLE, before=_bound),
    Scenario("history_trouble", "over", lambda f: TROUBLE | {"code": "", "sentence": ""}, before=_in_trouble),
    Scenario("history_trouble", "of no history", lambda f: TROUBLE),
    Scenario("inspect", "all", lambda f: {"jobs": ALL_JOBS, "bodies": True, "results": True}),
    *(
        Scenario("list_jobs", index, lambda f, index=index: {"index": index, "after": "", "count": 2})  # type: ignore[misc]
        for index in ("waiting", "leases", "delayed", "dead", "finished")
    ),
    Scenario("list_jobs", "further page", lambda f: {"index": "leases", "after": "1 run-1", "count": 2}),
    Scenario("invite", "new", lambda f: an_invite("i9")),
    Scenario("invite", "again", lambda f: an_invite("i1")),
    Scenario("look_at_invite", "known", lambda f: {"invite": "i1", "secret": an_invite("i1")["secret"]}),
    Scenario("look_at_invite", "of another secret", lambda f: {"invite": "i1", "secret": "guessed"}),
    Scenario("redeem", "joins", lambda f: joining("m9")),
    Scenario("redeem", "waits", lambda f: joining("m9", "i2")),
    Scenario("redeem", "again", lambda f: joining("m6")),
    Scenario("redeem", "the name of a revoked one", lambda f: joining("m8", token="m8-token-2")),
    Scenario("authenticate", "approved", lambda f: {"token": "m6-token", "secret": "m6-secret", "machine": "m6"}),
    Scenario("authenticate", "waiting", lambda f: {"token": "m7-token", "secret": "m7-secret", "machine": ""}),
    Scenario("approve", "one that waits", lambda f: {"machine": "m7", "by": "me"}),
    Scenario("approve", "known", lambda f: {"machine": "m6", "by": "me"}),
    Scenario(
        "revoke", "away", lambda f: {"what": "token", "name": "m6-token", "because": "x", "by": "me", "nonce": "rv"}
    ),
    Scenario(
        "revoke",
        "at work",
        lambda f: {"what": "machine", "name": "m6", "because": "x", "by": "me", "nonce": "rv"},
        before=_at_work_by_a_token,
    ),
    Scenario("revoke", "known", lambda f: {"what": "machine", "name": "m8", "because": "x", "by": "me", "nonce": "rv"}),
    Scenario("revoke_invite", "open", lambda f: {"invite": "i1", "by": "me"}),
    Scenario(
        "rotate",
        "new secret",
        lambda f: {"token": "m6-token", "secret": "m6-secret", "replacement": "m6-secret-2", "grace_ms": 60_000},
    ),
    Scenario(
        "rotate",
        "again",
        lambda f: {"token": "m6-token", "secret": "m6-secret", "replacement": "m6-secret-2", "grace_ms": 60_000},
        before=lambda f: f.cell.call(
            "rotate", token="m6-token", secret="m6-secret", replacement="m6-secret-2", grace_ms=60_000
        ),
    ),
    Scenario("remove_machine", "with a token", lambda f: _gone("m6"), before=_at_work_by_a_token),
    Scenario("list_tokens", "two", lambda f: {"after": "", "count": 2}),
    Scenario("list_invites", "all", lambda f: {"after": "", "count": 500}),
    Scenario(
        "put_documents",
        "new, changed and the same",
        lambda f: {
            "by": "me",
            "documents": [
                A_DOCUMENT | {"name": "new", "expected": 0},
                A_DOCUMENT | {"body": "[]", "expected": 1},
                A_DOCUMENT | {"name": "two", "expected": 9},
            ],
        },
    ),
    Scenario("put_documents", "the same", lambda f: {"by": "me", "documents": [A_DOCUMENT]}),
    Scenario(
        "drop_documents",
        "one of two",
        lambda f: {
            "by": "me",
            "documents": [{"kind": "model", "name": "one", "expected": 1}, {"kind": "pools", "name": "one"}],
        },
    ),
    Scenario("drop_documents", "unknown", lambda f: {"by": "me", "documents": [{"kind": "model", "name": "none"}]}),
    Scenario("statistics", "with lanes", lambda f: {"lanes": 500, "after": ""}),
]
