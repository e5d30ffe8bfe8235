"""The decision about a job, written down: what the matrix chose, where the job goes, and who was passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.decisions import RoutingDecision
from northstar.policy.routing.duration_rules import work_of

if TYPE_CHECKING:
    from northstar.domain.decisions import PoolChoice, Rejection
    from northstar.domain.estimates import DurationEstimate
    from northstar.domain.workloads import Workload
    from northstar.policy.routing.pool_fallback import PoolCapacity, PoolRoute

#: Pools that were passed over and are named; of more nobody would read.
_MOST_REJECTED: Final = 12
#: As long as the subject of a rejection may be.
_SUBJECT_CHARS: Final = 160


def decision_of(
    choice: PoolChoice,
    route: PoolRoute,
    workload: Workload,
    capacity: PoolCapacity,
    estimate: DurationEstimate,
    *,
    named: str | None,
) -> RoutingDecision:
    """What is known before anybody looks at machines by name; `named` is the pool that its submitter asks for, if any."""
    is_followed = named is None or named == choice.pool
    overruled = "" if is_followed else f"; pool {named}, which its submitter named, is not followed"
    return RoutingDecision(
        pool=route.pool,
        route=route.route,
        optimal=choice.pool,
        row=choice.row,
        because=f"{route.because[: 400 - len(overruled)]}{overruled}",
        estimate=estimate,
        rejected=_together((*choice.rejected, *route.rejected))[:_MOST_REJECTED],
        guaranteed=choice.guaranteed,
        fit_machines=capacity.fit,
        holders=capacity.holders,
        shape=workload.shape[:128],
        modalities=workload.modalities,
        work=work_of(workload),
    )


def _together(rejected: tuple[Rejection, ...]) -> tuple[Rejection, ...]:
    """Pools that were passed over for the same reason one after the other, told at once; as many as a subject has room for."""
    found: list[Rejection] = []
    for one in rejected:
        last = found[-1] if found else None
        if last is not None and (last.code, last.reason) == (one.code, one.reason):
            subject = f"{last.subject}, {one.subject}"
            if len(subject) <= _SUBJECT_CHARS:
                found[-1] = msgspec.structs.replace(last, subject=subject, count=last.count + one.count)
                continue
        found.append(one)
    return tuple(found)
