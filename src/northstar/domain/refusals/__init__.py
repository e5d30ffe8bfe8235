"""What the queue says no to, by name. The name is the same word that the function library answers with.

Every module of this package is imported here, so that `REFUSALS` is whole whichever of them is asked for.
"""

from __future__ import annotations

from northstar.domain.refusals.admission import (
    InviteExists,
    InviteExpired,
    InviteRevoked,
    InviteTooLong,
    InviteUnknown,
    InviteUsedUp,
    MachineNameTaken,
    NoSuchInvite,
    NoSuchToken,
    TokenExpired,
    TokenOfAnotherMachine,
    TokenReplaced,
    TokenRevoked,
    TokenUnknown,
    TokenWaiting,
    TooManyInvites,
    TooManyTokens,
)
from northstar.domain.refusals.cells import (
    BadArgument,
    CellDamaged,
    CellMissing,
    CellNotOpen,
    ClockArgument,
    ClockMismatch,
    HistoryElsewhere,
    KeysMismatch,
    LibraryChanged,
    LibraryFault,
    RightsMissing,
    SchemaUnsupported,
    TooManyPauses,
    TooManyWords,
)
from northstar.domain.refusals.documents import (
    DocumentChanged,
    DocumentsTooLarge,
    DocumentTooLarge,
    TooManyDocuments,
)
from northstar.domain.refusals.jobs import (
    JobCanceled,
    JobFinished,
    JobInTransfer,
    JobStarted,
    JobUnreadable,
    LaneChanged,
    LeaseLost,
    NoSuchJob,
    NotDead,
    NotInTransfer,
    ResultTooLarge,
    TransferRefused,
)
from northstar.domain.refusals.machines import (
    AlreadyFetching,
    DescriptionTooLarge,
    FetchInFlight,
    LaneDoesNotFit,
    MachineReplaced,
    NodeSetNotNamed,
    NoSuchMachine,
    NoSuchOrder,
    NotFetching,
    TooManyCandidates,
    TooManyFetches,
    TooManyMachines,
    TooManyNodeSets,
    TooManyOrders,
    TooManyProfiles,
    TooMuchNews,
)
from northstar.domain.refusals.root import QueueRefusal
from northstar.domain.refusals.submissions import (
    BodyTooLarge,
    CellFull,
    EventsBacklog,
    IdempotencyKeyReused,
    JobExists,
    TenantFull,
    TooManyClasses,
    TooManyLanes,
    UnknownWord,
)

__all__ = [
    "REFUSALS",
    "AlreadyFetching",
    "BadArgument",
    "BodyTooLarge",
    "CellDamaged",
    "CellFull",
    "CellMissing",
    "CellNotOpen",
    "ClockArgument",
    "ClockMismatch",
    "DescriptionTooLarge",
    "DocumentChanged",
    "DocumentTooLarge",
    "DocumentsTooLarge",
    "EventsBacklog",
    "FetchInFlight",
    "HistoryElsewhere",
    "IdempotencyKeyReused",
    "InviteExists",
    "InviteExpired",
    "InviteRevoked",
    "InviteTooLong",
    "InviteUnknown",
    "InviteUsedUp",
    "JobCanceled",
    "JobExists",
    "JobFinished",
    "JobInTransfer",
    "JobStarted",
    "JobUnreadable",
    "KeysMismatch",
    "LaneChanged",
    "LaneDoesNotFit",
    "LeaseLost",
    "LibraryChanged",
    "LibraryFault",
    "MachineNameTaken",
    "MachineReplaced",
    "NoSuchInvite",
    "NoSuchJob",
    "NoSuchMachine",
    "NoSuchOrder",
    "NoSuchToken",
    "NodeSetNotNamed",
    "NotDead",
    "NotFetching",
    "NotInTransfer",
    "QueueRefusal",
    "ResultTooLarge",
    "RightsMissing",
    "SchemaUnsupported",
    "TenantFull",
    "TokenExpired",
    "TokenOfAnotherMachine",
    "TokenReplaced",
    "TokenRevoked",
    "TokenUnknown",
    "TokenWaiting",
    "TooManyCandidates",
    "TooManyClasses",
    "TooManyDocuments",
    "TooManyFetches",
    "TooManyInvites",
    "TooManyLanes",
    "TooManyMachines",
    "TooManyNodeSets",
    "TooManyOrders",
    "TooManyPauses",
    "TooManyProfiles",
    "TooManyTokens",
    "TooManyWords",
    "TooMuchNews",
    "TransferRefused",
    "UnknownWord",
    "refusal",
]


def _leaves(kind: type[QueueRefusal]) -> list[type[QueueRefusal]]:
    return [leaf for child in kind.__subclasses__() for leaf in (child, *_leaves(child))]


REFUSALS: dict[str, type[QueueRefusal]] = {kind.code: kind for kind in _leaves(QueueRefusal)}


def refusal(code: str, facts: dict[str, str] | None = None) -> QueueRefusal:
    """The typed error for a refusal's name; an unknown name keeps its code in the facts."""
    kind = REFUSALS.get(code)
    return kind(facts) if kind else QueueRefusal({"code": code, **(facts or {})})
