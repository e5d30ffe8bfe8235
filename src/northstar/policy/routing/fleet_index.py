"""Which machine has a job done first, found without looking at each: the machines of a snapshot, sorted once.

Machines are numbered in the order in which their next slot is free; a set of machines is a number with one bit for each. So the
machines that fit, and have these models in memory, those on disk, those on their way, are a few ANDs of words, and the best of
such a set is its lowest bit. What a choice costs grows with the kinds of machines (GPUs, links, models held), and with the fleet
only by the length of the words.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.policy.routing.bit_sets import Bits, lowest
from northstar.policy.routing.fit import decide_fit
from northstar.policy.routing.fleet_parts import Part, in_turn, parted, turn_in
from northstar.policy.routing.gpu_pace import NO_PACES
from northstar.policy.routing.holders import Holders, holders_among
from northstar.policy.routing.links import link_rate
from northstar.policy.routing.machine_choice import (
    Completion,
    JobNeed,
    completion,
    expected_completion,
)
from northstar.policy.routing.machine_order import Order, ordered
from northstar.policy.routing.own_work import WaitingLanes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.snapshot import CellSnapshot

#: Classes whose fit is remembered; a cell has fewer.
MAX_CLASSES: Final = 10_000


class Ranked(msgspec.Struct, frozen=True, order=True):
    """A machine, and when it would have the job done; of those that are as soon first one that is known to have its models, or to fetch them.

    Then one with fewer slots used (`candidates.preference_of`), of idle ones that must fetch the one whose turn it is (`fetch_turn`), and
    then by name.
    """

    total_s: float
    #: It keeps no models folder, and is not known to hold all models: its engine must have them.
    left_to_engine: bool
    used: int
    turn: int
    machine: str
    completion: Completion


class FleetIndex:
    """The machines of one snapshot that take work. `before` is an older index, whose decisions on fit are kept where they still hold.

    `paces` are by what the work that machines do already takes on their GPUs.
    """

    def __init__(self, snapshot: CellSnapshot, before: FleetIndex | None = None, *, paces: GpuPaces = NO_PACES) -> None:
        self.snapshot = snapshot
        self.paces = paces
        self._waiting: WaitingLanes | None = None
        self._working = [one for one in snapshot.machines.values() if one.takes_work]
        # Only machines that have a slot free and something running can be short of memory.
        self._tight = sorted({one.vram_free_mb for one in self._working if 0 < one.used < one.slots})
        self._orders: dict[int, Order] = {}
        #: Amounts of memory that were asked for, which are few: so many classes there are.
        self._asked: set[int] = set()
        same = before is not None and (
            before.snapshot.profiles == snapshot.profiles and before.snapshot.node_sets == snapshot.node_sets
        )
        #: Class -> profiles that fit it, as far as anybody has asked.
        self.fits: dict[RequirementClass, tuple[str, ...]] = before.fits if before is not None and same else {}

    @property
    def waiting(self) -> WaitingLanes:
        """The lanes where somebody waits; sorted when the first asks."""
        if self._waiting is None:
            self._waiting = WaitingLanes(self.snapshot)
        return self._waiting

    def order(self, vram_mb: int) -> Order:
        """The machines as a job sees them that needs so much memory; needs that no machine tells apart share one."""
        self._asked.add(vram_mb)
        return self._sorted(vram_mb)

    def _sorted(self, vram_mb: int) -> Order:
        step = bisect_left(self._tight, vram_mb)
        if step not in self._orders:
            self._orders[step] = ordered(self._working, vram_mb, self.paces)
        return self._orders[step]

    def sorted_as(self, before: FleetIndex | None) -> FleetIndex:
        """This index, with its machines sorted for whatever the other was asked for: who does so in a thread is not kept waiting later.

        What nobody has asked the other for is not sorted for the one after this, however often it was before.
        """
        for vram_mb in (0, *(() if before is None else before.asked_for())):
            self._sorted(vram_mb)
        return self

    def asked_for(self) -> list[int]:
        """Amounts of memory that jobs needed for which machines were looked for."""
        return list(self._asked)

    @property
    def gpu_classes(self) -> Iterable[str]:
        """Of the machines that take work."""
        return self.order(0).gpus.keys()

    def fitting(self, wanted: RequirementClass) -> Bits:
        """The machines that fit."""
        if wanted not in self.fits:
            if len(self.fits) >= MAX_CLASSES:
                self.fits.clear()
            sets, profiles = self.snapshot.node_sets, self.snapshot.profiles
            self.fits[wanted] = tuple(
                name for name, profile in profiles.items() if decide_fit(profile, wanted, sets).fits
            )
        sets_by_profile, bits = self.order(wanted.vram_mb).profiles, 0
        for name in self.fits[wanted]:
            bits |= sets_by_profile.get(name, 0)
        return bits

    def holders(self, job: JobNeed) -> Holders:
        """The machines that fit and have all models of the job, in memory or on disk, and those that have all in memory."""
        order = self.order(job.wanted.vram_mb)
        soon = anywhere = resident = self.fitting(job.wanted)
        for name, _ in job.models:
            warm, cold, coming = order.models.of(name)
            here = warm | cold
            soon, anywhere, resident = soon & (here | coming), anywhere & here, resident & warm
        by_pace = sorted((job.pace_on(name), bits) for name, bits in order.gpus.items()) if job.run_s else ()
        return holders_among(
            order.better,
            order.machines,
            job.models,
            sets=(resident, anywhere, soon),
            by_pace=by_pace,
            now_ms=self.snapshot.now_ms,
        )

    def best(self, job: JobNeed) -> Ranked | None:
        """The machine that has the job done first; None if no machine fits."""
        return next(iter(self.ranked(job, 1)), None)

    def ranked(self, job: JobNeed, count: int, *, far: Collection[str] = ()) -> list[Ranked]:
        """So many machines, the soonest first; of those that are as soon the emptier, and then by name.

        Machines of the profiles in `far` stand far from the job's users, where that counts: as good as with another slot used.
        """
        order = self.order(job.wanted.vram_mb)
        far_bits = 0
        for name in far:
            far_bits |= order.profiles.get(name, 0)
        found: list[Ranked] = []
        worst_s = float("inf")
        for part, run_s in self.parts(job):
            for bits, is_far in ((part.bits & ~far_bits, False), (part.bits & far_bits, True)):
                if not bits:
                    continue
                some = Part(bits, part.missing, part.unloaded, part.fetching, part.left_to_engine) if far_bits else part
                found += self._of_part(order, some, job, run_s=run_s, count=count, below_s=worst_s, is_far=is_far)
            if len(found) >= count:
                found = heapq.nsmallest(count, found)
                worst_s = found[-1].total_s
        return sorted(found)

    def alike(self, job: JobNeed, *, but: str) -> Iterator[tuple[Part, Ranked]]:
        """The machines that fit, `but` one, in groups that lack the same and are all free or all not: the group and its soonest machine."""
        order = self.order(job.wanted.vram_mb)
        left_out = next((1 << place for place, one in enumerate(order.machines) if one.id == but), 0)
        free = (1 << bisect_right(order.waits_s, 0.0)) - 1
        for part, run_s in self.parts(job):
            for bits in (part.bits & free & ~left_out, part.bits & ~free & ~left_out):
                if bits:
                    group = Part(bits, part.missing, part.unloaded, part.fetching, part.left_to_engine)
                    yield group, min(self._of_part(order, group, job, run_s=run_s, count=1, below_s=float("inf")))

    def parts(self, job: JobNeed) -> Iterator[tuple[Part, float]]:
        """The machines that fit, by what they lack of the job's models, and the seconds that the run takes there."""
        order = self.order(job.wanted.vram_mb)
        parts = parted(order, self.fitting(job.wanted), job)
        by_run: dict[float, Bits] = {}
        for gpu_class, bits in order.gpus.items():
            run_s = job.run_on_s(gpu_class)
            by_run[run_s] = by_run.get(run_s, 0) | bits
        for part in parts:
            for run_s, bits in sorted(by_run.items()):
                if here := part.bits & bits:
                    yield Part(here, part.missing, part.unloaded, part.fetching, part.left_to_engine), run_s

    def _of_part(
        self,
        order: Order,
        part: Part,
        job: JobNeed,
        *,
        run_s: float,
        count: int,
        below_s: float,
        is_far: bool = False,
    ) -> Iterator[Ranked]:
        """The best of a part, unless none of them can be done in `below_s`."""
        if part.fetching:  # what is left differs from machine to machine, and few fetch the same
            for place in lowest(part.bits, part.bits.bit_count()):
                one = order.machines[place]
                found = expected_completion(one, job, now_ms=self.snapshot.now_ms, paces=self.paces)
                turn = 0 if is_far else turn_in(one, part, job)
                yield Ranked(found.total_s, part.left_to_engine, one.used + is_far, turn, one.id, found)
            return
        for link, bits in order.links if part.missing else [(0, part.bits)]:
            here = part.bits & bits
            if not here:
                continue
            if part.missing / link_rate(link) + run_s > below_s:
                return  # slower links are later still
            for turn, place in in_turn(order, here, part, job, count, is_far=is_far):
                found = completion(
                    wait_s=order.waits_s[place],
                    left_s=0.0,
                    missing=part.missing,
                    unloaded=part.unloaded,
                    link=link,
                    run_s=run_s,
                )
                one = order.machines[place]
                yield Ranked(found.total_s, part.left_to_engine, one.used + is_far, turn, one.id, found)
