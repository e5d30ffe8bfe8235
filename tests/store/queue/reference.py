"""What the queue promises, as a plain model of one cell: who waits, who works, what a machine may take next.

Written from the promises and not from the library: no index, no packed record, every question answered by looking at
all jobs. What each function does to the model is in `expectations.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.store.queue.calls import Event

WAITING, OFFERED, RUNNING, DELAYED, LEAVING = "queued", "offered", "running", "delayed", "leaving"
FINISHED = {"succeeded", "failed", "canceled", "expired", "moved"}


class Refusal(Exception):
    """The whole call is expected to be refused by this name, with nothing changed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Lane:
    id: str
    key: str
    kind: str  # its requirement class
    pool: str
    vram_mb: int
    live: int = 0
    forget_at: int | None = None
    run_s: float | None = None  # what its submitters expect of a run, the latest counting for an eighth


@dataclass
class Job:
    id: str
    wanted: dict[str, Any]
    lane: Lane
    sequence: int
    submitted_ms: int
    tag: int
    status: str = WAITING
    returned: bool = False
    priority: int = 0
    attempts: int = 0
    recoveries: int = 0
    claims: int = 0
    token: str = ""
    machine: str = ""
    settled: tuple[str, str] = ("", "")
    lease_until: int = 0
    due_ms: int = 0
    started_ms: int = 0
    start_by_ms: int = 0
    finish_by_ms: int = 0
    events: int = 0
    last_event: int = 0
    forget_at: int = 0
    result: str = ""
    transfer: tuple[str, str] = ("", "")

    @property
    def order(self) -> tuple[bool, int, int, int]:
        return (not self.returned, -self.priority, self.tag, self.sequence)

    @property
    def leased(self) -> bool:
        return self.status in {OFFERED, RUNNING}


@dataclass
class Machine:
    name: str
    session: str
    profile: str
    slots: int
    vram_mb: int
    status: str = "active"
    nonce: str = ""
    latest: list[tuple[str, str]] = field(default_factory=list)  # what its latest claim gave: job, token
    candidates: list[tuple[str, int, int]] = field(default_factory=list)  # lane, ready after ms, preference
    offers: list[str] = field(default_factory=list)
    held: dict[str, Job] = field(default_factory=dict)
    alive_until: int = 0
    wants: int | None = None  # credits while parked
    looks_again_at: int = 0  # while work that it keeps its room for is overdue, it looks for itself only now and then
    disturbed: bool = False  # parked, and what it could take changed without a word to it: its holder claims again
    models: list[list[Any]] = field(default_factory=list)
    fetches: dict[str, tuple[int, int]] = field(default_factory=dict)
    orders: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # id -> what, model, body

    @property
    def parked(self) -> bool:
        return self.wants is not None

    @property
    def room(self) -> int:
        return self.slots - len(self.held)

    @property
    def vram_free(self) -> int:
        return self.vram_mb - sum(job.lane.vram_mb for job in self.held.values())


@dataclass
class Tenant:
    finish_tag: int = 0
    live: int = 0


@dataclass(frozen=True)
class Choice:
    """The jobs that may rightly come next, and whether giving none is right too."""

    jobs: frozenset[str]
    none_is_right: bool


