"""What is said at submit of a job that nobody can serve as things are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.requirements import read_anchors, read_class
from northstar.policy.routing.explain_machines import Wait, reasons_of
from northstar.policy.routing.explain_model import NOTHING_KNOWN, where_of
from northstar.policy.routing.explain_remedies import Standstill, standstill_of
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import LaneState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from northstar.domain.explanations import KnownModel
    from northstar.domain.models import ModelNeed
    from northstar.domain.requirements import LaneKey
    from northstar.policy.routing.snapshot import CellSnapshot

#: As long as a sentence of a stored decision may be.
_MOST_CHARS: Final = 400


def standstill_at_submit(
    lane: LaneKey,
    needs: Sequence[ModelNeed],
    snapshot: CellSnapshot,
    *,
    fetching: Sequence[str] = (),
    known: Mapping[str, KnownModel] = NOTHING_KNOWN,
) -> Standstill:
    """Why nobody could run a job that is just submitted, and what to do; both empty if somebody could, now or later.

    `fetching` are models that are under way to a machine, `known` is what the catalogue says of the job's models. A pause is
    no such reason: it ends.
    """
    asked = Wait(
        lane=LaneState(id="", key=lane.key, requirement_class="", anchors=read_anchors(lane.anchors), unfinished=0),
        wanted=read_class(lane.requirement_class),
        now_ms=0,
        submitted_ms=0,
        oldest_ms=0,
        overdue_ms=0,
    )
    reasons = reasons_of(asked, snapshot, PatienceRule())
    able = [machine for machine, reason in reasons if reason.code != "does_not_fit"]
    models = where_of(needs, able, fetching=fetching, known=known)
    found = standstill_of(asked, reasons, snapshot, models=models)
    if not found.because:
        return Standstill()
    return msgspec.structs.replace(found, because=found.because[:_MOST_CHARS])
