"""Steps that several functions share, each explained to the model from the events that tell of it."""

from __future__ import annotations

from typing import Any

from tests.store.queue.calls import Reply
from tests.store.queue.reference import OFFERED, RUNNING, Job, Lane, Machine, ReferenceCell, Refusal, Trace


def run_of(job: Job, request: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the event that ends a lease says of the run; nothing where the job was only offered."""
    if job.status != RUNNING:
        return {}
    report = (request or {}).get("report")
    run = {"claim": job.claims, "attempt": job.attempts + 1, "started_ms": job.started_ms}
    return run | ({"report": report} if report else {})


class ExpectedSteps(ReferenceCell):
    """Machines that choose, jobs that come back, lanes that come to be."""

    # Choosing ----------------------------------------------------------------------------------------------------

    def expect_taken(self, trace: Trace, machine: Machine, credits_: int, kind: str) -> list[Job]:
        """The machine takes what it may, one by one, until its credit or room is spent or nothing is left for it."""
        status, taken = (RUNNING if kind == "job.started" else OFFERED), list[Job]()
        while len(taken) < credits_ and machine.room > 0 and machine.status == "active":
            choice, event = self.next_for(machine), trace.peek()
            ours = event is not None and event.kind == kind and event.data.get("machine") == machine.name
            if event is None or not ours or event.subject not in choice.jobs:
                assert choice.none_is_right, (
                    f"{machine.name} must take one of {sorted(choice.jobs)} at {self.now}, not {event}"
                )
                break
            trace.next(kind, event.subject)
            job = self.jobs[event.subject]
            self.lease(job, machine, status, event.data["token"])
            taken.append(job)
        return taken

    def expect_offers(self, trace: Trace, only: str = "") -> None:
        """Parked machines are handed work; each takes all that it wanted and may, and is parked no more."""
        while trace.next_is("job.offered"):
            self.note_who_is_blocked()
            event = trace.peek()
            assert event is not None
            machine = self.machines[event.data["machine"]]
            if only and machine.name != only:
                return
            assert machine.wants, f"{event}: {machine.name} is not parked"
            wants, machine.wants = machine.wants, None
            assert self.expect_taken(trace, machine, wants, "job.offered"), (
                f"{event} is not what {machine.name} may take"
            )

    # Coming back -------------------------------------------------------------------------------------------------

    def expect_return(
        self, trace: Trace, job: Job, because: str, *, charged: bool, request: dict[str, Any] | None = None
    ) -> None:
        machine, charged = job.machine, charged and job.status == RUNNING
        run, lost = run_of(job, request), {"lost": True} if charged else {}
        job.recoveries += charged
        if charged and job.recoveries > job.wanted["max_recoveries"]:
            event = trace.next("job.failed", job.id)
            assert event.data == {"code": "NS_MACHINES_LOST", "machine": machine} | run
            self.finish(job, "failed")
            return
        event = trace.next("job.returned", job.id)
        assert event.data == {"because": because, "machine": machine, "recoveries": job.recoveries} | run | lost
        self.put_back(job, returned=True)

    def expect_all_returned(self, trace: Trace, machine: Machine, because: str, *, charged: bool) -> None:
        """In whatever order; the first of them is the one that the next event names."""
        while machine.held:
            event = trace.peek()
            assert event is not None, f"{machine.name} goes, so {sorted(machine.held)} must come back"
            assert event.subject in machine.held, f"{event} while {sorted(machine.held)} must come back"
            self.expect_return(trace, machine.held[event.subject], because, charged=charged)

    # Lanes -------------------------------------------------------------------------------------------------------

    def refuse_lanes(self, wanted: list[dict[str, Any]]) -> None:
        """Refuse what would make a lane with unknown words, or one too many."""
        keys = {lane.key for lane in self.lanes.values()}
        kinds = set(self.kinds)
        for lane in wanted:
            if lane["key"] in keys:
                continue
            if not self.words.issuperset(lane["words"]):
                raise Refusal("NS_UNKNOWN_WORD")
            if lane["class"] not in kinds and len(kinds) >= self.limits["max_classes"]:
                raise Refusal("NS_TOO_MANY_CLASSES")
            if len(keys) >= self.limits["max_lanes"]:
                raise Refusal("NS_TOO_MANY_LANES")
            keys.add(lane["key"])
            kinds.add(lane["class"])

    def lane_of(self, wanted: dict[str, Any]) -> Lane:
        """The lane, made if it is new; its id, like its class's, is only known once the cell has said it."""
        lane = self.lane_by_key(wanted["key"])
        if lane is None:
            self.kinds.setdefault(wanted["class"], self.name_of_kind(wanted["class"]))
            lane_id = self.name_of_lane(wanted["key"])
            lane = Lane(lane_id, wanted["key"], wanted["class"], wanted["pool"], wanted["vram_mb"])
            self.lanes[lane_id] = lane
        return lane

    def place(self, lane: Lane, wanted: dict[str, Any], trace: Trace) -> None:
        """What policy said with the call's first job of the lane: which profiles fit, and which machines may take it."""
        if lane.id in trace.placed:
            return
        trace.placed.add(lane.id)
        for profile, fits in wanted["fits"]:
            self.fits.setdefault((profile, self.kinds[lane.kind]), fits)
        for name, ready_after_ms, preference in wanted["placements"]:
            machine = self.machines.get(name)
            if machine is not None and self.serves(machine, lane):
                others = [choice for choice in machine.candidates if choice[0] != lane.id]
                machine.candidates = [*others, (lane.id, ready_after_ms, preference)]

    def name_of_kind(self, key: str) -> str:
        raise NotImplementedError

    def name_of_lane(self, key: str) -> str:
        raise NotImplementedError

    # Who may call ------------------------------------------------------------------------------------------------

    def present(self, request: Reply) -> Machine:
        machine = self.machines.get(request["machine"])
        if machine is None:
            raise Refusal("NS_NO_SUCH_MACHINE")
        if machine.session != request["session"]:
            raise Refusal("NS_MACHINE_REPLACED")
        return machine

    def sign_of_life(self, machine: Machine) -> None:
        machine.alive_until = self.lease_now + self.limits["alive_ms"]

    def refuse_when_full(self, jobs: int) -> None:
        if self.event - self.committed >= self.limits["max_events"]:
            raise Refusal("NS_EVENTS_BACKLOG")
        if self.live() + jobs > self.limits["max_jobs"]:
            raise Refusal("NS_CELL_FULL")
