"""What time does to a cell, and how jobs move from one cell to another."""

from __future__ import annotations

import copy
from typing import Any

from tests.store.queue.calls import Event, Reply
from tests.store.queue.expected_machines import ExpectedMachines
from tests.store.queue.expected_steps import run_of
from tests.store.queue.reference import (
    DELAYED,
    FINISHED,
    LEAVING,
    OFFERED,
    RUNNING,
    WAITING,
    Job,
    Machine,
    Tenant,
    Trace,
)

LOOK_AGAIN_MS = 1_000
BRINGING_WORK = {"job.submitted", "job.returned", "job.retried", "job.replayed", "job.arrived"}
ARRIVALS_KEPT_MS = 366 * 86_400_000


class ExpectedTime(ExpectedMachines):
    """`tick`, in whose events every change must be due; and the three steps of a transfer."""

    luggage: dict[str, Job]

    def tick(self, request: Reply, trace: Trace, reply: Reply) -> None:
        while event := trace.peek():
            self._explain(event.kind, event.subject, trace)
        if not reply["more"]:
            self._nothing_may_be_left()
            self._forget()
            self._must_tick_again_in_time(reply["next_due_ms"])

    def _explain(self, kind: str, subject: str, trace: Trace) -> None:
        if kind == "job.offered":
            self.expect_offers(trace)
        elif kind == "machine.lost":
            machine = self.machines[subject]
            assert machine.alive_until <= self.lease_now, f"{subject} counts as alive until {machine.alive_until}"
            self.gone(machine, trace, kind, "silent", charged=True)
        elif kind in {"job.returned", "job.failed"}:
            self._explain_return(self.jobs[subject], trace)
        elif kind == "job.expired":
            self._explain_deadline(self.jobs[subject], trace)
        else:
            self._explain_retry(self.jobs[subject], trace)

    def _explain_return(self, job: Job, trace: Trace) -> None:
        assert job.leased, f"{job.id} is {job.status} and cannot come back"
        if job.lease_until > self.lease_now:
            machine = self.machines[job.machine]
            assert machine.alive_until <= self.lease_now, f"the lease of {job.id} lasts until {job.lease_until}"
            self.expect_return(trace, job, "silent", charged=True)
            return
        because = "lease_expired" if job.status == RUNNING else "offer_not_accepted"
        self.expect_return(trace, job, because, charged=True)

    def _explain_deadline(self, job: Job, trace: Trace) -> None:
        late_start = self._late(job, "s") and job.status in {WAITING, DELAYED, OFFERED}
        late_end = self._late(job, "f") and job.status not in FINISHED | {LEAVING}
        codes = {"NS_NOT_STARTED_IN_TIME": late_start, "NS_NOT_FINISHED_IN_TIME": late_end}
        event = trace.next("job.expired", job.id)
        assert codes[event.data["code"]], f"{event} of a job that is {job.status}, not late"
        assert event.data == {"code": event.data["code"], "machine": job.machine} | run_of(job)
        self.finish(job, "expired")

    def _explain_retry(self, job: Job, trace: Trace) -> None:
        assert (job.status, job.due_ms <= self.now) == (DELAYED, True), f"no retry of {job.id} is due"
        assert trace.next("job.retried", job.id).data == {"attempts": job.attempts}
        self.put_back(job, returned=False)

    def _late(self, job: Job, kind: str) -> bool:
        by_ms = job.start_by_ms if kind == "s" else job.finish_by_ms
        return (kind, job.id) in self.deadlines and by_ms <= self.now

    def _nothing_may_be_left(self) -> None:
        """Whatever was due at this time has been done, and nobody waits beside a machine that waits for it."""
        self.deadlines -= self._idle_deadlines()
        for job in self.jobs.values():
            assert not (job.leased and job.lease_until <= self.lease_now), f"the lease of {job.id} is over"
            assert not (job.status == DELAYED and job.due_ms <= self.now), f"the retry of {job.id} is due"
            assert not self._late(job, "s"), f"{job.id} was to start by {job.start_by_ms} and is {job.status}"
            assert not self._late(job, "f"), f"{job.id} was to finish by {job.finish_by_ms} and is {job.status}"
        for machine in self.machines.values():
            assert machine.alive_until > self.lease_now, f"{machine.name} is silent"
            first = self.would_take(machine)
            assert first is None, f"{machine.name} is parked beside {first} at {self.now}"

    def would_take(self, machine: Machine) -> Job | None:
        """What a parked machine leaves lying, though its candidates and the time say that it may have it."""
        waits = machine.wants and not machine.disturbed and machine.looks_again_at <= self.now
        return self.first_ready(machine) if waits and not self.next_for(machine).none_is_right else None

    def expect_handed_over(self, events: list[Event]) -> None:
        """What this call put into a lane, the first parked machine that may take it got in the same call."""
        lanes = {self.jobs[event.subject].lane.id for event in events if event.kind in BRINGING_WORK}
        for machine in self.machines.values() if lanes else ():
            first = self.would_take(machine)
            assert first is None or first.lane.id not in lanes, f"{machine.name} was not handed {first}"

    def _forget(self) -> None:
        for job in self._over():
            if job.last_event > self.committed:
                break
            del self.jobs[job.id]
            self.idempotency.pop((job.wanted["tenant"], job.wanted["idempotency_key"]), None)
        for lane in list(self.lanes.values()):
            if lane.live == 0 and lane.forget_at is not None and lane.forget_at <= self.now:
                del self.lanes[lane.id]
                for machine in self.machines.values():
                    machine.candidates = [choice for choice in machine.candidates if choice[0] != lane.id]
        for profile in self._idle_profiles_due():
            del self.idle_profiles[profile]
            self.profiles = {key: known for key, known in self.profiles.items() if known != profile}
            self.served |= {kind for (known, kind), fits in self.fits.items() if known == profile and fits}
            self.fits = {pair: fits for pair, fits in self.fits.items() if pair[0] != profile}
        self.arrivals = {name: until for name, until in self.arrivals.items() if until > self.now}

    def _idle_profiles_due(self) -> list[str]:
        return [profile for profile, forget_at in self.idle_profiles.items() if forget_at <= self.now]

    def _over(self) -> list[Job]:
        """Finished jobs whose retention is over, in the order in which they go."""
        over = [job for job in self.jobs.values() if job.status in FINISHED and job.forget_at <= self.now]
        return sorted(over, key=lambda job: (job.forget_at, job.id))

    def _idle_deadlines(self) -> set[tuple[str, str]]:
        """Those that have come and change nothing: the job runs already, or is on its way to another cell."""
        return {
            (kind, name)
            for kind, name in self.deadlines
            if self._late(self.jobs[name], kind)
            and (self.jobs[name].status == LEAVING or (kind == "s" and self.jobs[name].status == RUNNING))
        }

    def something_to_forget(self) -> bool:
        """Whether a tick now would drop finished jobs, idle lanes or idle deadlines, of which no event tells."""
        if self._idle_deadlines() or self._idle_profiles_due():
            return True
        lanes = any(lane.forget_at is not None and lane.forget_at <= self.now for lane in self.lanes.values())
        return lanes or any(job.last_event <= self.committed for job in self._over()[:1])

    def due_times(self) -> list[int]:
        """When time alone changes something: what ends, what is forgotten, and when machines may take what waits."""
        parked = [self.changes_by_itself_at(machine) for machine in self.machines.values() if machine.parked]
        kept = [job.forget_at for job in self.jobs.values() if job.status in FINISHED]
        kept += [lane.forget_at for lane in self.lanes.values() if lane.forget_at is not None]
        kept += self.idle_profiles.values()
        return [*self._tick_times(), *kept, *(at_ms for at_ms in parked if at_ms is not None)]

    def _tick_times(self) -> list[int]:
        times = [job.lease_until + self.skipped_ms for job in self.jobs.values() if job.leased]
        times += [job.due_ms for job in self.jobs.values() if job.status == DELAYED]
        times += [machine.alive_until + self.skipped_ms for machine in self.machines.values()]
        times += [
            self.jobs[name].start_by_ms if kind == "s" else self.jobs[name].finish_by_ms
            for kind, name in self.deadlines
        ]
        return times

    def _must_tick_again_in_time(self, next_due_ms: int) -> None:
        at_ms = min([self.now + LOOK_AGAIN_MS, *self._tick_times()])
        assert self.now <= next_due_ms <= at_ms, f"the next tick is due at {at_ms}, not at {next_due_ms}"

    # Transfers ---------------------------------------------------------------------------------------------------

    def transfer_out(self, request: Reply, trace: Trace, reply: Reply) -> None:
        for wanted, answer in zip(request["jobs"], reply["jobs"], strict=True):
            outcome = self._leave(wanted, request["target"], trace)
            assert answer[:3] == [wanted["id"], *outcome][: len(answer[:3])]
            assert (len(answer) == 6) == (outcome[0] == "ok")

    def _leave(self, wanted: dict[str, Any], target: str, trace: Trace) -> tuple[str, str]:
        job = self.jobs.get(wanted["id"])
        if job is None:
            return "NS_NO_SUCH_JOB", ""
        if job.status in FINISHED:
            return "NS_JOB_FINISHED", ""
        if job.status == LEAVING:
            return ("ok", job.transfer[0]) if job.transfer[1] == target else ("NS_JOB_IN_TRANSFER", "")
        if job.status != WAITING:
            return "NS_JOB_STARTED", ""
        job.status, job.transfer = LEAVING, (wanted["transfer"], target)
        event = trace.next("job.leaving", job.id)
        assert event.data == {"target": target, "transfer": wanted["transfer"]}
        return "ok", wanted["transfer"]

    def transfer_in(self, request: Reply, trace: Trace, reply: Reply) -> None:
        """`luggage` holds the model's job as it was when it left, by its id."""
        self.refuse_lanes([moved["lane"] for moved in request["jobs"] if self._welcome(moved)])
        assert reply == {"jobs": [[moved["id"], self._arrive(moved, trace)] for moved in request["jobs"]]}
        self.expect_offers(trace)

    def _known_arrival(self, moved: dict[str, Any]) -> str | None:
        if moved["transfer"] + " " + moved["id"] in self.arrivals:
            return "replayed"
        return "NS_TRANSFER_REFUSED" if "!" + moved["transfer"] + " " + moved["id"] in self.arrivals else None

    def _refused_arrival(self, moved: dict[str, Any]) -> str | None:
        here, wanted = self.jobs.get(moved["id"]), self.luggage[moved["id"]].wanted
        if here is not None and here.status != "moved":
            return "NS_JOB_EXISTS"
        if len(moved["body"]) > self.limits["max_body_bytes"]:
            return "NS_BODY_TOO_LARGE"
        if sum(tenant.live for tenant in self.tenants.values()) >= self.limits["max_jobs"]:
            return "NS_CELL_FULL"
        if self.tenants.get(wanted["tenant"], Tenant()).live >= self.limits["max_tenant_jobs"]:
            return "NS_TENANT_FULL"
        if self.event - self.committed >= self.limits["max_events"]:
            return "NS_EVENTS_BACKLOG"
        known = self.lane_by_key(moved["lane"]["key"]) is not None
        return None if known or self.words.issuperset(moved["lane"]["words"]) else "NS_UNKNOWN_WORD"

    def _welcome(self, moved: dict[str, Any]) -> bool:
        return self._known_arrival(moved) is None and self._refused_arrival(moved) is None

    def _arrive(self, moved: dict[str, Any], trace: Trace) -> str:
        if (known := self._known_arrival(moved)) is not None:
            return known
        if (refused := self._refused_arrival(moved)) is not None:
            self.arrivals["!" + moved["transfer"] + " " + moved["id"]] = self.now + ARRIVALS_KEPT_MS
            return refused
        job = copy.copy(self.luggage[moved["id"]])
        account = self.tenants.setdefault(job.wanted["tenant"], Tenant())
        self.sequence += 1
        job.status, job.returned, job.sequence = WAITING, False, self.sequence
        job.submitted_ms = min(job.submitted_ms, self.now)  # the other cell's clock may be ahead
        job.tag = max(self.virtual_time, account.finish_tag)
        account.finish_tag = job.tag + 1000
        job.lane = self.lane_of(moved["lane"])
        self.place(job.lane, moved["lane"], trace)
        if job.wanted["idempotency_key"]:
            self.idempotency[job.wanted["tenant"], job.wanted["idempotency_key"]] = (job.wanted["digest"], job.id)
        self.enter(job)
        self.arrivals[moved["transfer"] + " " + moved["id"]] = self.now + ARRIVALS_KEPT_MS
        job.events += 1  # the number of `job.moved`, which the other cell writes
        assert trace.next("job.arrived", job.id).data == {"transfer": moved["transfer"]}
        return "ok"

    def transfer_abort(self, request: Reply, trace: Trace, reply: Reply) -> None:
        assert reply == {"jobs": [[wanted["id"], self._stay(wanted, trace)] for wanted in request["jobs"]]}
        self.expect_offers(trace)

    def _stay(self, wanted: dict[str, Any], trace: Trace) -> str:
        job = self.jobs.get(wanted["id"])
        if job is None or job.status != LEAVING or job.transfer[0] != wanted["transfer"]:
            return "NS_NOT_IN_TRANSFER"
        self.put_back(job, returned=False)
        self.deadlines |= {(kind, job.id) for kind, by_ms in (("s", job.start_by_ms), ("f", job.finish_by_ms)) if by_ms}
        event = trace.next("job.returned", job.id)
        assert event.data == {"because": wanted["because"], "transfer": wanted["transfer"]}
        return "ok"

    def transfer_settled(self, request: Reply, trace: Trace, reply: Reply) -> None:
        for moved in request["jobs"]:
            name = moved["transfer"] + " " + moved["id"]
            self.arrivals = {known: until for known, until in self.arrivals.items() if known not in {name, "!" + name}}
        assert reply == {"settled": len(request["jobs"])}

    def transfer_done(self, request: Reply, trace: Trace, reply: Reply) -> None:
        assert reply == {"jobs": [[wanted["id"], self._depart(wanted, trace)] for wanted in request["jobs"]]}

    def _depart(self, wanted: dict[str, Any], trace: Trace) -> str:
        job = self.jobs.get(wanted["id"])
        if job is not None and job.status == "moved" and job.transfer[0] == wanted["transfer"]:
            return "replayed"
        if job is None or job.status != LEAVING or job.transfer[0] != wanted["transfer"]:
            return "NS_NOT_IN_TRANSFER"
        job.status, job.forget_at = "moved", self.now + job.wanted["retention_ms"]
        job.settled = ("transfer", wanted["transfer"])
        self.deadlines -= {("s", job.id), ("f", job.id)}
        self.leave(job)
        event = trace.next("job.moved", job.id)
        assert event.data == {"target": job.transfer[1], "transfer": wanted["transfer"]}
        return "ok"
