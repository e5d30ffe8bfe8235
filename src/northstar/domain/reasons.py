"""Why a machine does not run a job now, as facts; `reason_text` makes the sentences of them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

#: Groups, lanes and fetches that one explanation shows; of the rest it says how many there are.
MOST_SHOWN: Final = 20
#: Machines of a group, or lanes of a reason, that are named.
MOST_NAMED: Final = 3

_Count = Annotated[int, msgspec.Meta(ge=0)]

#: What a machine may lack for a job. `other`: only its sentence tells.
Need = Literal["pool", "service", "vram", "node_packs", "node_classes", "tags", "region", "isolation", "other"]

#: Why a machine does not run a job now.
#: does_not_fit: see `lacks` · busy: it fits, and no slot is free · no_room: it fits, and so much memory is promised to jobs that
#: run there that `needs_mb` are not free · overdue_first: it keeps its room for an overdue job that needs more · leaves_to_holders: it fits and is free, and leaves the job to
#: machines that hold its models for a while, see `patience` · draining: it gets no new work · paused: nothing of `scope` is given
#: out · out_of_work: it is registered and asks for no work, see `says` · others_first: it takes work for which it is better
#: placed, or which comes first · takes_it: nothing is against it, the job is its next.
ReasonCode = Literal[
    "does_not_fit",
    "busy",
    "no_room",
    "overdue_first",
    "leaves_to_holders",
    "draining",
    "paused",
    "out_of_work",
    "others_first",
    "takes_it",
]


class Lack(msgspec.Struct, frozen=True):
    """A need that a machine does not meet, and the sentence, without subject and full stop, that names what is missing."""

    need: Need
    says: str


class Patience(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How long a machine that lacks models leaves a lane to others, and what that follows from (delay scheduling)."""

    #: Seconds from now until it takes the lane's next job itself, if it is free then.
    left_s: float
    #: Seconds that the lane's oldest job must have waited in all.
    whole_s: float
    #: What it would have to begin to fetch.
    missing_bytes: _Count
    #: Its download speed as measured, or what is usual in the fleet where it was not; 0: none is, then `ASSUMED_BYTES_PER_S` counts.
    bytes_per_s: float
    #: Machines that could start sooner, and the jobs that wait for them.
    holders: _Count
    jobs: _Count
    #: Seconds until what is on its way to it already should be there.
    coming_s: float = 0.0
    #: It keeps no models folder, and its engine names models and not these: it fetches nothing, and waits as one that would.
    engine_names_others: bool = False


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a machine does not run a job now; of the fields only those that its code speaks of are set."""

    code: ReasonCode
    lacks: tuple[Lack, ...] = ()
    patience: Patience | None = None
    #: What is paused: `cell` or `pool:NAME`.
    scope: str = ""
    #: What a pause's author or the machine itself says.
    says: str = ""
    #: Memory that the job needs and that is free, MB.
    needs_mb: _Count = 0
    free_mb: _Count = 0
    #: Jobs that come before this one.
    ahead: _Count = 0
    #: Some of the models that its engine must have, since it keeps no models folder, and that it is not known to hold; and whether its
    #: engine names others.
    engine_must_have: tuple[str, ...] = ()
    engine_names_others: bool = False


class MachineGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Machines of one profile for which the same reason holds. Of patience it gives the one that ends first."""

    count: _Count
    #: The first of them: of patience those whose patience ends first, then as the cell ranks them for the lane, then by name.
    names: tuple[str, ...]
    reason: Reason
    pools: tuple[str, ...] = ()
    gpu: str = ""
    slots: _Count = 0
    used: _Count = 0


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """All machines of a cell, grouped; those that could run the job soonest come first. The rest is counted."""

    shown: tuple[MachineGroup, ...] = ()
    more_groups: _Count = 0
    more_machines: _Count = 0
