"""Why a job waits, why a machine is idle, why a model is where it is: the facts. `explanation_text` makes the sentences of them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from northstar.domain.admission import TokenStatus
from northstar.domain.decisions import RoutingDecision
from northstar.domain.job_story import Step
from northstar.domain.jobs import JobStatus
from northstar.domain.models import ModelHeld
from northstar.domain.queue_place import QueuePlace
from northstar.domain.reasons import Groups, Lack, Reason

#: The latest steps of a job that are told.
MOST_STEPS: Final = 50

_Count = Annotated[int, msgspec.Meta(ge=0)]


class ModelFetch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model that a machine fetches (then `expected_ms` is set), or was ordered to fetch. Times of the cell's clock."""

    model: str
    machine: str
    since_ms: int
    expected_ms: int = 0
    #: 0 is unknown.
    size_bytes: _Count = 0
    #: The order's id, if it was ordered and did not come with a job.
    order: str = ""


class ModelWhere(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a model of a job is, on machines that fit it and on others, and whether anybody knows from where to fetch it."""

    name: str
    size_bytes: _Count = 0
    in_memory: _Count = 0
    on_disk: _Count = 0
    fetching: _Count = 0
    #: Machines that hold it and do not fit the job.
    elsewhere: _Count = 0
    can_be_fetched: bool = False
    #: Machines that fit, keep no models folder, and are not known to hold it: their engines must have it, and do not say; and those
    #: whose engines name other models.
    engine_may_have: _Count = 0
    engine_names_others: _Count = 0


class Action(msgspec.Struct, frozen=True):
    """Something that would help, and the command to type for it; words in capitals are to be filled in."""

    what: str
    command: str
    #: The call of the HTTP interface that does the same, with its body; empty: there is none, or nobody asked by HTTP.
    http: str = ""


class JobExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a job is in its life and why. Times are ms by the cell's clock; 0 is "not" or "not yet"."""

    id: str
    #: None: the queue has forgotten it, and only its steps are known.
    status: JobStatus | None
    now_ms: int
    tenant: str = ""
    service: str = ""
    pool: str = ""
    priority: int = 0
    machine: str = ""
    submitted_ms: int = 0
    started_ms: int = 0
    finished_ms: int = 0
    #: When its pause before the next attempt ends.
    due_ms: int = 0
    #: What is submitted from then on does not go before it.
    overdue_from_ms: int = 0
    start_by_ms: int = 0
    finish_by_ms: int = 0
    attempts: _Count = 0
    max_attempts: _Count = 0
    #: Machines that were lost under it.
    recoveries: _Count = 0
    max_recoveries: _Count = 0
    error_code: str = ""
    error_message: str = ""
    decision: RoutingDecision | None = None
    place: QueuePlace | None = None
    machines: Groups = Groups()
    models: tuple[ModelWhere, ...] = ()
    fetches: tuple[ModelFetch, ...] = ()
    steps: tuple[Step, ...] = ()
    #: Steps before those.
    earlier_steps: _Count = 0
    #: Why older steps are missing; empty: none are.
    steps_fault: str = ""
    #: Why nobody can run it as things are; empty: somebody can, or may soon, or it does not wait.
    unservable: str = ""
    #: Who may soon, where nobody can yet: machines that are not ready.
    coming: str = ""
    actions: tuple[Action, ...] = ()

    @property
    def failures(self) -> tuple[Step, ...]:
        """Attempts that failed, with their error codes in `why`."""
        return tuple(step for step in self.steps if step.event in {"retrying", "failed"})

    @property
    def moves(self) -> tuple[Step, ...]:
        """Its ways between cells and pools."""
        return tuple(step for step in self.steps if step.event in MOVES)


#: Events by which a job changes its place without being worked on.
MOVES: Final = frozenset({"leaving", "moved", "arrived", "rerouted"})


class LaneDemand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Jobs that ask for the same, and the reason why some machine does not run them now, where one was asked for."""

    service: str
    pool: str
    models: tuple[str, ...] = ()
    waiting: _Count = 0
    unfinished: _Count = 0
    reason: Reason | None = None


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """Waiting jobs that a machine does not take for one and the same reason, and examples of their lanes."""

    reason: Reason
    lanes: _Count
    jobs: _Count
    examples: tuple[LaneDemand, ...] = ()


class PoolDemand(msgspec.Struct, frozen=True, kw_only=True):
    """A pool of a machine: its waiting jobs, and those among them that the machine fits."""

    pool: str
    waiting: _Count
    fits: _Count
    paused: bool = False


#: busy: no slot is free · takes_work: a slot is free, and a job is about to be taken · nothing_waits · blocked: what waits it may
#: not take (yet), see `blocked` · draining · out_of_work · quarantined: see `says` · not_ready: it was started on this host, and its
#: engines have not answered yet · given_up: it was started on this host and died again and again, see `says` · not_approved, revoked, gone: it is not here.
MachineCode = Literal[
    "busy",
    "takes_work",
    "nothing_waits",
    "blocked",
    "draining",
    "out_of_work",
    "quarantined",
    "not_ready",
    "given_up",
    "not_approved",
    "revoked",
    "gone",
]


class MachineExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine does or why it does nothing."""

    id: str
    code: MachineCode
    now_ms: int
    slots: _Count = 0
    used: _Count = 0
    vram_mb: _Count = 0
    vram_used_mb: _Count = 0
    #: Its own words about its engines, what it died of, or who revoked it.
    says: str = ""
    #: When a machine that is not here was seen last; 0: never, or it is here.
    seen_ms: int = 0
    token: TokenStatus | None = None
    #: False: it is here and keeps no models folder, so its engines must have what jobs name.
    keeps_models: bool = True
    pools: tuple[PoolDemand, ...] = ()
    #: Lanes that it may take now or after a while, the soonest first, and how many more.
    may_take: tuple[LaneDemand, ...] = ()
    more_lanes: _Count = 0
    #: Why it does not take what waits; most jobs first.
    blocked: tuple[Blocked, ...] = ()
    #: Kinds of waiting jobs beyond those that one look counts.
    uncounted_lanes: _Count = 0
    held: tuple[ModelHeld, ...] = ()
    more_held: _Count = 0
    fetches: tuple[ModelFetch, ...] = ()
    actions: tuple[Action, ...] = ()


class KnownModel(msgspec.Struct, frozen=True, kw_only=True):
    """What a catalogue says of a model: `name` is what machines and jobs call its file, `sources` are as they may be shown."""

    name: str
    #: The catalogue's entry to which it belongs, where that has another name.
    entry: str = ""
    #: What somebody asked for, where that is not its name.
    asked: str = ""
    #: Files that belong to it beside this one.
    more_files: _Count = 0
    #: By what name a machine is told to fetch it; empty: nobody said from where all of it can be had.
    fetch_by: str = ""
    kind: str = ""
    size_bytes: _Count = 0
    sha256: str = ""
    sources: tuple[str, ...] = ()
    vram_mb: _Count = 0
    aliases: tuple[str, ...] = ()


#: Why a machine does not hold a model. not_asked: no lane that asks for it fits the machine's profile otherwise, or nobody asks ·
#: does_not_fit: lanes ask for it that the machine does not fit · left_to_holders: others hold it, and the machine fetches it when
#: its patience is over · no_source: jobs ask for it, and nobody said from where it can be had · not_yet: the next job fetches it ·
#: keeps_none: it could run jobs that ask for it, or nobody asks, and it keeps no models folder, so its engine must have it · draining.
AbsenceCode = Literal["not_asked", "does_not_fit", "left_to_holders", "no_source", "not_yet", "keeps_none", "draining"]


class Absence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Machines of one profile that do not hold a model for the same reason."""

    code: AbsenceCode
    count: _Count
    names: tuple[str, ...]
    lacks: tuple[Lack, ...] = ()
    pools: tuple[str, ...] = ()


class ModelExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model is, and why not elsewhere."""

    name: str
    now_ms: int
    known: KnownModel | None = None
    size_bytes: _Count = 0
    in_memory: _Count = 0
    on_disk: _Count = 0
    #: Some of those that hold it, by name: first those that have it in memory.
    holders: tuple[str, ...] = ()
    fetches: tuple[ModelFetch, ...] = ()
    more_fetches: _Count = 0
    asked_by: tuple[LaneDemand, ...] = ()
    more_lanes: _Count = 0
    absent: tuple[Absence, ...] = ()
    more_absent: _Count = 0
    actions: tuple[Action, ...] = ()
