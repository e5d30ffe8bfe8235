"""What a machine lacks for a job, with a name for each need, from the one judgement of fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.domain.reasons import Lack, Need
from northstar.policy.routing.fit import decide_fit

if TYPE_CHECKING:
    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.snapshot import CellSnapshot

#: How the reasons of `decide_fit` begin. One that begins otherwise is told all the same, as a need of no name.
_NEEDS: Final[tuple[tuple[str, Need], ...]] = (
    ("is in pool ", "pool"),
    ("is kept for pool ", "pool"),
    ("does not offer service ", "service"),
    ("has not told its node classes", "node_classes"),
    ("has ", "vram"),
    ("lacks node packs ", "node_packs"),
    ("lacks node classes ", "node_classes"),
    ("does not tell which node classes", "node_classes"),
    ("lacks tags ", "tags"),
    ("is in region ", "region"),
    ("is dedicated to ", "isolation"),
)


#: Of a machine whose profile this version cannot read.
_UNREADABLE: Final = Lack("other", "says what it offers in a way that this version cannot read")


def lacks_of(profile: str, wanted: RequirementClass, snapshot: CellSnapshot) -> tuple[Lack, ...]:
    """Every need of the class that machines of the profile, named by its id, do not meet; none means they fit."""
    offered = snapshot.profiles.get(profile)
    if offered is None:
        return (_UNREADABLE,)
    return tuple(Lack(_need_of(reason), reason) for reason in decide_fit(offered, wanted, snapshot.node_sets).reasons)


def _need_of(reason: str) -> Need:
    return next((need for start, need in _NEEDS if reason.startswith(start)), "other")
