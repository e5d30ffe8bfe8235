"""What each function on jobs must answer, and what it must do to the model."""

from __future__ import annotations

from typing import Any

from tests.store.queue.calls import Reply
from tests.store.queue.expected_steps import ExpectedSteps, run_of
from tests.store.queue.reference import (
    DELAYED,
    FINISHED,
    LEAVING,
    OFFERED,
    RUNNING,
    WAITING,
    Job,
    Machine,
    Refusal,
    Trace,
)


class ExpectedJobs(ExpectedSteps):
    """Submit, claim, and every way in which a lease can end."""

    # Submit ------------------------------------------------------------------------------------------------------

    def submit(self, request: Reply, trace: Trace, reply: Reply) -> None:
        if self.event - self.committed >= self.limits["max_events"]:
            raise Refusal("NS_EVENTS_BACKLOG")
        known = self._known_submissions(request)
        fresh = [wanted for wanted, name in zip(request["jobs"], known, strict=True) if name is None]
        for wanted in fresh:
            lane = self.lane_of(request["lanes"][wanted["lane"] - 1])
            self.place(lane, request["lanes"][wanted["lane"] - 1], trace)
            self._accept(wanted, lane, trace)
        expected = [
            [name or wanted["id"], name is not None] for wanted, name in zip(request["jobs"], known, strict=True)
        ]
        assert reply == {"jobs": expected}
        self.expect_offers(trace)

    def _known_submissions(self, request: Reply) -> list[str | None]:
        """For each job the id under which it is known already, or None. Refuses the batch for its first bad job."""
        ids = {job.id: (job.wanted["digest"], job.wanted["tenant"]) for job in self.jobs.values()}
        keys, live = dict(self.idempotency), {name: tenant.live for name, tenant in self.tenants.items()}
        known, lanes = list[str | None](), list[dict[str, Any]]()
        for wanted in request["jobs"]:
            known.append(_name_of_known(wanted, ids, keys))
            if known[-1] is not None:
                continue
            lanes.append(request["lanes"][wanted["lane"] - 1])
            self.refuse_lanes(lanes)
            self._refuse_bounds(wanted, live)
            live[wanted["tenant"]] = live.get(wanted["tenant"], 0) + 1
            ids[wanted["id"]] = (wanted["digest"], wanted["tenant"])
            if wanted["idempotency_key"]:
                keys[wanted["tenant"], wanted["idempotency_key"]] = (wanted["digest"], wanted["id"])
        return known

    def _refuse_bounds(self, wanted: dict[str, Any], live: dict[str, int]) -> None:
        if len(wanted["body"]) > self.limits["max_body_bytes"]:
            raise Refusal("NS_BODY_TOO_LARGE")
        if live.get(wanted["tenant"], 0) >= self.limits["max_tenant_jobs"]:
            raise Refusal("NS_TENANT_FULL")
        if sum(live.values()) >= self.limits["max_jobs"]:
            raise Refusal("NS_CELL_FULL")

    def _accept(self, wanted: dict[str, Any], lane: Any, trace: Trace) -> None:
        self.sequence += 1
        self.submitted += 1
        tag = self.start_tag(wanted["tenant"], wanted["cost"], wanted["weight"])
        job = Job(wanted["id"], wanted, lane, self.sequence, self.now, tag, priority=wanted["priority"])
        job.start_by_ms = self.now + wanted["start_within_ms"] if wanted["start_within_ms"] else 0
        job.finish_by_ms = self.now + wanted["finish_within_ms"] if wanted["finish_within_ms"] else 0
        if wanted["idempotency_key"]:
            self.idempotency[wanted["tenant"], wanted["idempotency_key"]] = (wanted["digest"], wanted["id"])
        self.enter(job)
        before = lane.run_s
        lane.run_s = wanted["cost"] if before is None else before + 0.125 * (wanted["cost"] - before)
        event = trace.next("job.submitted", job.id)
        assert event.data == {"tenant": wanted["tenant"], "lane": lane.id, "priority": wanted["priority"]}

    # Claim -------------------------------------------------------------------------------------------------------

    def claim(self, request: Reply, trace: Trace, reply: Reply) -> None:
        machine = self.present(request)
        self._candidates_of(request, machine)
        self._claim(request, machine, trace, reply)

    def _candidates_of(self, request: Reply, machine: Machine) -> None:
        if "candidates" in request:
            self.refuse_candidates(machine, request["candidates"])
            self.choose_candidates(machine, request["candidates"])

    def refuse_candidates(self, machine: Machine, wanted: list[Any]) -> None:
        for lane_id, _, _ in wanted:
            lane = self.lanes.get(lane_id)
            if lane is not None and not self.serves(machine, lane):
                raise Refusal("NS_LANE_DOES_NOT_FIT")

    def choose_candidates(self, machine: Machine, wanted: list[Any]) -> None:
        machine.candidates = [(lane, ready, preference) for lane, ready, preference in wanted if lane in self.lanes]

    def _claim(self, request: Reply, machine: Machine, trace: Trace, reply: Reply) -> None:
        self.sign_of_life(machine)
        if machine.nonce == request["nonce"]:
            jobs = [
                self.jobs[job] for job, token in machine.latest if self.verdict(job, token, "", machine.name) == "ok"
            ]
            assert sorted(reply["jobs"]) == sorted(map(self._given, jobs)), "a repeated claim must give the same again"
            return
        machine.nonce, machine.wants, machine.disturbed = request["nonce"], None, False
        jobs = [self._accepted(job, machine, trace) for job in machine.offers[: request["credits"]]]
        jobs += self.expect_taken(trace, machine, request["credits"] - len(jobs), "job.started")
        assert reply["jobs"] == list(map(self._given, jobs))
        machine.latest = [(job.id, job.token) for job in jobs]
        room = min(request["credits"] - len(jobs), machine.room)
        if room > 0 and machine.status == "active":
            self._must_know_when_to_look_again(machine, reply["wake_ms"])
            machine.wants = room if request["park"] else None

    def _must_know_when_to_look_again(self, machine: Machine, wake_ms: int) -> None:
        at_ms = self.changes_by_itself_at(machine)
        if at_ms is not None:
            assert 0 < wake_ms <= at_ms, (
                f"{machine.name} can take something at {at_ms}, but is told to wait until {wake_ms}"
            )

    def _accepted(self, job_id: str, machine: Machine, trace: Trace) -> Job:
        job = self.jobs[job_id]
        event = trace.next("job.started", job_id)
        job.status, job.lease_until = RUNNING, self.lease_now + self.limits["lease_ms"]
        self.begin(job)
        assert event.data == {"machine": machine.name, "claim": job.claims, "token": job.token}
        machine.offers = [offer for offer in machine.offers if offer != job_id]
        return job

    def _given(self, job: Job) -> list[Any]:
        return [job.id, job.token, job.attempts + 1, job.recoveries, self.limits["lease_ms"], job.wanted["body"]]

    def judged(self, wanted: dict[str, Any], verb: str, machine: str, trace: Trace) -> str:
        """The verdict on a token. Whoever names the token of an offer has begun to work on it, and so accepts it."""
        job = self.jobs.get(wanted["id"])
        if job is not None and job.status == OFFERED and (job.token, job.machine) == (wanted["token"], machine):
            self._accepted(job.id, self.machines[job.machine], trace)
        return self.verdict(wanted["id"], wanted["token"], verb, machine)

    # The ends of a lease -----------------------------------------------------------------------------------------

    def complete(self, request: Reply, trace: Trace, reply: Reply) -> None:
        assert reply == {
            "jobs": [[done["id"], self._complete(done, request["machine"], trace)] for done in request["jobs"]]
        }

    def _complete(self, done: dict[str, Any], machine: str, trace: Trace) -> str:
        verdict = self.judged(done, "complete", machine, trace)
        if verdict != "ok":
            return verdict
        if len(done["result"]) > self.limits["max_body_bytes"]:
            return "NS_RESULT_TOO_LARGE"
        job = self.jobs[done["id"]]
        assert trace.next("job.succeeded", job.id).data == {"machine": job.machine} | run_of(job, done)
        job.settled, job.result = ("complete", done["token"]), done["result"]
        self.finish(job, "succeeded")
        return "ok"

    def complete_and_claim(self, request: Reply, trace: Trace, reply: Reply) -> None:
        machine = self.present(request)
        self._candidates_of(request, machine)
        assert reply["completed"] == [
            [done["id"], self._complete(done, request["machine"], trace)] for done in request["jobs"]
        ]
        self._claim(request, machine, trace, reply)

    def fail(self, request: Reply, trace: Trace, reply: Reply) -> None:
        for failure, (name, outcome, due_ms) in zip(request["jobs"], reply["jobs"], strict=True):
            assert (name, outcome, due_ms) == (failure["id"], *self._fail(failure, request["machine"], due_ms, trace))

    def _fail(self, failure: dict[str, Any], machine: str, due_ms: int, trace: Trace) -> tuple[str, int]:
        verdict = self.judged(failure, "fail", machine, trace)
        if verdict != "ok":
            return verdict, 0
        job = self.jobs[failure["id"]]
        told = {"code": failure["code"], "attempts": job.attempts + 1, "machine": job.machine} | run_of(job, failure)
        job.settled, job.attempts = ("fail", failure["token"]), job.attempts + 1
        if not failure["retryable"] or job.attempts >= job.wanted["max_attempts"]:
            assert trace.next("job.failed", job.id).data == told
            self.finish(job, "failed")
            return "failed", 0
        full_ms = min(job.wanted["backoff_cap_ms"], job.wanted["backoff_base_ms"] * 2 ** (job.attempts - 1))
        assert full_ms // 2 <= due_ms - self.now <= full_ms, (
            f"a pause of {due_ms - self.now} ms, about {full_ms} expected"
        )
        self.end_lease(job)
        job.status, job.due_ms = DELAYED, due_ms
        assert trace.next("job.retrying", job.id).data == told | {"due_ms": due_ms}
        return "retrying", due_ms

    def release(self, request: Reply, trace: Trace, reply: Reply) -> None:
        outcomes = []
        for given in request["jobs"]:
            verdict = self.judged(given, "release", request["machine"], trace)
            outcomes.append([given["id"], verdict])
            if verdict == "ok":
                self.jobs[given["id"]].settled = ("release", given["token"])
                self.expect_return(trace, self.jobs[given["id"]], request["because"], charged=False, request=given)
        assert reply == {"jobs": outcomes}
        self.expect_offers(trace)

    def renew(self, request: Reply, trace: Trace, reply: Reply) -> None:
        machine = self.present(request)
        lost, named = [], {held["id"] for held in request["jobs"]}
        for held in request["jobs"]:
            verdict = self.judged(held, "", machine.name, trace)
            if verdict == "ok":
                self.jobs[held["id"]].lease_until = self.lease_now + self.limits["lease_ms"]
            else:
                lost.append([held["id"], verdict])
        unknown = [
            [job.id, job.token] for job in machine.held.values() if job.status == RUNNING and job.id not in named
        ]
        assert reply["lost"] == lost
        assert sorted(reply["unknown"]) == sorted(unknown)
        assert reply["orders"] == len(machine.orders)
        self.sign_of_life(machine)

    # From outside ------------------------------------------------------------------------------------------------

    def cancel(self, request: Reply, trace: Trace, reply: Reply) -> None:
        assert reply == {"jobs": [[job_id, self._cancel(job_id, trace)] for job_id in request["jobs"]]}

    def _cancel(self, job_id: str, trace: Trace) -> str:
        job = self.jobs.get(job_id)
        if job is None or job.status == "moved":
            return "NS_NO_SUCH_JOB"
        if job.status == "canceled":
            return "already"
        if job.status == LEAVING:
            return "NS_JOB_IN_TRANSFER"
        if job.status in FINISHED:
            return "NS_JOB_FINISHED"
        event = trace.next("job.canceled", job_id)
        assert (event.data["machine"], event.data.get("claim")) == (job.machine, run_of(job).get("claim"))
        self.finish(job, "canceled")
        return "canceled"

    def reprioritise(self, request: Reply, trace: Trace, reply: Reply) -> None:
        outcomes = [[name, self._reprioritise(name, request["priority"], trace)] for name in request["jobs"]]
        assert reply == {"jobs": outcomes}

    def _reprioritise(self, job_id: str, priority: int, trace: Trace) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "NS_NO_SUCH_JOB"
        if job.status in FINISHED:
            return "NS_JOB_FINISHED"
        if job.status not in {WAITING, DELAYED}:
            return "NS_JOB_STARTED"
        assert trace.next("job.reprioritised", job_id).data == {"from": job.priority, "to": priority}
        job.priority = priority
        return "ok"

    def reroute(self, request: Reply, trace: Trace, reply: Reply) -> None:
        to_move = [wanted for wanted in request["jobs"] if self._why_not_moved(wanted, request) == "ok"]
        self.refuse_lanes([request["lanes"][wanted["lane"] - 1] for wanted in to_move])
        assert reply == {"jobs": [[wanted["id"], self._reroute(wanted, request, trace)] for wanted in request["jobs"]]}
        self.expect_offers(trace)

    def _why_not_moved(self, wanted: dict[str, Any], request: Reply) -> str:
        job, key = self.jobs.get(wanted["id"]), request["lanes"][wanted["lane"] - 1]["key"]
        if job is None:
            return "NS_NO_SUCH_JOB"
        if job.status in FINISHED:
            return "NS_JOB_FINISHED"
        if job.status not in {WAITING, DELAYED}:
            return "NS_JOB_STARTED"
        if job.lane.key == key:
            return "same"
        return "ok" if job.lane.id == wanted["from"] else "NS_LANE_CHANGED"

    def _reroute(self, wanted: dict[str, Any], request: Reply, trace: Trace) -> str:
        verdict = self._why_not_moved(wanted, request)
        if verdict != "ok":
            return verdict
        job, to = self.jobs[wanted["id"]], request["lanes"][wanted["lane"] - 1]
        lane, before = self.lane_of(to), job.lane
        self.place(lane, to, trace)
        event = trace.next("job.rerouted", job.id)
        because = request["because"]
        assert event.data == {"from": before.pool, "to": lane.pool, "lane": lane.id, "because": because}
        self.leave_lane(before)
        job.lane = lane
        self.enter_lane(lane)
        return "ok"

    def replay(self, request: Reply, trace: Trace, reply: Reply) -> None:
        self.refuse_when_full(len(request["jobs"]))
        dead = [entry for entry in request["jobs"] if self._is_dead(entry["id"])]
        self.refuse_lanes([entry["lane"] for entry in dead])
        outcomes = [[entry["id"], self._replay(entry, trace)] for entry in request["jobs"]]
        assert reply == {"jobs": outcomes}
        self.expect_offers(trace)

    def _is_dead(self, job_id: str) -> bool:
        return job_id in self.jobs and self.jobs[job_id].status == "failed"

    def _replay(self, entry: dict[str, Any], trace: Trace) -> str:
        if entry["id"] not in self.jobs:
            return "NS_NO_SUCH_JOB"
        if not self._is_dead(entry["id"]):
            return "NS_NOT_DEAD"
        job = self.jobs[entry["id"]]
        self.finished["failed"] -= 1
        job.status, job.returned, job.settled = WAITING, False, ("", "")
        job.attempts = job.recoveries = job.start_by_ms = job.finish_by_ms = job.forget_at = 0
        job.submitted_ms, job.lane = self.now, self.lane_of(entry["lane"])
        self.place(job.lane, entry["lane"], trace)
        self.enter(job)
        trace.next("job.replayed", job.id)
        return "ok"


def _name_of_known(
    wanted: dict[str, Any], ids: dict[str, tuple[str, str]], keys: dict[tuple[str, str], tuple[str, str]]
) -> str | None:
    """The job that this submission repeats, by its idempotency key or its id; None if it is new."""
    if known := keys.get((wanted["tenant"], wanted["idempotency_key"])):
        if known[0] != wanted["digest"]:
            raise Refusal("NS_IDEMPOTENCY_REUSED")
        return known[1]
    if wanted["id"] not in ids:
        return None
    if ids[wanted["id"]] != (wanted["digest"], wanted["tenant"]):
        raise Refusal("NS_JOB_EXISTS")
    return str(wanted["id"])
