"""Random operations on two cells, each step held against the reference model.

A rule draws one seed and makes its request from it: that is quick, and a failing run still shrinks, by leaving steps out.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from tests.store.queue.books import Books, audit
from tests.store.queue.builders import a_job, a_machine
from tests.store.queue.calls import LIMITS, NOON_MS, Cell, Refused, Reply, Server
from tests.store.queue.expected_time import ExpectedTime
from tests.store.queue.reference import LEAVING, Job, Lane, Machine, Refusal, Trace

PROFILES = {"small": 8_000, "big": 24_000}
LANES = (
    ("sdxl/light", "light", "fast", 0),
    ("flux/light", "light", "fast", 0),
    ("sdxl/medium", "medium", "fast", 8_000),
    ("flux/medium", "medium", "fast", 8_000),
    ("wan/large", "large", "heavy", 16_000),
    ("any/heavy", "heavy", "heavy", 0),
)
WORDS = ["model:sdxl", "model:flux", "model:wan", "model:any"]
MACHINES = ("m1", "m2", "m3", "m4")
TENANTS = (("ann", 1), ("bob", 1), ("cyd", 4))
READY_AFTER_MS = (0, 0, 0, 0, 700, 4_000, 30_000)
AUDIT_EVERY = 6

seeds = st.integers(0, 2**24 - 1)


@dataclass
class Journey:
    """One transfer as its driver knows it; any step of it may be repeated at any time."""

    source: int
    target: int
    transfer: str
    moved: Reply
    luggage: Job
    arrived: bool = False
    refused: bool = False


class Watched(ExpectedTime):
    """The model of one cell, which asks the cell only for the ids that it gave to new lanes and classes."""

    def __init__(self, cell: Cell, limits: dict[str, int]) -> None:
        super().__init__(limits)
        self.cell, self.luggage, self.steps = cell, {}, 0

    def name_of_kind(self, key: str) -> str:
        return self._named("classes", key)

    def name_of_lane(self, key: str) -> str:
        return self._named("lanes", key)

    def _named(self, table: str, key: str) -> str:
        text: bytes = self.cell.node.execute_command("HGET", self.cell.keys[table], "k" + key)
        assert text, f"{table} must name {key}"
        return text.decode()

    def audit(self) -> None:
        audit(Books(self.cell), self)


class Steps(RuleBasedStateMachine):
    """How one operation is done: in the cell, in the model, and compared."""

    server: ClassVar[Server]
    operations: ClassVar[int] = 0
    slots: ClassVar[set[int]] = set()

    def __init__(self) -> None:
        super().__init__()
        self.now_ms, self.names, self.broken = NOON_MS, 0, False
        self.cells: list[Watched] = []
        self.journeys: list[Journey] = []
        self.tokens: list[list[tuple[str, str]]] = [[], []]  # job, token
        self.latest: list[dict[str, Reply]] = [{}, {}]

    @initialize(seed=seeds)
    def open(self, seed: int) -> None:
        rng = random.Random(seed)
        limits = LIMITS | {
            "lease_ms": rng.choice([4_000, 10_000]),
            "offer_ms": rng.choice([500, 2_000]),
            "overdue_ms": rng.choice([1, 6_000, 20_000]),
            "alive_ms": rng.choice([3_000, 60_000, 900_000, 900_000]),
            "lane_ttl_ms": rng.choice([1, 8_000]),
            "dead_retention_ms": rng.choice([5_000, 60_000]),
            "max_jobs": rng.choice([12, 40]),
            "max_tenant_jobs": rng.choice([5, 20]),
            "max_events": rng.choice([150, 100_000]),
            "max_lanes": rng.choice([4, 100]),
            "max_machines": rng.choice([3, 100]),
            "max_body_bytes": 40,
        }
        for side in (0, 1):
            model = Watched(Cell(self.server), limits)
            model.cell.open(limits)
            self.cells.append(model)
            type(self).slots.add(self.server.slot_of(model.cell.keys["meta"]))
            self.step(side, "declare", words=WORDS, by="test", withdraw=False)
            self.register(side, rng, MACHINES[0], "big", slots=6)
            self.register(side, rng, MACHINES[1], "small", slots=6)

    def teardown(self) -> None:
        try:
            if self.cells and not self.broken:
                for model in self.cells:
                    model.audit()
                self.every_job_comes_to_an_end()
        finally:
            for model in self.cells:
                model.cell.erase()

    def every_job_comes_to_an_end(self) -> None:
        raise NotImplementedError

    def step(self, side: int, function: str, **request: Any) -> Reply | None:
        """Do it; None when it was refused, as the model had to expect."""
        model = self.cells[side]
        type(self).operations += 1
        self.broken = True
        before, model.cell.now_ms = model.now, self.now_ms
        answer, events = model.cell.call_and_read(function, request)
        if function != "open_cell":
            model.now = max(model.now, self.now_ms)
        trace = Trace(model, events)
        if isinstance(answer, Refused):
            model.now = before
            self._must_refuse(model, function, request, answer)
            trace.must_be_empty()
            self.broken = False
            return None
        try:
            getattr(model, function)(request, trace, answer)
            model.expect_handed_over(events)
        except Refusal as refusal:
            raise AssertionError(f"{function} must be refused with {refusal.code}: {request}") from None
        except AssertionError as broken:
            broken.add_note(f"{function} at {self.now_ms} ms: {request}\nanswered {answer}\nwith {events}")
            raise
        trace.must_be_empty()
        model.note_who_is_held_up()
        for event in events:
            if event.kind in {"job.started", "job.offered"}:
                self.tokens[side].append((event.subject, event.data["token"]))
        if function in {"statistics", "pending_orders"}:
            model.now = before
        model.steps += 1
        if model.steps % AUDIT_EVERY == 0:
            model.audit()
        self.broken = False
        return answer

    def _must_refuse(self, model: Watched, function: str, request: Reply, answer: Refused) -> None:
        expected = "nothing"
        try:
            getattr(copy.deepcopy(model, {id(model.cell): model.cell}), function)(request, Trace(model, []), {})
        except Refusal as refusal:
            expected = refusal.code
        except (AssertionError, KeyError):
            pass  # it went on as if it had been accepted
        assert answer.code == expected, f"{function} is refused with {answer}, {expected} was expected: {request}"

    # Making requests ---------------------------------------------------------------------------------------------

    def name(self, stem: str) -> str:
        self.names += 1
        return f"{stem}{self.names}"

    def side(self, rng: random.Random) -> int:
        return int(rng.random() < 0.2)

    def register(self, side: int, rng: random.Random, machine: str, profile: str, **changes: Any) -> None:
        model = self.cells[side]
        known = model.machines.get(machine)
        fits = [
            [kind, PROFILES[profile] >= lane[3]]
            for key, kind in sorted(model.kinds.items())
            for lane in LANES
            if lane[1] == key and rng.random() < 0.8
        ]
        session = known.session if known and rng.random() < 0.5 else self.name("s")
        request = a_machine(machine, session=session, profile=profile, fits=fits, vram_mb=PROFILES[profile])
        self.step(side, "register_machine", **request | {"slots": rng.randint(1, 6), "nonce": self.name("n")} | changes)

    def machine(self, side: int, rng: random.Random) -> Machine | None:
        machines = list(self.cells[side].machines.values())
        return rng.choice(machines) if machines else None

    def caller(self, side: int, rng: random.Random) -> Reply:
        """A machine and its session; now and then one that was replaced, or that nobody knows."""
        machine = self.machine(side, rng)
        name = machine.name if machine and rng.random() < 0.98 else rng.choice(MACHINES)
        session = machine.session if machine and machine.name == name and rng.random() < 0.98 else "old"
        return {"machine": name, "session": session}

    def lane(self, side: int, rng: random.Random) -> Reply:
        model, (key, kind, pool, vram_mb) = self.cells[side], rng.choice(LANES)
        fits = [[p, PROFILES[name] >= vram_mb] for name, p in sorted(model.profiles.items()) if rng.random() < 0.9]
        placements = [[name, rng.choice(READY_AFTER_MS), rng.randint(0, 3)] for name in MACHINES if rng.random() < 0.7]
        words = ["model:" + key.partition("/")[0]]
        return {
            "key": key,
            "class": kind,
            "pool": pool,
            "vram_mb": vram_mb,
            "words": words,
            "fits": fits,
            "placements": placements,
        }

    def job(self, side: int, rng: random.Random, lanes: int) -> Reply:
        model = self.cells[side]
        tenant, weight = rng.choice(TENANTS)
        key = rng.choice(["", "", "", "k1", "k2"])
        name = self.name("j")
        if model.jobs and rng.random() < 0.06:
            name = rng.choice(list(model.jobs))
        known = model.jobs.get(name)
        return a_job(
            name,
            lane=rng.randint(1, lanes),
            tenant=known.wanted["tenant"] if known else tenant,
            weight=weight,
            cost=rng.choice([1, 5, 60]),
            priority=rng.choice([0, 100, 100, 100, 255]),
            max_attempts=rng.randint(1, 3),
            max_recoveries=rng.randint(0, 2),
            start_within_ms=rng.choice([0] * 7 + [5_000]),
            finish_within_ms=rng.choice([0] * 7 + [15_000]),
            backoff_base_ms=rng.choice([100, 3_000]),
            backoff_cap_ms=5_000,
            retention_ms=rng.choice([1_000, 30_000]),
            idempotency_key=key,
            digest="d" if key and rng.random() < 0.9 else "digest-of-" + name,
            body="{}" if rng.random() < 0.98 else "x" * 41,
        )

    def some_tokens(self, side: int, rng: random.Random, most: int) -> list[tuple[str, str]]:
        """Jobs and tokens: mostly of leases that stand, else of such as may be long over, or never were."""
        leased = [(job.id, job.token) for job in self.cells[side].jobs.values() if job.leased]
        chosen = rng.sample(leased, min(len(leased), rng.randint(1, most)))
        stale = [pair for pair in self.tokens[side][-60:] if pair not in leased]
        held_anew = [pair for pair in stale if any(pair[0] == job for job, _ in leased)]
        if stale and rng.random() < 0.25:
            chosen.append(rng.choice(held_anew or stale))
        if rng.random() < 0.03:
            chosen += [("nobody", "1.n.1"), *chosen[:1]]
        return chosen

    def some_jobs(self, side: int, rng: random.Random, *statuses: str) -> list[str]:
        jobs = [job.id for job in self.cells[side].jobs.values() if not statuses or job.status in statuses]
        chosen = rng.sample(jobs, min(len(jobs), rng.randint(1, 3)))
        return chosen if rng.random() < 0.97 else [*chosen, "nobody"]

    def lane_of_job(self, side: int, rng: random.Random, job_id: str) -> Reply:
        """The lane as the job's submission described it."""
        job = self.cells[side].jobs.get(job_id)
        wanted = self.lane(side, rng)
        return describe(job.lane, wanted) if job else wanted

    def fully_tick(self, side: int) -> None:
        for _ in range(200):
            reply = self.step(side, "tick", nonce=self.name("n"), budget=500)
            assert reply is not None
            if not reply["more"]:
                return
        raise AssertionError("200 ticks did not do what was due")

    def sweep(self, side: int) -> None:
        """What the sweeper of transfers does: every step again, for whatever is on its way."""
        leaving = [job for job in self.cells[side].jobs.values() if job.status == LEAVING]
        for job in leaving:
            journey = self.set_out(side, job.id, self.name("x"))
            assert journey is not None
            self.bring_in(journey)
            self.conclude(journey)

    def set_out(self, side: int, job_id: str, transfer: str) -> Journey | None:
        target = 1 - side
        jobs = [{"id": job_id, "transfer": transfer}]
        reply = self.step(side, "transfer_out", jobs=jobs, target=self.cells[target].cell.name)
        assert reply is not None
        if reply["jobs"][0][1] != "ok":
            return None
        _, _, transfer, record, body, _ = reply["jobs"][0]
        job = self.cells[side].jobs[job_id]
        lane = describe(job.lane, self.lane(target, random.Random(self.names)))
        moved = {"id": job_id, "transfer": transfer, "record": record, "body": body, "lane": lane}
        return Journey(side, target, transfer, moved, copy.copy(job))

    def bring_in(self, journey: Journey) -> None:
        self.cells[journey.target].luggage[journey.moved["id"]] = journey.luggage
        reply = self.step(journey.target, "transfer_in", nonce=self.name("n"), jobs=[journey.moved])
        if reply is not None:
            journey.arrived = reply["jobs"][0][1] in {"ok", "replayed"}
            journey.refused = not journey.arrived

    def conclude(self, journey: Journey) -> None:
        jobs = [{"id": journey.moved["id"], "transfer": journey.transfer}]
        if journey.arrived:
            self.step(journey.source, "transfer_done", jobs=jobs)
        elif journey.refused:
            jobs = [jobs[0] | {"because": "refused"}]
            self.step(journey.source, "transfer_abort", nonce=self.name("n"), jobs=jobs)


def describe(lane: Lane, wanted: Reply) -> Reply:
    """`wanted`, but for this lane; its placements stay, and no fit is said, since they were for another class."""
    words = ["model:" + lane.key.partition("/")[0]]
    changes = {
        "key": lane.key,
        "class": lane.kind,
        "pool": lane.pool,
        "vram_mb": lane.vram_mb,
        "words": words,
        "fits": [],
    }
    return wanted | changes
