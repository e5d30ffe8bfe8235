"""Decisions with their reasons: what was chosen, what was not, and why. Words and data are one: sentences are made of these fields."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from northstar.domain.estimates import DurationEstimate
from northstar.domain.requirements import Pool
from northstar.domain.workloads import Modality

_Sentence = Annotated[str, msgspec.Meta(max_length=400)]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]

#: Code of the rejection of a pool that takes such work and has no machine for it.
NO_MACHINE: Final = "no-machine"

#: The row of a job whose submitter named the pool.
NAMED: Final = "asked"

#: How a job came to the pool in which it waits.
#: matrix: the matrix's own choice · pinned: its submitter named the pool · fallback: the matrix's pool has no fit machine, another
#: has · waiting: no pool has one, so it waits where the matrix wants it · uniform: pools are switched off, or this one is not
#: introduced for this job yet.
Route = Literal["matrix", "pinned", "fallback", "waiting", "uniform"]


class Rejection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody or something that was not chosen. `code` is for programs and stable; `reason` is the sentence for people."""

    #: A pool, a machine, or a group of machines that are alike.
    subject: Annotated[str, msgspec.Meta(max_length=160)]
    code: Annotated[str, msgspec.Meta(max_length=48)]
    reason: _Sentence
    #: How many machines it speaks of, for a group.
    count: Annotated[int, msgspec.Meta(ge=0)] = 0


class ExpectedOn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A machine that could run a job, and in how many seconds it would have had it done, by what they pass with."""

    machine: Annotated[str, msgspec.Meta(max_length=128)]
    wait_s: _Seconds = 0.0
    fetch_s: _Seconds = 0.0
    load_s: _Seconds = 0.0
    run_s: _Seconds = 0.0
    #: It keeps no models folder, and is not known to hold all models: its engine must have them. `fetch_s` stands for what it does not name.
    left_to_engine: bool = False

    @property
    def total_s(self) -> float:
        """All of them."""
        return self.wait_s + self.fetch_s + self.load_s + self.run_s


class TurnedDown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Machines that could not run a job, alike in what they lacked."""

    #: The needs that they did not meet (`domain.reasons.Need`), with `+` between them; or `draining`, or `out_of_work` (no engine of theirs takes work).
    code: Annotated[str, msgspec.Meta(max_length=96)]
    count: _Count
    #: Some of them, the one that came closest first.
    names: tuple[str, ...] = ()
    #: What that one lacked, as a part of a sentence; what the others lacked is of the same kinds.
    says: Annotated[str, msgspec.Meta(max_length=160)] = ""


class MachinesThen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The machines of the cell as a job found them when its pool was decided."""

    #: Those that would have had it done first; the first of them is the one that was meant to.
    best: tuple[ExpectedOn, ...] = ()
    #: How many more could run it.
    more_fit: _Count = 0
    #: Those that could not, the closest first, and how many more.
    turned_down: tuple[TurnedDown, ...] = ()
    more_turned_down: _Count = 0


class PoolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What the decision matrix says, before anybody looks at machines."""

    pool: Pool
    #: Name of the matrix row that accepted the job, as in the docs.
    row: Annotated[str, msgspec.Meta(max_length=64)]
    because: _Sentence
    rejected: tuple[Rejection, ...] = ()
    #: Whether the terms of its tenant promise the pool (spec, "Guaranteed Routing"): then it never falls back to another.
    guaranteed: bool = False


class RoutingDecision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a job waits in the pool in which it waits; stored with the job and in the history."""

    pool: Pool
    route: Route
    #: What the matrix would have chosen, had every pool a fit machine.
    optimal: Pool
    row: Annotated[str, msgspec.Meta(max_length=64)]
    because: _Sentence
    estimate: DurationEstimate
    #: Pools that were passed over, in the order in which they were looked at.
    rejected: tuple[Rejection, ...] = ()
    guaranteed: bool = False
    #: Machines of the chosen pool that could run it when it was routed, and those that held all its models.
    fit_machines: Annotated[int, msgspec.Meta(ge=0)] = 0
    holders: Annotated[int, msgspec.Meta(ge=0)] = 0
    #: What would have to change before anybody can run it; empty: somebody can.
    unservable: _Sentence = ""
    #: Of the workload (`Workload.shape`, `Workload.modalities`), and how large it is (`FinishedRun.work`): by what runs are compared later.
    shape: Annotated[str, msgspec.Meta(max_length=128)] = ""
    modalities: tuple[Modality, ...] = ()
    work: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    #: What was done or seen beside that: a fetch ordered, a model that nobody declared.
    notes: tuple[_Sentence, ...] = ()
    #: Who may serve it soon where nobody can yet: machines that were started or have joined, and are not ready; empty: nobody is needed.
    coming: _Sentence = ""
    #: What the machines were like; None: nobody looked, or an earlier version stored it.
    machines: MachinesThen | None = None
    #: The priority that its submitter asked for, if it was raised; by how much, and who did: a pool, or the terms of its tenant.
    asked_priority: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    raised_by: _Count = 0
    raised_because: Annotated[str, msgspec.Meta(max_length=64)] = ""

    @property
    def only_lacks_machines(self) -> tuple[Pool, ...]:
        """Where it would go if a machine that fits were there: its pool, and those that were passed over for that reason alone."""
        others = [pool for one in self.rejected if one.code == NO_MACHINE for pool in one.subject.split(", ")]
        return tuple(dict.fromkeys((self.pool, *others)))
