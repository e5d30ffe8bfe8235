"""Why a job ran where it ran, out of the decision that the router stored with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from northstar.domain.decisions import Rejection, RoutingDecision
from northstar.domain.estimates import DurationEstimate
from northstar.domain.stored_decisions import read_stored
from northstar.store.cell import Cell

#: Pools against which the same speaks are one subject.
_SEVERAL: Final = re.compile(r", | and ")
#: Codes that name what speaks against a pool only to whoever knows them.
_BY_REASON: Final = frozenset({"modality", "modality-unknown"})


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """A decision in words, as the table and the page show it."""

    pool: str
    #: How it came there, as `northstar.domain.decisions.Route` says it, and the pool that the matrix wanted.
    route: str
    optimal: str
    because: str
    #: How long it was expected to take, and who says so.
    estimate: str
    #: Pools that were passed over, and why; empty: none was.
    passed_over: str


async def read_reasons(cell: Cell, job_ids: Sequence[str]) -> dict[str, Reason]:
    """The decisions of these jobs. Raises Unavailable."""
    reply = await cell.inspect(job_ids, decisions=True)
    return {job.id: reason_of(read_stored(job.decision)) for job in reply.jobs}


def reason_of(decision: RoutingDecision) -> Reason:
    """The decision in words."""
    return Reason(
        pool=decision.pool,
        route=decision.route,
        optimal=decision.optimal,
        because=_wanted(decision) + decision.because,
        estimate=_estimate(decision.estimate),
        passed_over=passed_over(decision.rejected, chosen=decision.pool),
    )


def passed_over(rejected: Iterable[Rejection], *, chosen: str = "") -> str:
    """Pools by what speaks against them, in the order in which they were looked at; each but the chosen one, with its first reason.

    >>> passed_over([
    ...     Rejection(subject="lightning", code="too-long", reason="…"), Rejection(subject="fast-lane", code="too-long", reason="…"),
    ...     Rejection(subject="standard-art", code="no-machine", reason="…"),
    ... ])
    'lightning and fast-lane (too long), standard-art (no machine)'
    """
    said: dict[str, str] = {}
    for one in rejected:
        for pool in _SEVERAL.split(one.subject):
            if pool != chosen:
                said.setdefault(pool, _briefly(one))
    by_words: dict[str, list[str]] = {}
    for subject, words in said.items():
        by_words.setdefault(words, []).append(subject)
    return ", ".join(f"{_listed(pools)} ({words})" for words, pools in by_words.items())


def _briefly(one: Rejection) -> str:
    """A few words: those of the code, or, where these say too little, what the pool takes, without what the job makes."""
    return one.reason.partition(",")[0] if one.code in _BY_REASON else one.code.replace("-", " ")


def _wanted(decision: RoutingDecision) -> str:
    """What was wanted where another pool was taken, and why it was not to be had."""
    if decision.route != "fallback":
        return ""
    against = next(
        (one.reason for one in reversed(decision.rejected) if decision.optimal in _SEVERAL.split(one.subject)),
        "it could not",
    )
    return f"the matrix wants {decision.optimal}, but {against}; "


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _estimate(estimate: DurationEstimate) -> str:
    said = {
        "declared": "its submitter says so",
        "rules": "by rules of thumb",
        "rules-without-history": "by rules of thumb, the history could not be read",
    }.get(estimate.source, f"learned from {estimate.runs} runs ({estimate.source})")
    seconds = f"{estimate.p50_s:.0f}" if estimate.p50_s >= 100 else f"{estimate.p50_s:.3g}"
    on = f" on {estimate.gpu_class}" if estimate.gpu_class else ""
    return f"{seconds} s{on}, {said}"
