"""What a machine lacks for a job, with a name for each need, and how close it comes; from the one judgement of fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from northstar.domain.reasons import Lack, Need
from northstar.policy.routing.fit import EXCLUSIVE_POOLS, decide_fit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.domain.machines import MachineProfile
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
UNREADABLE: Final = Lack("other", "says what it offers in a way that this version cannot read")
#: What nobody can give a machine that is there: its memory, and the place where it stands.
_FIXED: Final[frozenset[Need]] = frozenset({"vram", "region", "other"})


class Nearness(NamedTuple):
    """How far machines of a profile are from serving a class; the least is the nearest."""

    needs: int
    #: Kept for others: it is not for this job to ask for them.
    is_apart: bool
    #: Needs that nobody can meet on that machine.
    fixed: int
    #: Less memory is farther.
    minus_vram_mb: int


#: Of a profile that cannot be read.
NOWHERE_NEAR: Final = Nearness(needs=99, is_apart=False, fixed=99, minus_vram_mb=0)


def lacks_of(profile: str, wanted: RequirementClass, snapshot: CellSnapshot) -> tuple[Lack, ...]:
    """Every need of the class that machines of the profile, named by its id, do not meet; none means they fit."""
    offered = snapshot.profiles.get(profile)
    if offered is None:
        return (UNREADABLE,)
    return lacking(offered, wanted, snapshot)


def lacking(offered: MachineProfile, wanted: RequirementClass, snapshot: CellSnapshot) -> tuple[Lack, ...]:
    """The same of a profile that need not be one of the cell."""
    return tuple(Lack(need_of(reason), reason) for reason in decide_fit(offered, wanted, snapshot.node_sets).reasons)


def nearness(profile: str, lacks: Iterable[Lack], wanted: RequirementClass, snapshot: CellSnapshot) -> Nearness:
    """How far machines of the profile are, which lack this."""
    offered = snapshot.profiles.get(profile)
    if offered is None:
        return NOWHERE_NEAR
    needs = [lack.need for lack in lacks]
    is_apart = (is_kept(offered) and wanted.pool not in offered.pools) or (
        offered.dedicated_to is not None and offered.dedicated_to != wanted.isolation
    )
    return Nearness(len(needs), is_apart, sum(map(is_fixed, needs)), -offered.vram_mb)


def is_kept(offered: MachineProfile) -> bool:
    """Whether machines of the profile are for a pool that does no other work."""
    return offered.exclusive or EXCLUSIVE_POOLS.issuperset(offered.pools)


def is_fixed(need: Need) -> bool:
    """Whether it is a need that nobody can meet on a machine that does not."""
    return need in _FIXED


def in_nearest_pool(wanted: RequirementClass, pools: Iterable[str], snapshot: CellSnapshot) -> RequirementClass:
    """The class in that one of the pools in which some machine comes closest to serving it; its own, if it is as near there.

    A job that waits goes to any of them as soon as a machine there can have it.
    """
    home, best = wanted, NOWHERE_NEAR
    candidates = [wanted, *(msgspec.structs.replace(wanted, pool=pool) for pool in pools)]
    for name in dict.fromkeys(machine.profile for machine in snapshot.machines.values()):
        offered = snapshot.profiles.get(name)
        if offered is None:
            continue
        # Only in a pool of its own can it lack less than in another.
        asked = next((one for one in candidates if one.pool in offered.pools), wanted)
        near = nearness(name, lacks_of(name, asked, snapshot), asked, snapshot)
        if near < best or (near == best and asked == wanted):
            home, best = asked, near
    return home


def need_of(reason: str) -> Need:
    """The need that a reason of `decide_fit` is about."""
    return next((need for start, need in _NEEDS if reason.startswith(start)), "other")
