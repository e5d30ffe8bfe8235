"""The queues in which a claim is measured, and the machines that claim from them."""

from __future__ import annotations

from typing import Literal

import msgspec

#: 'all': one machine whose profile serves every lane; 'few': one that serves the first ten; 'in turn': a machine of each
#: profile, one after the other, all of them serving every lane.
Reach = Literal["all", "few", "in turn"]
FEW_LANES = 10
#: Most lanes that policy may name for a machine (`ns.MAX_CANDIDATES`); all others it gets only when they are overdue.
CANDIDATES = 64


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A queue as it is filled, and kept filled: each job taken is replaced by one in the same lane."""

    jobs: int
    lanes: int
    #: All lanes in one requirement class; otherwise each has one of its own.
    one_class: bool = False
    #: Lanes beside that no machine can serve, of higher priority.
    unservable_lanes: int = 0
    #: Jobs at the head that no machine can serve: the oldest, of highest priority, overdue before all others.
    unservable_head: int = 0
    #: Machine profiles that serve every lane, with a machine each.
    profiles: int = 1

    @property
    def hard(self) -> bool:
        return bool(self.unservable_lanes and self.unservable_head and self.profiles > 1)

    @property
    def name(self) -> str:
        """Short and unique within a plan."""
        parts = [f"{self.jobs:,} in {self.lanes:,}"]
        if self.hard:
            parts.append("hard")
        else:
            parts += ["one class"] if self.one_class else []
            parts += [f"{self.unservable_lanes:,} unservable lanes"] if self.unservable_lanes else []
            parts += [f"{self.unservable_head} unservable at head"] if self.unservable_head else []
            parts += [f"{self.profiles} profiles"] if self.profiles > 1 else []
        return ", ".join(parts)

    @property
    def views(self) -> tuple[Reach, ...]:
        """Which machines claim from it."""
        turns: tuple[Reach, ...] = ("in turn",) if self.profiles > 1 else ()
        few: tuple[Reach, ...] = () if self.one_class or self.lanes <= FEW_LANES else ("few",)
        return ("all", *few, *turns)

    @property
    def unservable_jobs(self) -> int:
        """Jobs in unservable lanes: as many as the others up to ten a lane."""
        return min(self.jobs, 10 * self.unservable_lanes) if self.unservable_lanes else 0

    @property
    def bytes_wanted(self) -> int:
        """About what it needs: a waiting job with its age in the file's buffers, and what is kept for each profile and class."""
        classes = 1 if self.one_class else self.lanes + self.unservable_lanes
        return 1_300 * (self.jobs + self.unservable_jobs) + 500 * self.profiles * classes

    def room(self, reach: Reach) -> int:
        """How many jobs may be taken at once while at least half the lanes that the machine sees keep theirs."""
        lanes = min(FEW_LANES if reach == "few" else CANDIDATES, self.lanes)
        return max(1, lanes * (self.jobs // self.lanes) // 2)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured, and how often in a round."""

    shapes: tuple[Shape, ...]
    #: How often a round comes by each view. Short visits spread what others do to the machine evenly over the views.
    visits: int
    #: Single claims in a visit.
    claims: int
    #: Calls of `complete_and_claim` in a visit, and their credits.
    batches: int = 1
    credits_: int = 100


def _plan(sizes: tuple[int, ...], *, lanes: int, profiles: int, visits: int) -> Plan:
    """Every size plain and with all that is hard; in one class, and each hard thing alone, at the middle size.

    The largest size with many lanes is the hard one alone, because to fill it takes minutes.
    """
    middle = sizes[len(sizes) // 2]
    up_to_middle = [jobs for jobs in sizes if jobs <= middle]
    few_lanes = [Shape(jobs=jobs, lanes=10) for jobs in sizes]
    many_lanes = [Shape(jobs=jobs, lanes=lanes) for jobs in up_to_middle]
    one_class = [Shape(jobs=jobs, lanes=lanes, one_class=True) for jobs in up_to_middle]
    alone = [
        Shape(jobs=middle, lanes=lanes, unservable_lanes=lanes),
        Shape(jobs=middle, lanes=lanes, unservable_head=100),
        Shape(jobs=middle, lanes=lanes, profiles=profiles),
    ]
    hard = [
        Shape(jobs=jobs, lanes=lanes, unservable_lanes=lanes, unservable_head=100, profiles=profiles) for jobs in sizes
    ]
    return Plan(shapes=(*few_lanes, *many_lanes, *one_class, *alone, *hard), visits=visits, claims=40)


FULL = _plan((1_000, 100_000, 1_000_000), lanes=1_000, profiles=500, visits=5)
QUICK = _plan((1_000, 20_000), lanes=1_000, profiles=20, visits=2)