class ReferenceCell:
    """One cell. `now` is monotone; leases run on `lease_now`, which stands still during an outage."""

    def __init__(self, limits: dict[str, int]) -> None:
        self.limits = limits
        self.now = self.skipped_ms = 0
        self.sequence = self.event = self.committed = self.virtual_time = 0
        self.epoch = 1
        self.jobs: dict[str, Job] = {}
        self.machines: dict[str, Machine] = {}
        self.lanes: dict[str, Lane] = {}
        self.kinds: dict[str, str] = {}  # requirement class: its key -> the id that the cell gave it
        self.profiles: dict[str, str] = {}
        self.idle_profiles: dict[str, int] = {}  # id -> when it is forgotten
        self.fits: dict[tuple[str, str], bool] = {}  # profile id, class id
        self.served: set[str] = set()  # classes that some profile could serve, though it may be forgotten by now
        self.tenants: dict[str, Tenant] = {}
        self.words: set[str] = set()
        self.idempotency: dict[tuple[str, str], tuple[str, str]] = {}
        self.pauses: set[str] = set()
        self.deadlines: set[tuple[str, str]] = set()
        self.arrivals: dict[str, int] = {}
        self.finished = dict.fromkeys(("succeeded", "failed", "canceled", "expired"), 0)
        self.submitted = 0

    @property
    def lease_now(self) -> int:
        return self.now - self.skipped_ms

    def waiting(self) -> Iterator[Job]:
        return (job for job in self.jobs.values() if job.status == WAITING)

    def live(self) -> int:
        return sum(job.status not in FINISHED for job in self.jobs.values())

    def lane_by_key(self, key: str) -> Lane | None:
        return next((lane for lane in self.lanes.values() if lane.key == key), None)

    def paused(self, lane: Lane) -> bool:
        return "cell" in self.pauses or f"pool:{lane.pool}" in self.pauses

    def serves(self, machine: Machine, lane: Lane) -> bool:
        return self.fits.get((machine.profile, self.kinds[lane.kind]), False)

    def could_run(self, machine: Machine, lane: Lane) -> bool:
        """Whether the machine may serve the lane at all, were it empty."""
        return not self.paused(lane) and self.serves(machine, lane) and lane.vram_mb <= machine.vram_mb

    # What comes next ---------------------------------------------------------------------------------------------

    def next_for(self, machine: Machine) -> Choice:
        """The first head, in order, of candidate lanes that waited long enough; before it what was submitted so much earlier, oldest first."""
        nothing = Choice(frozenset(), none_is_right=True)
        if machine.status != "active" or machine.room <= 0 or "cell" in self.pauses:
            return nothing
        first = self.first_ready(machine)
        overdue = self.overdue_for(machine, beside=first)
        if overdue:
            oldest = min(job.submitted_ms for job in overdue)
            tied = [job for job in overdue if job.submitted_ms == oldest]
            fitting = [job for job in tied if job.lane.vram_mb <= machine.vram_free]
            return Choice(frozenset(job.id for job in fitting), none_is_right=len(fitting) < len(tied))
        return Choice(frozenset({first.id}), none_is_right=False) if first else nothing

    def overdue_for(self, machine: Machine, beside: Job | None = None) -> list[Job]:
        """What was submitted so long before `beside`, or before now, that it goes first."""
        limit = (beside.submitted_ms if beside else self.now) - self.limits["overdue_ms"]
        return [job for job in self.waiting() if job.submitted_ms <= limit and self.could_run(machine, job.lane)]

    def first_ready(self, machine: Machine) -> Job | None:
        ready = [jobs[0] for lane, at_ms, jobs in self._candidate_lanes(machine) if at_ms <= self.now]
        return min(ready, key=lambda job: job.order, default=None)

    def _candidate_lanes(self, machine: Machine) -> Iterator[tuple[Lane, int, list[Job]]]:
        """Lane, when it is ready for the machine, its jobs in order; of lanes with work that could start there now."""
        waiting: dict[str, list[Job]] = {}
        for job in self.waiting():
            waiting.setdefault(job.lane.id, []).append(job)
        for lane_id, ready_after_ms, _ in machine.candidates:
            jobs = sorted(waiting.get(lane_id, ()), key=lambda job: job.order)
            if jobs and not self.paused(jobs[0].lane) and jobs[0].lane.vram_mb <= machine.vram_free:
                yield jobs[0].lane, min(job.submitted_ms for job in jobs) + ready_after_ms, jobs

    def changes_by_itself_at(self, machine: Machine) -> int | None:
        """When time alone first gives a machine that found nothing something to take; None: never."""
        if "cell" in self.pauses or self.overdue_for(machine):
            return None
        times = [at_ms for _, at_ms, _ in self._candidate_lanes(machine) if at_ms > self.now]
        times += [
            job.submitted_ms + self.limits["overdue_ms"]
            for job in self.waiting()
            if self.could_run(machine, job.lane) and job.lane.vram_mb <= machine.vram_free
        ]
        return min(times, default=None)

    def note_who_is_held_up(self) -> None:
        """Parked machines that keep their room for overdue work; should that go elsewhere, they look again in a second."""
        for machine in self.machines.values():
            if machine.parked and self.overdue_for(machine, beside=self.first_ready(machine)):
                machine.looks_again_at = self.now + 1_000

    def note_who_is_blocked(self) -> None:
        """In the middle of a call: overdue work that needs more room than a machine has free may go to another one a moment later.

        The machine has been asked by then, and nobody asks it again before it looks for itself, in a second.
        """
        for machine in self.machines.values():
            if machine.parked and self.overdue_for(machine) and self.next_for(machine).none_is_right:
                machine.looks_again_at = self.now + 1_000

    def overtaken_by(self, job: Job, machine: Machine) -> list[str]:
        """Waiting jobs whom this lease would break the promise to: submitted `overdue_ms` or longer before, and fit here."""
        limit = job.submitted_ms - self.limits["overdue_ms"]
        return [
            other.id for other in self.waiting() if other.submitted_ms <= limit and self.could_run(machine, other.lane)
        ]

    # Changes -----------------------------------------------------------------------------------------------------

    def lease(self, job: Job, machine: Machine, status: str, token: str) -> None:
        claims, _, rest = token.partition(".")
        assert job.status == WAITING, f"{job.id} is {job.status}, so it is not there to be taken"
        assert claims == str(job.claims + 1), f"the attempt number of {job.id} must be {job.claims + 1}: {token}"
        assert rest, f"the token of {job.id} lacks its random part: {token}"
        assert not self.overtaken_by(job, machine), (
            f"{job.id} overtakes {self.overtaken_by(job, machine)} on {machine.name}"
        )
        job.status, job.machine, job.token, job.claims = status, machine.name, token, job.claims + 1
        length = self.limits["lease_ms" if status == RUNNING else "offer_ms"]
        job.lease_until = self.lease_now + length
        machine.held[job.id] = job
        if status == RUNNING:
            self.begin(job)
        if status == OFFERED:
            machine.offers.append(job.id)
        self.virtual_time = max(self.virtual_time, job.tag)

    def begin(self, job: Job) -> None:
        """It has started in time, whatever becomes of its machine."""
        self.deadlines -= {("s", job.id)}
        job.start_by_ms, job.started_ms = 0, self.now

    def end_lease(self, job: Job) -> None:
        machine = self.machines[job.machine]
        del machine.held[job.id]
        machine.disturbed = True
        if job.id in machine.offers:
            machine.offers.remove(job.id)
        job.machine = job.token = ""

    def put_back(self, job: Job, *, returned: bool) -> None:
        if job.leased:
            self.end_lease(job)
        job.status, job.returned, job.due_ms = WAITING, returned, 0

    def finish(self, job: Job, status: str) -> None:
        if job.leased:
            self.end_lease(job)
        job.status, job.due_ms = status, 0
        kept_ms = self.limits["dead_retention_ms"] if status == "failed" else job.wanted["retention_ms"]
        job.forget_at = self.now + kept_ms
        self.deadlines -= {("s", job.id), ("f", job.id)}
        self.finished[status] += 1
        self.leave(job)

    def leave(self, job: Job) -> None:
        tenant = self.tenants[job.wanted["tenant"]]
        tenant.live -= 1
        if tenant.live == 0:
            del self.tenants[job.wanted["tenant"]]
        self.leave_lane(job.lane)

    def leave_lane(self, lane: Lane) -> None:
        lane.live -= 1
        if lane.live == 0:
            lane.forget_at = self.now + self.limits["lane_ttl_ms"]

    def enter_lane(self, lane: Lane) -> None:
        lane.live += 1
        lane.forget_at = None

    def enter(self, job: Job) -> None:
        self.jobs[job.id] = job
        self.tenants.setdefault(job.wanted["tenant"], Tenant()).live += 1
        self.enter_lane(job.lane)
        for kind, by_ms in (("s", job.start_by_ms), ("f", job.finish_by_ms)):
            if by_ms:
                self.deadlines.add((kind, job.id))

    def start_tag(self, tenant: str, cost: int, weight: int) -> int:
        """Start-time fair queueing: where the tenant's work goes on, but never before what already ran."""
        account = self.tenants.setdefault(tenant, Tenant())
        start = max(self.virtual_time, account.finish_tag)
        account.finish_tag = start + max(1, cost * 1000 // weight)
        return start

    def verdict(self, job_id: str, token: str, verb: str, machine: str) -> str:
        """What a holder's later write is answered."""
        job = self.jobs.get(job_id)
        if job is None:
            return "NS_NO_SUCH_JOB"
        if job.token == token and job.machine != machine:
            return "NS_LEASE_LOST"
        if job.status == RUNNING and job.token == token:
            return "ok"
        if job.settled == (verb, token):
            return "replayed"
        if job.status == "canceled":
            return "NS_JOB_CANCELED"
        return "NS_JOB_FINISHED" if job.status in FINISHED else "NS_LEASE_LOST"


class Trace:
    """The events of one call, taken one by one by the model that explains them: all of them, each once, in order."""

    def __init__(self, cell: ReferenceCell, events: list[Event]) -> None:
        self._cell, self._events = cell, events[::-1]
        self.placed: set[str] = set()  # lanes that this call has placed

    def peek(self) -> Event | None:
        return self._events[-1] if self._events else None

    def next_is(self, kind: str, subject: str | None = None) -> bool:
        event = self.peek()
        return event is not None and event.kind == kind and subject in (None, event.subject)

    def next(self, kind: str, subject: str) -> Event:
        event = self.peek()
        assert event is not None, f"there must be an event {kind} of {subject}"
        assert (event.kind, event.subject) == (kind, subject), f"expected {kind} of {subject}, got {event}"
        self._events.pop()
        cell = self._cell
        cell.event += 1
        assert (event.epoch, event.number) == (cell.epoch, cell.event), f"{event} must have the number {cell.event}"
        assert event.at_ms == cell.now, f"{event} must be of {cell.now}"
        if kind.startswith("job."):
            job = cell.jobs[subject]
            job.events, job.last_event = job.events + 1, cell.event
            assert event.job_number == job.events, f"{event} must be number {job.events} of its job"
        return event

    def must_be_empty(self) -> None:
        assert not self._events, f"nobody expected {self._events[::-1]}"
