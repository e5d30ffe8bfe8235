"""Disks from which goes what was used longest ago, as most systems have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.policy.baselines.ordered_eviction import plan_least_recent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from northstar.policy.models.eviction import Candidate as OnDisk
    from northstar.policy.models.eviction import EvictionPlan, EvictionRule


class LeastRecentDisks:
    """The part of a policy that decides what goes from a machine's disk."""

    def evict(
        self,
        candidates: Sequence[OnDisk],
        *,
        need_bytes: int,
        rule: EvictionRule,  # noqa: ARG002 -- North Star's values of files count for nothing here
        names: Mapping[str, str],  # noqa: ARG002
    ) -> EvictionPlan:
        """What was used longest ago."""
        return plan_least_recent(candidates, need_bytes=need_bytes)
