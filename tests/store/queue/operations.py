"""The operations of the state machine: whatever a client, a machine, a policy, an operator or time itself may do."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.store.queue.calls import Reply
from tests.store.queue.reference import FINISHED, LEAVING, RUNNING
from tests.store.queue.state_machine import LANES, MACHINES, PROFILES, READY_AFTER_MS, WORDS, Steps, seeds

JUMPS_MS = (1, 250, 250, 700, 700, 1_000, 1_000, 2_100, 5_000, 13_000, 45_000, -30_000)
#: What every run took; its event repeats it word by word.
REPORT = '{"running_s":1.5}'

#: How often each operation is drawn, so that most of them meet a cell in which there is something to do.
WEIGHTS = {
    "submit": 10,
    "submit_several": 12,
    "submit_the_same_again": 1,
    "cancel": 2,
    "reprioritise": 2,
    "replay_dead_letters": 2,
    "reroute": 3,
    "claim": 5,
    "claim_and_park": 8,
    "claim_with_the_same_nonce_again": 2,
    "parked_machines_claim_again": 3,
    "complete": 5,
    "complete_and_claim": 8,
    "fail": 6,
    "release": 3,
    "renew": 2,
    "every_machine_renews": 5,
    "time_goes_on_or_a_clock_is_set_back": 3,
    "time_goes_on_until_something_is_due": 6,
    "tick_when_something_is_due": 6,
    "tick": 3,
    "tick_after_a_while": 3,
    "tick_a_little": 2,
    "outage": 1,
    "register_a_machine": 4,
    "lose_or_remove_a_machine": 1,
    "drain": 1,
    "update_a_machine": 1,
    "set_candidates": 4,
    "decide_fits": 2,
    "models_and_fetches": 2,
    "orders": 2,
    "pause": 1,
    "resume": 3,
    "declare": 1,
    "history_is_written": 2,
    "history_is_bound": 1,
    "join_the_cell": 1,
    "look_at_the_numbers": 1,
    "transfer_and_crash_after_some_steps": 2,
    "repeat_a_step_of_some_transfer": 2,
    "sweep_transfers": 1,
}
OPERATIONS = [name for name, weight in WEIGHTS.items() for _ in range(weight)]


class QueueMachine(Steps):
    """Two cells, four machines in each, three tenants, six lanes; and everybody at once."""

    @rule(what=st.sampled_from(OPERATIONS), seed=seeds)
    def do(self, what: str, seed: int) -> None:
        getattr(self, what)(random.Random(seed))

    # Time --------------------------------------------------------------------------------------------------------

    def time_goes_on_or_a_clock_is_set_back(self, rng: random.Random) -> None:
        self.now_ms += rng.choice(JUMPS_MS)

    def time_goes_on_until_something_is_due(self, rng: random.Random) -> None:
        """To the very millisecond, or to the one before it."""
        if times := [at_ms for at_ms in self.cells[self.side(rng)].due_times() if at_ms > self.now_ms]:
            self.now_ms = rng.choice(sorted(times)[:6]) - int(rng.random() < 0.2)

    def tick_when_something_is_due(self, rng: random.Random) -> None:
        self.time_goes_on_until_something_is_due(rng)
        self.fully_tick(self.side(rng))

    def tick(self, rng: random.Random) -> None:
        self.fully_tick(self.side(rng))

    def tick_after_a_while(self, rng: random.Random) -> None:
        self.now_ms += rng.choice([500, 2_100, 7_000])
        self.fully_tick(self.side(rng))

    def tick_a_little(self, rng: random.Random) -> None:
        side = self.side(rng)
        model = self.cells[side]
        model.now = max(model.now, self.now_ms)
        if model.something_to_forget():
            self.fully_tick(side)
        else:
            self.step(side, "tick", nonce=self.name("n"), budget=rng.randint(1, 3))

    def outage(self, rng: random.Random) -> None:
        gap_ms = rng.choice([100, 9_000, 60_000])
        self.now_ms += gap_ms
        self.step(self.side(rng), "outage", gap_ms=gap_ms)

    # Clients -----------------------------------------------------------------------------------------------------

    def submit(self, rng: random.Random) -> None:
        self._submit(rng, 1)

    def submit_several(self, rng: random.Random) -> None:
        self._submit(rng, rng.randint(2, 6))

    def _submit(self, rng: random.Random, count: int) -> None:
        side = self.side(rng)
        lanes = [self.lane(side, rng) for _ in range(rng.randint(1, 3))]
        jobs = [self.job(side, rng, len(lanes)) for _ in range(count)]
        if rng.random() < 0.05:
            jobs.append(jobs[0])
        self.latest[side]["submit"] = request = {"lanes": lanes, "jobs": jobs}
        self.step(side, "submit", nonce=self.name("n"), **request)

    def submit_the_same_again(self, rng: random.Random) -> None:
        side = self.side(rng)
        if request := self.latest[side].get("submit"):
            self.step(side, "submit", nonce=self.name("n"), **request)

    def cancel(self, rng: random.Random) -> None:
        side = self.side(rng)
        if jobs := self.some_jobs(side, rng):
            self.step(side, "cancel", jobs=jobs, because="by user")

    def reprioritise(self, rng: random.Random) -> None:
        side = self.side(rng)
        statuses = ["queued", "delayed"] if rng.random() < 0.8 else []
        if jobs := self.some_jobs(side, rng, *statuses):
            self.step(side, "reprioritise", jobs=jobs, priority=rng.choice([0, 100, 255]))

    def replay_dead_letters(self, rng: random.Random) -> None:
        side = self.side(rng)
        jobs = self.some_jobs(side, rng, *(["failed"] if rng.random() < 0.8 else []))
        if wanted := [{"id": job, "lane": self.lane_of_job(side, rng, job)} for job in jobs]:
            self.step(side, "replay", nonce=self.name("n"), jobs=wanted)

    def reroute(self, rng: random.Random) -> None:
        side = self.side(rng)
        jobs = self.some_jobs(side, rng, *(["queued", "delayed"] if rng.random() < 0.9 else []))
        lanes = [self.lane(side, rng) for _ in range(rng.randint(1, 2))]
        known = self.cells[side].jobs
        wanted = [
            {
                "id": job,
                "from": known[job].lane.id if job in known and rng.random() < 0.9 else "000000",
                "lane": rng.randint(1, len(lanes)),
                "decision": "{}" * rng.randint(0, 1),
            }
            for job in jobs
        ]
        if wanted:
            self.step(side, "reroute", nonce=self.name("n"), because="a better pool", lanes=lanes, jobs=wanted)

    # Machines at work --------------------------------------------------------------------------------------------

    def _claim(self, side: int, rng: random.Random, **changes: Any) -> Reply:
        request = self.caller(side, rng)
        request |= {"credits": rng.choice([0, 1, 2, 2, 5, 5]), "nonce": self.name("n"), "park": rng.random() < 0.7}
        if rng.random() < 0.15:
            request["candidates"] = self._candidates(side, rng, request["machine"])
        self.latest[side]["claim"] = request = request | changes
        return request

    def _candidates(self, side: int, rng: random.Random, name: str) -> list[list[Any]]:
        model = self.cells[side]
        machine = model.machines.get(name)
        lanes = [
            lane for lane in model.lanes.values() if machine and (model.serves(machine, lane) or rng.random() < 0.02)
        ]
        chosen = rng.sample(lanes, rng.randint(0, len(lanes)))
        return [[lane.id, rng.choice(READY_AFTER_MS), rng.randint(0, 3)] for lane in chosen]

    def claim(self, rng: random.Random) -> None:
        side = self.side(rng)
        self.step(side, "claim", **self._claim(side, rng))

    def claim_and_park(self, rng: random.Random) -> None:
        side = self.side(rng)
        self.step(side, "claim", **self._claim(side, rng, park=True, credits=rng.randint(1, 5)))

    def claim_with_the_same_nonce_again(self, rng: random.Random) -> None:
        side = self.side(rng)
        if request := self.latest[side].get("claim"):
            self.step(side, "claim", **{name: value for name, value in request.items() if name != "candidates"})

    def parked_machines_claim_again(self, rng: random.Random) -> None:
        """What each holder does every second: after it nobody stands beside work."""
        side = self.side(rng)
        model = self.cells[side]
        for machine in [machine for machine in model.machines.values() if machine.parked]:
            request = {"machine": machine.name, "session": machine.session, "credits": machine.wants, "park": True}
            self.step(side, "claim", nonce=self.name("n"), **request)
            choice = model.next_for(machine)
            assert machine.wants is None or choice.none_is_right, f"{machine.name} is parked beside {choice.jobs}"

    def _done(self, side: int, rng: random.Random) -> list[Reply]:
        tokens = self.some_tokens(side, rng, 3)
        result = "{}" if rng.random() < 0.97 else "x" * 41
        return [{"id": job, "token": token, "result": result, "report": REPORT} for job, token in tokens]

    def complete(self, rng: random.Random) -> None:
        side = self.side(rng)
        if done := self._done(side, rng):
            self.step(side, "complete", **self.caller(side, rng), jobs=done)

    def complete_and_claim(self, rng: random.Random) -> None:
        side = self.side(rng)
        request = self._claim(side, rng)
        self.step(side, "complete_and_claim", **request, jobs=self._done(side, rng))

    def fail(self, rng: random.Random) -> None:
        side = self.side(rng)
        tokens = self.some_tokens(side, rng, 2)
        failure = {
            "code": "BOOM",
            "message": "it broke",
            "retryable": rng.random() < 0.7,
            "jitter": rng.choice([0.0, 0.5, 0.999]),
            "report": REPORT,
        }
        if jobs := [{"id": job, "token": token} | failure for job, token in tokens]:
            self.step(side, "fail", **self.caller(side, rng), jobs=jobs)

    def release(self, rng: random.Random) -> None:
        side = self.side(rng)
        if jobs := [{"id": job, "token": token, "report": REPORT} for job, token in self.some_tokens(side, rng, 2)]:
            self.step(side, "release", **self.caller(side, rng), nonce=self.name("n"), because="shutdown", jobs=jobs)

    def renew(self, rng: random.Random) -> None:
        side = self.side(rng)
        caller = self.caller(side, rng)
        machine = self.cells[side].machines.get(caller["machine"])
        jobs = [{"id": job.id, "token": job.token} for job in (machine.held.values() if machine else ())]
        if rng.random() < 0.3:
            jobs = jobs[1:] + [{"id": job, "token": token} for job, token in self.some_tokens(side, rng, 1)]
        self.step(side, "renew", **caller, jobs=jobs)

    def every_machine_renews(self, rng: random.Random) -> None:
        side = self.side(rng)
        for machine in list(self.cells[side].machines.values()):
            jobs = [{"id": job.id, "token": job.token} for job in machine.held.values() if job.status == RUNNING]
            self.step(side, "renew", machine=machine.name, session=machine.session, jobs=jobs)

    # Machines come and go ----------------------------------------------------------------------------------------

    def register_a_machine(self, rng: random.Random) -> None:
        machine = rng.choice(MACHINES)
        profile = "big" if machine in MACHINES[:2] or rng.random() < 0.2 else "small"
        self.register(self.side(rng), rng, machine, profile)

    def lose_or_remove_a_machine(self, rng: random.Random) -> None:
        side = self.side(rng)
        name = self.caller(side, rng)["machine"]
        self.step(side, "remove_machine", machine=name, because="gone", lost=rng.random() < 0.5, nonce=self.name("n"))

    def drain(self, rng: random.Random) -> None:
        side, draining = self.side(rng), rng.random() < 0.4
        name = self.caller(side, rng)["machine"]
        self.step(side, "drain_machine", machine=name, draining=draining, nonce=self.name("n"))

    def update_a_machine(self, rng: random.Random) -> None:
        side = self.side(rng)
        changes = {"slots": rng.randint(1, 6), "vram_mb": rng.choice([8_000, 24_000, 24_000])}
        self.step(side, "update_machine", **self.caller(side, rng), **changes)

    # Policy ------------------------------------------------------------------------------------------------------

    def set_candidates(self, rng: random.Random) -> None:
        side = self.side(rng)
        names = rng.sample(MACHINES, rng.randint(1, 4))
        wanted = [[name, self._candidates(side, rng, name)] for name in names]
        self.step(side, "set_candidates", nonce=self.name("n"), machines=wanted)

    def decide_fits(self, rng: random.Random) -> None:
        side = self.side(rng)
        model, needs = self.cells[side], {lane[1]: lane[3] for lane in LANES}
        fits = [
            [profile, kind, PROFILES[name] >= needs[key]]
            for name, profile in sorted(model.profiles.items())
            for key, kind in sorted(model.kinds.items())
        ]
        self.step(side, "decide_fits", fits=[*fits, ["ffffff", "ffffff", True]])

    def models_and_fetches(self, rng: random.Random) -> None:
        side = self.side(rng)
        caller, model = self.caller(side, rng), rng.choice(WORDS).removeprefix("model:")
        what = rng.choice(["models_present", "fetch_started", "fetch_ended"])
        requests: dict[str, Reply] = {
            "models_present": {"models": [[model, "disk", 5]] * rng.randint(0, 1)},
            "fetch_started": {"model": model, "bytes": 5, "expected_ms": 9, "copies": rng.randint(1, 2)},
            "fetch_ended": {"model": model, "outcome": "fetched"},
        }
        self.step(side, what, **caller, **requests[what])

    def orders(self, rng: random.Random) -> None:
        side = self.side(rng)
        caller, model = self.caller(side, rng), rng.choice(WORDS).removeprefix("model:")
        known = [name for machine in self.cells[side].machines.values() for name in machine.orders]
        what = rng.choice(["order_models", "pending_orders", "order_ended"])
        if what == "order_models":
            kind = rng.choice(["fetch", "evict"])
            order = {"id": self.name("o"), "what": kind, "model": model, "body": "{}" * rng.randint(0, 1)}
            self.step(side, what, machine=caller["machine"], by="test", orders=[order] * rng.randint(0, 2))
        elif what == "pending_orders":
            self.step(side, what, **caller)
        else:
            name = rng.choice([*known, "no-such-order"])
            outcome = rng.choice(["done", "failed"])
            self.step(side, what, **caller, order=name, outcome=outcome, code="", message="")

    # Operators ---------------------------------------------------------------------------------------------------

    def pause(self, rng: random.Random) -> None:
        scope = rng.choice(["cell", "pool:fast", "pool:heavy"])
        self.step(self.side(rng), "pause", scope=scope, because="test", by="test")

    def resume(self, rng: random.Random) -> None:
        side = self.side(rng)
        for scope in sorted(self.cells[side].pauses) or ["cell"]:
            self.step(side, "resume", scope=scope, by="test")

    def declare(self, rng: random.Random) -> None:
        withdraw = rng.random() < 0.3
        words = rng.sample(WORDS, 1) if withdraw else WORDS
        self.step(self.side(rng), "declare", words=words, by="test", withdraw=withdraw)

    def history_is_written(self, rng: random.Random) -> None:
        side = self.side(rng)
        model = self.cells[side]
        epoch = max(1, model.epoch - rng.choice([0, 0, 0, 1]))
        event = max(0, model.event - rng.choice([-1, 0, 0, 0, 7]))
        history = model.history if rng.random() < 0.9 else "another"
        self.step(side, "events_committed", epoch=epoch, event=event, history=history)

    def history_is_bound(self, rng: random.Random) -> None:
        history = rng.choice(["h1", "h1", "h2"])
        take = rng.random() < 0.3
        self.step(self.side(rng), "bind_history", history=history, place=f"place of {history}", host="here", take=take)

    def join_the_cell(self, rng: random.Random) -> None:
        side = self.side(rng)
        limits = self.cells[side].limits | {"max_tenant_jobs": rng.choice([3, 8, 20])}
        request = {"clock": rng.choice(["virtual"] * 4 + ["live"]), "configure": rng.random() < 0.5, "limits": limits}
        self.step(side, "open_cell", server=rng.choice(["one", "one", "two"]), **request)

    def look_at_the_numbers(self, rng: random.Random) -> None:
        self.step(self.side(rng), "statistics", lanes=500, after="")

    # Transfers ---------------------------------------------------------------------------------------------------

    def transfer_and_crash_after_some_steps(self, rng: random.Random) -> None:
        side, steps = self.side(rng), rng.randint(1, 3)
        for job in self.some_jobs(side, rng, *(["queued"] if rng.random() < 0.9 else [])):
            journey = self.set_out(side, job, self.name("x"))
            if journey is None:
                continue
            self.journeys.append(journey)
            if steps > 1:
                self.bring_in(journey)
            if steps > 2:
                self.conclude(journey)

    def repeat_a_step_of_some_transfer(self, rng: random.Random) -> None:
        if self.journeys:
            journey = rng.choice(self.journeys[-8:])
            (self.bring_in if rng.random() < 0.5 else self.conclude)(journey)

    def sweep_transfers(self, rng: random.Random) -> None:
        self.sweep(self.side(rng))

    # The end -----------------------------------------------------------------------------------------------------

    def every_job_comes_to_an_end(self) -> None:
        """Once everything is resumed and one big machine serves all, nothing is stuck: no list of candidates is needed."""
        rng = random.Random(0)
        for side, model in enumerate(self.cells):
            model.limits = model.limits | {"max_lanes": 1_000, "max_machines": 1_000}
            self.step(side, "open_cell", clock="virtual", server="one", limits=model.limits, configure=True)
            self.step(side, "declare", words=WORDS, by="test", withdraw=False)
            for scope in sorted(model.pauses):
                self.step(side, "resume", scope=scope, by="test")
        for side, _ in enumerate(self.cells):
            self.sweep(side)
        for side, model in enumerate(self.cells):
            self.register(side, rng, "closer", "big", slots=500, vram_mb=10_000_000, session="closer")
            self.step(
                side, "decide_fits", fits=[[model.machines["closer"].profile, k, True] for k in model.kinds.values()]
            )
            self._serve_all(side)
            assert not model.live(), "a job came to no end"
            model.audit()
        self._no_job_is_in_two_cells()

    def _serve_all(self, side: int) -> None:
        model, machine = self.cells[side], {"machine": "closer", "session": "closer"}
        for _ in range(40):
            self.now_ms += 21_000
            self.fully_tick(side)
            if "closer" not in model.machines:
                self.register(side, random.Random(0), "closer", "big", slots=500, vram_mb=10_000_000, session="closer")
            reply = self.step(side, "claim", credits=500, park=False, nonce=self.name("n"), **machine)
            assert reply is not None
            done = [{"id": job, "token": token, "result": "{}"} for job, token, *_ in reply["jobs"]]
            self.step(side, "complete", jobs=done, **machine)
            if not model.live():
                return

    def _no_job_is_in_two_cells(self) -> None:
        here, there = ({job.id for job in m.jobs.values() if job.status in FINISHED - {"moved"}} for m in self.cells)
        assert not here & there
        assert not any(job.status == LEAVING for model in self.cells for job in model.jobs.values())
