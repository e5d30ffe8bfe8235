"""What is said of a job that was given up because a deadline had passed: which one, and when that was."""

from __future__ import annotations

from typing import Final

from northstar.domain.explanation_words import moment

#: Code of the error, what was to happen in time, and the field of the request that says so.
_DEADLINES: Final = {
    "NS_NOT_STARTED_IN_TIME": ("start", "start_within_s"),
    "NS_NOT_FINISHED_IN_TIME": ("end", "finish_within_s"),
}


def expiry_sentence(code: str, said: str, *, submitted_ms: int, start_by_ms: int, finish_by_ms: int) -> str:
    """The sentence of a job's last error, with the deadline where it is one that was set at submit and passed.

    Args:
        code: the error's code.
        said: its sentence as the queue keeps it, which names no times; what is given for every other error.
        submitted_ms: when the job was submitted, by the cell's clock.
        start_by_ms: its deadlines, by the cell's clock; 0 is none, or none any more.
        finish_by_ms: the same.

    >>> expiry_sentence("NS_NOT_STARTED_IN_TIME", "too late", submitted_ms=1_000, start_by_ms=31_000, finish_by_ms=0)
    'it was to start within 30 s of its submission (start_within_s), by 1970-01-01 00:00:31 UTC, and did not'
    """
    if code not in _DEADLINES:
        return said
    what, field = _DEADLINES[code]
    by_ms = start_by_ms if field == "start_within_s" else finish_by_ms
    if by_ms <= submitted_ms:
        return said
    within_s = (by_ms - submitted_ms) / 1_000
    return f"it was to {what} within {within_s:.10g} s of its submission ({field}), by {moment(by_ms)}, and did not"
