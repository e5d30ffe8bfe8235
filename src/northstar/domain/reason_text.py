"""Reasons in words: each sentence is made of the fields of a reason and of nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.domain.progress_text import bytes_text, printable

if TYPE_CHECKING:
    from northstar.domain.reasons import MachineGroup, Patience, Reason


def describe_patience(patience: Patience) -> str:
    """How long, and what it follows from.

    >>> from northstar.domain.reasons import Patience
    >>> describe_patience(
    ...     Patience(left_s=5.2, whole_s=9, missing_bytes=6_500_000_000, bytes_per_s=48e6, holders=2, jobs=7)
    ... )
    'for 5.2 s more (9.0 s in all: it would fetch 6.5 GB at 48 MB/s, and 7 jobs wait for 2 machines that could start sooner)'
    """
    if patience.coming_s:
        cost = f"what it fetches already comes in {patience.coming_s:.1f} s"
    elif patience.engine_names_others:
        cost = "its engine does not name them"
    elif patience.missing_bytes:
        speed = f"at {patience.bytes_per_s / 1e6:.0f} MB/s" if patience.bytes_per_s else "over a line not measured yet"
        cost = f"it would fetch {bytes_text(patience.missing_bytes)} {speed}"
    else:
        cost = "it would load it from its disk"
    better = "machine that could start sooner" if patience.holders == 1 else "machines that could start sooner"
    jobs = "job waits" if patience.jobs == 1 else "jobs wait"
    return (
        f"for {patience.left_s:.1f} s more ({patience.whole_s:.1f} s in all: {cost}, "
        f"and {patience.jobs} {jobs} for {patience.holders} {better})"
    )


def describe_reason(reason: Reason) -> str:
    """Why a machine, or each of several, does not run the job now.

    >>> from northstar.domain.reasons import Reason
    >>> describe_reason(Reason(code="paused", scope="pool:heavy", says="upkeep"))
    'pool heavy is paused: upkeep'
    """
    match reason.code:
        case "does_not_fit":
            text = ", ".join(lack.says for lack in reason.lacks)
        case "leaves_to_holders" if reason.patience is not None:
            text = f"fits, and leaves it to machines that hold its models {describe_patience(reason.patience)}"
        case "paused":
            text = f"{reason.scope.replace(':', ' ')} is paused: {reason.says}"
        case "out_of_work" if reason.says:
            text = f"fits, and its engine is out: {reason.says}"
        case "no_room":
            text = f"fits, and has {reason.free_mb} MB of VRAM free, the job needs {reason.needs_mb}"
        case "others_first" if reason.ahead:
            comes = "job comes" if reason.ahead == 1 else "jobs come"
            text = f"fits and has room; {reason.ahead} {comes} first"
        case _:
            text = _PLAIN[reason.code]
    return printable(f"{text}{_left_to_engine(reason)}")


def _left_to_engine(reason: Reason) -> str:
    """Of a machine that fetches nothing, what its engine must have.

    >>> from northstar.domain.reasons import Reason
    >>> _left_to_engine(Reason(code="takes_it", engine_must_have=("flux",)))
    '; it keeps no models folder, so its engine must have flux itself'
    """
    if not reason.engine_must_have:
        return ""
    names = ", and names other models" if reason.engine_names_others else ""
    return f"; it keeps no models folder, so its engine must have {', '.join(reason.engine_must_have)} itself{names}"


_PLAIN: Final[dict[str, str]] = {
    "busy": "fits, and all its slots are busy",
    "overdue_first": "fits, and keeps its room for a job that is overdue and needs more memory than is free",
    "draining": "fits, and drains: it gets no new work",
    "out_of_work": "fits, and asks for no work at this moment",
    "leaves_to_holders": "fits, and leaves it to machines that hold its models",
    "others_first": "fits and has room; other jobs come first",
    "takes_it": "fits and has room: takes it next",
}


def describe_of_machine(reason: Reason) -> str:
    """The same as part of a sentence about one machine.

    >>> from northstar.domain.reasons import Reason
    >>> describe_of_machine(Reason(code="takes_it"))
    'the machine fits and has room: takes it next'
    """
    return describe_reason(reason) if reason.code == "paused" else f"the machine {describe_reason(reason)}"


def describe_group(group: MachineGroup) -> str:
    """A group of machines in one line.

    >>> from northstar.domain.reasons import MachineGroup, Reason
    >>> describe_group(MachineGroup(count=40, names=("g1", "g2"), reason=Reason(code="busy"), gpu="RTX 4090", slots=80, used=80))
    '40 machines (g1, g2, …; RTX 4090): fits, and all its slots are busy (80 of 80)'
    """
    named = ", ".join(group.names) + (", …" if group.count > len(group.names) else "")
    about = f"{named}; {group.gpu}" if group.gpu else named
    who = f"{group.count} machines ({about})" if group.count > 1 else named + (f" ({group.gpu})" if group.gpu else "")
    slots = f" ({group.used} of {group.slots})" if group.reason.code == "busy" else ""
    return printable(f"{who}: {describe_reason(group.reason)}{slots}")
