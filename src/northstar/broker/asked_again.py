"""A job that a cell has already, as if it were submitted now: what is decided for it anew, and what its time is looked up by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.jobs import JobBody, JobRequest

if TYPE_CHECKING:
    from northstar.domain.decisions import RoutingDecision

#: The source of an estimate that is its submitter's word.
_DECLARED: Final = "declared"


def asked_again(body: str, *, tenant: str, before: RoutingDecision | None) -> JobRequest:
    """The job without a pool. Its priority and cost are in the queue already and do not change.

    What its submitter said of its time is known from the decision that went by it, if there is one.

    Raises:
        msgspec.MsgspecError: this version cannot read its body.
    """
    read = msgspec.json.decode(body, type=JobBody)
    return JobRequest(
        service=read.service,
        payload=read.payload,
        requires=read.requires,
        tenant=tenant,
        user=read.user,
        speciality=read.speciality,
        expected_s=declared_s(before) or None,
    )


def declared_s(before: RoutingDecision | None) -> float:
    """Seconds that the submitter said, where its decision went by that; else 0."""
    said = None if before is None else before.estimate
    return said.p50_s if said is not None and said.source == _DECLARED else 0.0
