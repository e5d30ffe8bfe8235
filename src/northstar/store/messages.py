"""Requests to the function library and its answers, as types. Field names are those of the Lua headers."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from northstar.domain.jobs import ClaimedJob
from northstar.domain.limits import CellLimits


class Placement(msgspec.Struct, frozen=True, array_like=True):
    """A machine that policy ranks for a lane: may take its jobs after `ready_after_ms`; lower preference goes first."""

    machine: str
    ready_after_ms: int
    preference: int = 0


class Candidate(msgspec.Struct, frozen=True, array_like=True):
    """A lane that a machine may take after `ready_after_ms`."""

    lane: str
    ready_after_ms: int
    preference: int = 0


class StoredChoice(msgspec.Struct, frozen=True, array_like=True):
    """A candidate as the cell keeps it."""

    lane: str
    ready_after_ms: int
    vram_mb: int
    preference: int


class Fit(msgspec.Struct, frozen=True, array_like=True):
    """Policy's answer whether a profile can serve a class (ids as the cell numbers them)."""

    profile: str
    requirement_class: str
    fits: bool


class WantedLane(msgspec.Struct, frozen=True, kw_only=True):
    """The lane of a submission, with what the cell needs when it is new."""

    key: str
    class_: str = msgspec.field(name="class")
    pool: str
    vram_mb: int
    words: tuple[str, ...]
    anchors: str = ""
    #: (profile id, whether it fits)
    fits: tuple[tuple[str, bool], ...] = ()
    placements: tuple[Placement, ...] = ()


