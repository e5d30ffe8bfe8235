"""Whether machines of a profile can serve a requirement class at all. Decided once per pair and remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.requirements import UNIFORM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from northstar.domain.machines import MachineProfile
    from northstar.domain.requirements import RequirementClass

#: Pools that stand apart: a machine that serves nothing else is kept for them, also where pools are switched off.
EXCLUSIVE_POOLS: Final = frozenset({"enterprise"})
#: Why no machine may have work that is barred, and what of every machine is said then.
EXCLUDED: Final = "what the job asks for and what its tenant's terms allow exclude each other"
_BARRED: Final = f"may not run it: {EXCLUDED}"
#: The same of work that is held.
HELD_BACK: Final = "the budget from which the job would be paid is spent"
_HELD: Final = f"may not run it: {HELD_BACK}"
#: Names of node classes that one reason tells; the others are counted.
_NAMED: Final = 5
_NOBODY: Final[Mapping[str, frozenset[str]]] = {}


class FitDecision(msgspec.Struct, frozen=True):
    """`reasons` against; none means it fits.

    `is_final`: nothing but another profile or another class can change it. Else something is not told yet that decides it, and it
    must not be remembered.
    """

    reasons: tuple[str, ...] = ()
    is_final: bool = True

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


def decide_fit(
    profile: MachineProfile, wanted: RequirementClass, node_sets: Mapping[str, frozenset[str]] = _NOBODY
) -> FitDecision:
    """Compare a profile with a class; every reason against is named.

    Isolation goes both ways: isolated work runs only on machines dedicated to it, and these run nothing else. Sovereignty goes
    one way: who asks for regions gets a machine that says it stands in one of them. `node_sets` are the lists of node classes
    that were told, by digest.
    """
    if wanted.is_barred:
        return FitDecision((_BARRED,))
    if wanted.is_held:
        return FitDecision((_HELD,))
    reasons = [*_against_pool(profile, wanted)]
    if wanted.service not in profile.services:
        reasons.append(f"does not offer service {wanted.service}")
    if wanted.vram_mb > profile.vram_mb:
        reasons.append(f"has {profile.vram_mb} MB of VRAM, the job needs {wanted.vram_mb}")
    if missing := missing_packs(wanted.node_packs, profile.node_packs):
        reasons.append(f"lacks node packs {', '.join(missing)}")
    if missing := sorted(set(wanted.tags) - set(profile.tags)):
        reasons.append(f"lacks tags {', '.join(missing)}")
    if wanted.isolation != profile.dedicated_to:
        # To whom is none of the business of whoever's job it is, and such sentences are told to them.
        whose = "nobody" if profile.dedicated_to is None else "others"
        reasons.append(f"is dedicated to {whose}, the job to {wanted.isolation or 'nobody'}")
    if wanted.regions and profile.region not in wanted.regions:
        reasons.append(f"is in region {profile.region or '(none said)'}, not {' or '.join(wanted.regions)}")
    # What is not told yet may be left open only where nothing else speaks against it.
    waits = bool(wanted.node_classes and profile.node_set) and profile.node_set not in node_sets and not reasons
    return FitDecision((*reasons, *_against_nodes(profile, wanted, node_sets)), is_final=not waits)


def missing_packs(wanted: Iterable[str], offered: Iterable[str]) -> list[str]:
    """Packs that are not offered. `pack` is met by every version of it, `pack@1.2` only by the same version.

    An offered `pack` without a version meets no wanted version: nobody knows which it is.

    >>> missing_packs(["impact", "impact@8.1", "impact@8.2"], ["impact@8.1"]), missing_packs(["impact@8.1"], ["impact"])
    (['impact@8.2'], ['impact@8.1'])
    """
    here = {word for pack in offered for word in (pack, pack.partition("@")[0])}
    return sorted(set(wanted) - here)


def _against_pool(profile: MachineProfile, wanted: RequirementClass) -> Iterable[str]:
    if wanted.pool == UNIFORM:
        if profile.exclusive or set(profile.pools) <= EXCLUSIVE_POOLS:
            yield f"is kept for pool {', '.join(profile.pools)}"
    elif wanted.pool not in profile.pools:
        yield not_in_pool(profile, wanted.pool)


def not_in_pool(profile: MachineProfile, pool: str) -> str:
    """The reason of a machine that serves other pools."""
    return f"is in pool {', '.join(profile.pools)}, not {pool}"


def _against_nodes(
    profile: MachineProfile, wanted: RequirementClass, node_sets: Mapping[str, frozenset[str]]
) -> Iterable[str]:
    if not wanted.node_classes:
        return
    if not profile.node_set:
        yield "does not tell which node classes it knows"
    elif profile.node_set not in node_sets:
        yield "has not told its node classes yet"
    elif missing := sorted(set(wanted.node_classes) - node_sets[profile.node_set]):
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        yield f"lacks node classes {', '.join(missing[:_NAMED])}{more}"
