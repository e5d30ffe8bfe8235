"""Which outputs go: those that were kept long enough, and the oldest of the others where there is no room for all.

Never those of a job that is unfinished, and never before the least time, whatever the room: whoever waits for a result
must be able to fetch it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Why outputs go ("old", "no room") or stay ("unfinished", "young", "kept").
Why: TypeAlias = Literal["old", "no room", "unfinished", "young", "kept"]


class RetentionRule(msgspec.Struct, frozen=True, kw_only=True):
    """How long, and how much at most. Times in milliseconds."""

    #: Outputs older than this go.
    keep_ms: int
    #: All outputs of a cell together; 0: no limit.
    limit_bytes: int
    #: Outputs younger than this stay, even beyond the limit.
    least_ms: int

    def excess_bytes(self, total_bytes: int) -> int:
        """What must go of so many bytes to keep within the limit."""
        return max(0, total_bytes - self.limit_bytes) if self.limit_bytes else 0


class JobOutputs(msgspec.Struct, frozen=True, kw_only=True):
    """Files that one job left. Times in ms since epoch by the cell's clock."""

    job: str
    size_bytes: int
    #: When the last of them was written.
    written_ms: int
    #: When the job finished; 0 if nobody knows the job any more, None if it is unfinished.
    finished_ms: int | None

    def age_ms(self, now_ms: int) -> int:
        """How long they could have been fetched as a result."""
        return now_ms - max(self.written_ms, self.finished_ms or 0)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a job's outputs, and why."""

    job: str
    size_bytes: int
    goes: bool
    why: Why


def judge(outputs: Iterable[JobOutputs], *, now_ms: int, excess_bytes: int, rule: RetentionRule) -> list[Verdict]:
    """A verdict on each job's outputs, oldest first; `excess_bytes` is what must go for room, of these or of younger ones."""
    verdicts: list[Verdict] = []
    for one in sorted(outputs, key=lambda one: (-one.age_ms(now_ms), one.job)):
        why = _why(one, now_ms=now_ms, excess_bytes=excess_bytes, rule=rule)
        goes = why in {"old", "no room"}
        verdicts.append(Verdict(job=one.job, size_bytes=one.size_bytes, goes=goes, why=why))
        if goes:
            excess_bytes -= one.size_bytes
    return verdicts


def _why(one: JobOutputs, *, now_ms: int, excess_bytes: int, rule: RetentionRule) -> Why:
    if one.finished_ms is None:
        return "unfinished"
    age_ms = one.age_ms(now_ms)
    if age_ms < rule.least_ms:
        return "young"
    if age_ms >= rule.keep_ms:
        return "old"
    return "no room" if excess_bytes > 0 else "kept"
