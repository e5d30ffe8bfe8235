"""Whether machines of a profile can serve a requirement class at all. Decided once per pair and remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from northstar.domain.machines import MachineProfile
    from northstar.domain.requirements import RequirementClass


class FitDecision(msgspec.Struct, frozen=True):
    """`reasons` against; none means it fits."""

    reasons: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


def _missing(wanted: tuple[str, ...], offered: tuple[str, ...]) -> str:
    return ", ".join(sorted(set(wanted) - set(offered)))


def decide_fit(profile: MachineProfile, wanted: RequirementClass) -> FitDecision:
    """Compare a profile with a class; every reason against is named.

    Isolation goes both ways: isolated work runs only on machines dedicated to it, and these run nothing else.
    """
    reasons: list[str] = []
    if wanted.pool not in profile.pools:
        reasons.append(f"is in pool {', '.join(profile.pools)}, not {wanted.pool}")
    if wanted.service not in profile.services:
        reasons.append(f"does not offer service {wanted.service}")
    if wanted.vram_mb > profile.vram_mb:
        reasons.append(f"has {profile.vram_mb} MB of VRAM, the job needs {wanted.vram_mb}")
    if missing := _missing(wanted.node_packs, profile.node_packs):
        reasons.append(f"lacks node packs {missing}")
    if missing := _missing(wanted.tags, profile.tags):
        reasons.append(f"lacks tags {missing}")
    if wanted.isolation != profile.dedicated_to:
        reasons.append(f"is dedicated to {profile.dedicated_to or 'nobody'}, the job to {wanted.isolation or 'nobody'}")
    return FitDecision(tuple(reasons))
