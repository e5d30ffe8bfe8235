"""The operations of the state machine: whatever a client, a machine, a policy, an operator or time itself may do."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.store.queue.calls import Reply
from tests.store.queue.reference import FINISHED, LEAVING
from tests.store.queue.state_machine import LANES, MACHINES, PROFILES, READY_AFTER_MS, WORDS, Steps, seeds

JUMPS_MS = (1, 250, 1_000, 2_100, 5_000, 13_000, 45_000, -30_000)


class QueueMachine(Steps):
    """Two cells, four machines in each, three tenants, six lanes; and everybody at once."""

    # Time --------------------------------------------------------------------------------------------------------

    @rule(by_ms=st.sampled_from(JUMPS_MS))
    def time_goes_on_or_a_clock_is_set_back(self, by_ms: int) -> None:
        self.now_ms += by_ms

    @rule(seed=seeds)
    def tick(self, seed: int) -> None:
        self.fully_tick(self.side(random.Random(seed)))

    @rule(seed=seeds)
    def tick_after_a_while(self, seed: int) -> None:
        rng = random.Random(seed)
        self.now_ms += rng.choice([500, 2_100, 7_000])
        self.fully_tick(self.side(rng))

    @rule(seed=seeds)
    def tick_a_little(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        model = self.cells[side]
        model.now = max(model.now, self.now_ms)
        if model.something_to_forget():
            self.fully_tick(side)
        else:
            self.step(side, "tick", nonce=self.name("n"), budget=rng.randint(1, 3))

    @rule(gap_ms=st.sampled_from([100, 9_000, 60_000]), seed=seeds)
    def outage(self, gap_ms: int, seed: int) -> None:
        self.now_ms += gap_ms
        self.step(self.side(random.Random(seed)), "outage", gap_ms=gap_ms)

    # Clients -----------------------------------------------------------------------------------------------------

    @rule(seed=seeds)
    def submit(self, seed: int) -> None:
        rng = random.Random(seed)
        self._submit(rng, 1)

    @rule(seed=seeds)
    def submit_several(self, seed: int) -> None:
        rng = random.Random(seed)
        self._submit(rng, rng.randint(2, 6))

    def _submit(self, rng: random.Random, count: int) -> None:
        side = self.side(rng)
        lanes = [self.lane(side, rng) for _ in range(rng.randint(1, 3))]
        jobs = [self.job(side, rng, len(lanes)) for _ in range(count)]
        if rng.random() < 0.05:
            jobs.append(jobs[0])
        self.latest[side]["submit"] = request = {"lanes": lanes, "jobs": jobs}
        self.step(side, "submit", nonce=self.name("n"), **request)

    @rule(seed=seeds)
    def submit_the_same_again(self, seed: int) -> None:
        side = self.side(random.Random(seed))
        if request := self.latest[side].get("submit"):
            self.step(side, "submit", nonce=self.name("n"), **request)

    @rule(seed=seeds)
    def cancel(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        self.step(side, "cancel", jobs=self.some_jobs(side, rng), because="by user")

    @rule(seed=seeds)
    def reprioritise(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        self.step(side, "reprioritise", jobs=self.some_jobs(side, rng), priority=rng.choice([0, 100, 255]))

    @rule(seed=seeds)
    def replay_dead_letters(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        jobs = self.some_jobs(side, rng, *(["failed"] if rng.random() < 0.8 else []))
        wanted = [{"id": job, "lane": self.lane_of_job(side, rng, job)} for job in jobs]
        self.step(side, "replay", nonce=self.name("n"), jobs=wanted)

    # Machines at work --------------------------------------------------------------------------------------------

    def _claim(self, side: int, rng: random.Random, **changes: Any) -> Reply:
        request = self.caller(side, rng)
        request |= {"credits": rng.choice([0, 1, 1, 2, 5]), "nonce": self.name("n"), "park": rng.random() < 0.7}
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

    @rule(seed=seeds)
    def claim(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        self.step(side, "claim", **self._claim(side, rng))

    @rule(seed=seeds)
    def claim_and_park(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        self.step(side, "claim", **self._claim(side, rng, park=True, credits=rng.randint(1, 5)))

    @rule(seed=seeds)
    def claim_with_the_same_nonce_again(self, seed: int) -> None:
        side = self.side(random.Random(seed))
        if request := self.latest[side].get("claim"):
            self.step(side, "claim", **{name: value for name, value in request.items() if name != "candidates"})

    @rule(seed=seeds)
    def parked_machines_claim_again(self, seed: int) -> None:
        """What each holder does every second: after it nobody stands beside work."""
        side = self.side(random.Random(seed))
        model = self.cells[side]
        for machine in [machine for machine in model.machines.values() if machine.parked]:
            request = {"machine": machine.name, "session": machine.session, "credits": machine.wants, "park": True}
            self.step(side, "claim", nonce=self.name("n"), **request)
            choice = model.next_for(machine)
            assert machine.wants is None or choice.none_is_right, f"{machine.name} is parked beside {choice.jobs}"

    def _done(self, side: int, rng: random.Random) -> list[Reply]:
        tokens = [self.token(side, rng) for _ in range(rng.randint(1, 3))]
        result = "{}" if rng.random() < 0.97 else "x" * 41
        return [{"id": job, "token": token, "result": result} for job, token in tokens]

    @rule(seed=seeds)
    def complete(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        self.step(side, "complete", **self.caller(side, rng), jobs=self._done(side, rng))

    @rule(seed=seeds)
    def complete_and_claim(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        request = self._claim(side, rng)
        self.step(side, "complete_and_claim", **request, jobs=self._done(side, rng))

    @rule(seed=seeds)
    def fail(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        tokens = [self.token(side, rng) for _ in range(rng.randint(1, 2))]
        failure = {"code": "BOOM", "message": "it broke", "retryable": rng.random() < 0.7, "jitter": rng.choice([0.0, 0.5, 0.999])}
        self.step(side, "fail", **self.caller(side, rng), jobs=[{"id": j, "token": t} | failure for j, t in tokens])

    @rule(seed=seeds)
    def release(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        jobs = [dict(zip(("id", "token"), self.token(side, rng), strict=True)) for _ in range(rng.randint(1, 2))]
        self.step(side, "release", **self.caller(side, rng), nonce=self.name("n"), because="shutdown", jobs=jobs)

    @rule(seed=seeds)
    def renew(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        caller = self.caller(side, rng)
        machine = self.cells[side].machines.get(caller["machine"])
        jobs = [{"id": job.id, "token": job.token} for job in (machine.held.values() if machine else ())]
        if rng.random() < 0.3:
            jobs = [*jobs[1:], dict(zip(("id", "token"), self.token(side, rng), strict=True))]
        self.step(side, "renew", **caller, jobs=jobs)

    # Machines come and go ----------------------------------------------------------------------------------------

    @rule(seed=seeds)
    def register_a_machine(self, seed: int) -> None:
        rng = random.Random(seed)
        machine = rng.choice(MACHINES)
        profile = "big" if machine in MACHINES[:2] or rng.random() < 0.2 else "small"
        self.register(self.side(rng), rng, machine, profile)

    @rule(seed=seeds)
    def lose_or_remove_a_machine(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        name = self.caller(side, rng)["machine"]
        self.step(side, "remove_machine", machine=name, because="gone", lost=rng.random() < 0.5, nonce=self.name("n"))

    @rule(seed=seeds, draining=st.booleans())
    def drain(self, seed: int, draining: bool) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        name = self.caller(side, rng)["machine"]
        self.step(side, "drain_machine", machine=name, draining=draining, nonce=self.name("n"))

    @rule(seed=seeds)
    def update_a_machine(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        changes = {"slots": rng.randint(0, 6), "vram_mb": rng.choice([8_000, 24_000, 24_000])}
        self.step(side, "update_machine", **self.caller(side, rng), **changes)

    # Policy ------------------------------------------------------------------------------------------------------

    @rule(seed=seeds)
    def set_candidates(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        names = rng.sample(MACHINES, rng.randint(1, 4))
        wanted = [[name, self._candidates(side, rng, name)] for name in names]
        self.step(side, "set_candidates", nonce=self.name("n"), machines=wanted)

    @rule(seed=seeds)
    def decide_fits(self, seed: int) -> None:
        side = self.side(random.Random(seed))
        model, needs = self.cells[side], {lane[1]: lane[3] for lane in LANES}
        fits = [
            [profile, kind, PROFILES[name] >= needs[key]]
            for name, profile in sorted(model.profiles.items())
            for key, kind in sorted(model.kinds.items())
        ]
        self.step(side, "decide_fits", fits=[*fits, ["ffffff", "ffffff", True]])

    @rule(seed=seeds)
    def models_and_fetches(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        caller, model = self.caller(side, rng), rng.choice(WORDS).removeprefix("model:")
        what = rng.choice(["models_present", "fetch_started", "fetch_ended"])
        requests: dict[str, Reply] = {
            "models_present": {"models": [[model, "disk", 5]] * rng.randint(0, 1)},
            "fetch_started": {"model": model, "bytes": 5, "expected_ms": 9, "copies": rng.randint(1, 2)},
            "fetch_ended": {"model": model, "outcome": "fetched"},
        }
        self.step(side, what, **caller, **requests[what])

    # Operators ---------------------------------------------------------------------------------------------------

    @rule(seed=seeds)
    def pause(self, seed: int) -> None:
        rng = random.Random(seed)
        scope = rng.choice(["cell", "pool:fast", "pool:heavy"])
        self.step(self.side(rng), "pause", scope=scope, because="test", by="test")

    @rule(seed=seeds)
    def resume(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        for scope in sorted(self.cells[side].pauses) or ["cell"]:
            self.step(side, "resume", scope=scope, by="test")

    @rule(seed=seeds, withdraw=st.booleans())
    def declare(self, seed: int, withdraw: bool) -> None:
        rng = random.Random(seed)
        words = rng.sample(WORDS, 1) if withdraw else WORDS
        self.step(self.side(rng), "declare", words=words, by="test", withdraw=withdraw)

    @rule(seed=seeds)
    def history_is_written(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        model = self.cells[side]
        epoch = max(1, model.epoch - rng.choice([0, 0, 0, 1]))
        self.step(side, "events_committed", epoch=epoch, event=max(0, model.event - rng.choice([-1, 0, 0, 0, 7])))

    @rule(seed=seeds)
    def join_the_cell(self, seed: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        limits = self.cells[side].limits | {"max_tenant_jobs": rng.choice([3, 8, 20])}
        request = {"clock": rng.choice(["virtual"] * 4 + ["live"]), "configure": rng.random() < 0.5, "limits": limits}
        self.step(side, "open_cell", server=rng.choice(["one", "one", "two"]), **request)

    @rule(seed=seeds)
    def look_at_the_numbers(self, seed: int) -> None:
        self.step(self.side(random.Random(seed)), "statistics", lanes=500, after="")

    # Transfers ---------------------------------------------------------------------------------------------------

    @rule(seed=seeds, steps=st.integers(1, 3))
    def transfer_and_crash_after_so_many_steps(self, seed: int, steps: int) -> None:
        rng = random.Random(seed)
        side = self.side(rng)
        for job in self.some_jobs(side, rng, *(["queued"] if rng.random() < 0.9 else [])):
            journey = self.set_out(side, job, self.name("x"))
            if journey is None:
                continue
            self.journeys.append(journey)
            if steps > 1:
                self.bring_in(journey)
            if steps > 2:
                self.conclude(journey)

    @rule(seed=seeds)
    def repeat_a_step_of_some_transfer(self, seed: int) -> None:
        rng = random.Random(seed)
        if self.journeys:
            journey = rng.choice(self.journeys[-8:])
            (self.bring_in if rng.random() < 0.5 else self.conclude)(journey)

    @rule(seed=seeds)
    def sweep_transfers(self, seed: int) -> None:
        self.sweep(self.side(random.Random(seed)))

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
            self.step(side, "decide_fits", fits=[[model.machines["closer"].profile, k, True] for k in model.kinds.values()])
            self._serve_all(side)
            assert not model.live(), "a job came to no end"
            model.audit()
        self._no_job_is_in_two_cells()

    def _serve_all(self, side: int) -> None:
        model, done = self.cells[side], list[Reply]()
        for _ in range(40):
            self.now_ms += 21_000
            self.fully_tick(side)
            if "closer" not in model.machines:
                self.register(side, random.Random(0), "closer", "big", slots=500, vram_mb=10_000_000, session="closer")
            request = {"machine": "closer", "session": "closer", "credits": 500, "park": False, "nonce": self.name("n")}
            reply = self.step(side, "complete_and_claim", jobs=done, **request)
            assert reply is not None
            done = [{"id": job[0], "token": job[1], "result": "{}"} for job in reply["jobs"]]
            if not model.live():
                return

    def _no_job_is_in_two_cells(self) -> None:
        here, there = ({job.id for job in m.jobs.values() if job.status in FINISHED - {"moved"}} for m in self.cells)
        assert not here & there
        assert not any(job.status == LEAVING for model in self.cells for job in model.jobs.values())