class WantedJob(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a submission; 0 and "" mean "none". `lane` counts from 1 in the submission's lanes."""

    id: str
    lane: int
    tenant: str
    weight: float
    cost: float
    priority: int
    max_attempts: int
    max_recoveries: int
    start_within_ms: int
    finish_within_ms: int
    backoff_base_ms: int
    backoff_cap_ms: int
    retention_ms: int
    idempotency_key: str
    digest: str
    body: str
    #: Why policy sends it there, as `domain.stored_decisions` writes it, or "".
    decision: str = ""


class Rerouted(msgspec.Struct, frozen=True, kw_only=True):
    """A waiting job that goes to another lane. `from_` is the lane in which policy saw it; `lane` counts from 1 in the call's lanes."""

    id: str
    from_: str = msgspec.field(name="from")
    lane: int
    decision: str = ""


class Submitted(msgspec.Struct, frozen=True, array_like=True):
    """One accepted job. `replayed`: it was accepted before, perhaps under another id."""

    id: str
    replayed: bool


class Done(msgspec.Struct, frozen=True, omit_defaults=True):
    """A finished job and its result, JSON. `report` is what the run took (`domain.run_reports`), empty where nobody measured it."""

    id: str
    token: str
    result: str
    report: str = ""


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A failed job. `jitter` in [0, 1) is random; `report` as in `Done`."""

    id: str
    token: str
    code: str
    message: str
    retryable: bool
    jitter: float
    report: str = ""


class Held(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job under a lease, as its machine names it; one that is handed back may bear a `report`, as in `Done`."""

    id: str
    token: str
    report: str = ""


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What became of one job of a batch: a word, or the name of a refusal."""

    id: str
    word: str
    due_ms: int = 0


class ClaimReply(msgspec.Struct, frozen=True):
    """`wake_ms`: nothing changes by time alone before then; 0 is unknown."""

    jobs: list[ClaimedJob]
    wake_ms: int = 0
    completed: list[Outcome] = []


class RenewReply(msgspec.Struct, frozen=True):
    """`lost` jobs must be stopped; `unknown` ones run here by the books but were not named."""

    lost: list[tuple[str, str]]
    unknown: list[tuple[str, str]]
    lease_ms: int
    #: Open orders about models; they are read with `pending_orders`.
    orders: int = 0


class StoredOrder(msgspec.Struct, frozen=True, array_like=True):
    """An open order to a machine. `body` is a `ModelOrder` as JSON for a fetch, and empty for an eviction."""

    id: str
    what: Literal["fetch", "evict"]
    model: str
    body: str = ""
    given_ms: int = 0


class StoredLimits(CellLimits, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The limits that a cell keeps; those that only a newer version knows are passed over."""


class OpenReply(msgspec.Struct, frozen=True):
    """The cell as it was opened."""

    created: bool
    epoch: int
    schema: int
    limits: StoredLimits
    event: int
    committed_event: int
    #: What this cell is known by, whatever others had its name before it; empty while nobody has given it an id.
    id: str = ""


class BindReply(msgspec.Struct, frozen=True):
    """`bound` is false when the cell's events went to this history before; `former` is the place of another that had them."""

    bound: bool
    former: str


class RegisterReply(msgspec.Struct, frozen=True):
    """`undecided` classes (id, text) need policy's answer; `held` jobs (id, token) are still leased to this session."""

    profile: str
    undecided: list[tuple[str, str]]
    held: list[tuple[str, str]]
    #: The list of node classes that the profile names was not told yet.
    node_set_wanted: bool = False


class TickReply(msgspec.Struct, frozen=True):
    """`more`: the budget ran out, call again now."""

    next_due_ms: int
    now_ms: int
    more: bool
    done: list[tuple[str, int]]


class LaneCount(msgspec.Struct, frozen=True, array_like=True):
    """A lane and how many wait there; `live` counts its unfinished jobs."""

    id: str
    key: str
    pool: str
    waiting: int
    live: int


class StatisticsReply(msgspec.Struct, frozen=True):
    """Counts by name, and a page of lanes."""

    counts: dict[str, int]
    lanes: list[LaneCount]
    after: str


class JobRecord(msgspec.Struct, array_like=True):
    """A job's packed record; positions as `ns.J` in `lua/shared/records.lua`."""

    status: str
    lane: str
    order: str
    tenant: str
    priority: int
    sequence: int
    submitted_ms: int
    attempts: int
    max_attempts: int
    recoveries: int
    max_recoveries: int
    claims: int
    token: str
    machine: str
    settled: str
    events: int
    last_event: int
    start_by_ms: int
    finish_by_ms: int
    backoff_base_ms: float
    backoff_cap_ms: float
    due_ms: int
    started_ms: int
    finished_ms: int
    retention_ms: int
    error_code: str
    error_message: str
    idempotency_key: str
    digest: str
    tag: float


class InspectedJob(msgspec.Struct, frozen=True, array_like=True):
    """A job with its record, and its body, result and decision if asked for."""

    id: str
    record: JobRecord
    body: str
    result: str
    lane_key: str
    decision: str = ""


class InspectReply(msgspec.Struct, frozen=True):
    """Jobs found, in the order asked."""

    jobs: list[InspectedJob]
    now_ms: int


class ListReply(msgspec.Struct, frozen=True):
    """A page of job ids; `after` is the cursor of the next, "" at the end."""

    jobs: list[str]
    after: str


JobIndex = Literal["waiting", "leases", "delayed", "dead", "finished"]


class MachineRecord(msgspec.Struct, array_like=True):
    """A machine's packed record; positions as `ns.M` in `lua/shared/records.lua`."""

    number: str
    profile: str
    session: str
    slots: int
    used: int
    vram_mb: int
    vram_used_mb: int
    status: str
    holder: str
    offers: list[str]
    wants: int
    nonce: str
    registered_ms: int
    accepted: list[str] = []
    #: (lane, how many of its jobs are under a lease here).
    work: list[tuple[str, int]] = []


class LaneRecord(msgspec.Struct, array_like=True):
    """A lane's packed record; positions as `ns.L`."""

    key: str
    requirement_class: str
    pool: str
    vram_mb: int
    live: int
    #: JSON [[model, bytes], …] as its first submitter gave them; empty in records of older libraries.
    anchors: str = ""
    #: Seconds that a run of its jobs is expected to take, by what their submitters said; 0 in records of older libraries.
    run_s: float = 0.0


class ClassRecord(msgspec.Struct, array_like=True):
    """A requirement class's packed record; positions as `ns.C`."""

    key: str
    pool: str
    vram_mb: int


class ProfileRecord(msgspec.Struct, array_like=True):
    """A machine profile's packed record; positions as `ns.P`. Older records do not say how many machines have it."""

    key: str
    machines: int = 0


class Leaving(msgspec.Struct, frozen=True, array_like=True):
    """What `transfer_out` gives for one job; `record` goes to the other cell as it is."""

    id: str
    word: str
    transfer: str = ""
    record: list[Any] = []
    body: str = ""
    decision: str = ""
