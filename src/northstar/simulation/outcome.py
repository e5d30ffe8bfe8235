"""What came of a simulation: every job's way, and what the fleet cost. Moments are ms from the beginning; the same inputs give the same bytes."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

#: waiting: it had not begun when the simulation ended · refused: the broker did not take it.
Ending = Literal["succeeded", "failed", "expired", "canceled", "waiting", "running", "refused"]


class EarlierRun(msgspec.Struct, frozen=True, array_like=True):
    """A run that did not stand, or that went on when its job was over: where, and from when to when."""

    machine: str
    taken_ms: int
    left_ms: int


class Span(msgspec.Struct, frozen=True, array_like=True):
    """One time that a machine was paid for which follows its queue."""

    machine: str
    from_ms: int
    until_ms: int


class FetchedApart(msgspec.Struct, frozen=True, array_like=True):
    """Bytes that came for no job within one minute: that were ordered, or came when the run that they were for was over."""

    minute: int
    fetched_bytes: int
    redundant_bytes: int


class JobOutcome(msgspec.Struct, frozen=True, array_like=True):
    """One job. 0 and empty are "not": it never came so far."""

    number: int
    tenant: str
    ending: Ending
    submitted_ms: int
    #: When its last machine took it, when the work itself began there (models fetched and loaded; None: it never did, or the job waits
    #: again), and when it ended.
    taken_ms: int = 0
    began_ms: int | None = None
    ended_ms: int = 0
    machine: str = ""
    gpu_class: str = ""
    #: Where it ran, and which pool the matrix wanted.
    pool: str = ""
    optimal: str = ""
    #: Bytes that had to come before its runs could begin, those of them that the fleet had fetched before, and whether an anchor model
    #: had to come for its last run.
    fetched_bytes: int = 0
    redundant_bytes: int = 0
    is_cold: bool = False
    #: Machines that took it.
    claims: int = 0
    #: What its work was expected to take when it was submitted, and takes where it began, seconds.
    expected_s: float = 0.0
    ran_s: float = 0.0
    #: Of one that failed or was refused.
    code: str = ""
    #: When its last machine was done with it, or the simulation over.
    left_ms: int = 0
    #: Its runs before that one.
    earlier: tuple[EarlierRun, ...] = ()

    @property
    def waited_s(self) -> float:
        """From submit to the beginning of the work; infinity where it never began."""
        return math.inf if self.began_ms is None else (self.began_ms - self.submitted_ms) / 1000


class PoolUse(msgspec.Struct, frozen=True, kw_only=True):
    """Machines of the pool: a machine that serves several counts for each in equal parts. Seconds of slots."""

    busy_s: float
    paid_s: float
    cost_usd: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A whole simulation. `jobs` is empty where they were told one by one."""

    policy: str
    seed: int
    submitted: int
    endings: dict[str, int]
    ended_ms: int
    fetches: int
    fetched_bytes: int
    #: Of these, fetches and bytes of files that the fleet had fetched before.
    redundant: int
    redundant_bytes: int
    machines_lost: int
    pools: dict[str, PoolUse]
    #: Of all bytes, those for no job of it, by the minutes in which they came; the others are told with their jobs.
    apart: tuple[FetchedApart, ...] = ()
    #: What runs did on machines that nobody heard of, after their jobs had ended elsewhere.
    late: tuple[EarlierRun, ...] = ()
    #: When machines were paid for that have no lives of their own, since they followed the queue.
    scaled: tuple[Span, ...] = ()
    jobs: tuple[JobOutcome, ...] = ()

    def encoded(self) -> bytes:
        """The same bytes for the same outcome."""
        return msgspec.json.encode(self, order="deterministic")


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """What it took to simulate; not part of the outcome, since no two runs take the same."""

    wall_s: float
    #: Waiting for the server, which runs the cell's function library.
    server_s: float
    #: Inside the broker's own code, the server's time included: taking jobs in, plans, ticks, rerouting, learning.
    broker_s: float
    calls: int
    plans: int
    looks: int
