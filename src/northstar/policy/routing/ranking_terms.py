"""What every ranking of machines goes by beside the machines themselves, so that submissions and plans rank alike."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.policy.fleet.pool_stance import EDGE_TAG
from northstar.policy.routing.gpu_pace import NO_PACES, GpuPaces

if TYPE_CHECKING:
    from northstar.domain.pools import Pools
    from northstar.policy.routing.snapshot import CellSnapshot


#: A pace that moves by less, since machines were last ranked by it, is the same pace: each finished run moves it a little.
SAME_PACE_WITHIN: Final = 0.1


class RankingTerms(msgspec.Struct, frozen=True):
    """How fast classes of GPU are, and which pools' work goes to machines near its users before equal ones."""

    paces: GpuPaces = NO_PACES
    near: frozenset[str] = frozenset()

    def rank_as(self, before: RankingTerms) -> bool:
        """Whether what was ranked by those before may stay: the same pools, and every GPU about as fast."""
        return self.near == before.near and not self.paces.moved_from(before.paces, by=SAME_PACE_WITHIN)

    def far_profiles(self, snapshot: CellSnapshot) -> frozenset[str]:
        """Profiles of machines that do not stand near users; none where no pool asks."""
        if not self.near:
            return frozenset()
        return frozenset(name for name, profile in snapshot.profiles.items() if EDGE_TAG not in profile.tags)

    def near_lanes(self, snapshot: CellSnapshot) -> frozenset[str]:
        """Lanes of those pools."""
        if not self.near:
            return frozenset()
        classes = {name for name, wanted in snapshot.classes.items() if wanted.pool in self.near}
        return frozenset(lane.id for lane in snapshot.lanes.values() if lane.requirement_class in classes)


NO_TERMS: Final = RankingTerms()


def ranking_terms(pools: Pools, paces: GpuPaces) -> RankingTerms:
    """By these pools; times in the queue are those of the GPU by which most of them count."""
    specs = pools.pools.values()
    counts = Counter(spec.compute.reference_gpu for spec in specs if spec.compute.reference_gpu)
    reference = min(counts, key=lambda name: (-counts[name], name), default="")
    near = frozenset(name for name, spec in pools.pools.items() if spec.scaling.prefers_edge)
    return RankingTerms(paces.beside(reference) if reference else paces, near)
