"""A cell filled in a given shape, with its machines registered and placed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import msgspec
from valkey import Valkey

from benchmarks.cell import BATCH, LIMITS, MeasuredCell
from benchmarks.claim.shapes import CANDIDATES, FEW_LANES, Reach, Shape
from benchmarks.jobs import lane_number, parts, wanted_job, wanted_lane
from northstar.domain.jobs import ClaimedJob
from northstar.store import messages as m

_PRIORITIES = (25, 50, 75)
_UNSERVABLE_PRIORITY, _HEAD_PRIORITY = 200, 255
#: With this limit every waiting job counts as overdue at any later call.
_ALL_OVERDUE = msgspec.structs.replace(LIMITS, overdue_ms=1)
_MACHINES_A_CALL = 64
#: Jobs of each lane that are submitted in turn with all other lanes', and how many at once after that: a submission to few
#: lanes costs the server a third.
_ONE_BY_ONE, _CLUMP = 20, 250


class FilledCell:
    """A cell in its shape. `replace` puts back what was taken, so that every claim meets the same queue."""

    def __init__(self, client: Valkey, shape: Shape, name: str) -> None:
        self.shape = shape
        self.cell = MeasuredCell(client, name)
        self._random = random.Random(7)
        self._jobs = self._nonces = self._turn = 0
        beside = shape.unservable_lanes
        self._lanes = [self._lane(number) for number in range(shape.lanes + beside + bool(shape.unservable_head))]

    def fill(self) -> None:
        """Jobs first, then machines: a profile's view of a class begins at its oldest job."""
        self.cell.open()
        shape = self.shape
        self._submit([len(self._lanes) - 1] * shape.unservable_head, (_HEAD_PRIORITY,))
        self.cell.now_ms += LIMITS.overdue_ms
        last = shape.lanes + shape.unservable_lanes
        servable = (_turn(number, shape.lanes) for number in range(shape.jobs))
        beside = (shape.lanes + number % (last - shape.lanes) for number in range(shape.unservable_jobs))
        self._submit([*beside], (_UNSERVABLE_PRIORITY,))
        for part in parts(servable, 100 * BATCH):
            self._submit(part, _PRIORITIES)
            self.cell.forget_events()
        self._place_machines()
        self.cell.forget_events()

    def machine(self, reach: Reach) -> str:
        """The machine whose turn it is."""
        if reach == "few":
            return "few"
        if reach == "all":
            return "m0"
        self._turn = (self._turn + 1) % self.shape.profiles
        return f"m{self._turn}"

    def nonce(self) -> str:
        """One that no call before has used."""
        self._nonces += 1
        return f"n{self._nonces}"

    def replace(self, taken: Sequence[ClaimedJob]) -> None:
        """A new job in each lane from which one was taken."""
        self._submit([lane_number(job.id) for job in taken], _PRIORITIES)

    def make_all_overdue(self) -> None:
        """Give the cell a limit that every waiting job has passed."""
        self.cell.open(_ALL_OVERDUE, configure=True)

    def _lane(self, number: int) -> m.WantedLane:
        shared = self.shape.one_class and number < self.shape.lanes
        return wanted_lane(number, class_="any" if shared else None)

    def _submit(self, lanes: Sequence[int], priorities: Sequence[int]) -> None:
        for batch in parts(lanes, BATCH):
            at = {number: position for position, number in enumerate(dict.fromkeys(batch), start=1)}
            jobs = [
                wanted_job(self._next(), lane_number=number, lane=at[number], priority=self._random.choice(priorities))
                for number in batch
            ]
            self.cell.submit([self._lanes[number] for number in at], jobs)

    def _next(self) -> int:
        self._jobs += 1
        return self._jobs

    def _place_machines(self) -> None:
        shape, cell = self.shape, self.cell
        profiles = [cell.register(f"m{number}", profile=f"profile {number}") for number in range(shape.profiles)]
        lanes = cell.ids("lanes", [lane.key for lane in self._lanes])
        classes = list(dict.fromkeys(cell.ids("classes", [lane.class_ for lane in self._lanes])))
        servable = 1 if shape.one_class else shape.lanes
        self._decide(m.Fit(profile, class_, True) for class_ in classes[:servable] for profile in profiles)
        choices = {f"m{number}": lanes[: min(CANDIDATES, shape.lanes)] for number in range(shape.profiles)}
        if "few" in shape.views:
            few = cell.register("few", profile="few")
            self._decide(m.Fit(few, class_, at < FEW_LANES) for at, class_ in enumerate(classes[:servable]))
            choices["few"] = lanes[:FEW_LANES]
        for machines in parts(choices, _MACHINES_A_CALL):
            wanted = [(machine, [m.Candidate(lane, 0) for lane in choices[machine]]) for machine in machines]
            cell.call("set_candidates", {"nonce": "placed", "machines": wanted}, dict[str, list[str]])

    def _decide(self, fits: Iterable[m.Fit]) -> None:
        for batch in parts(fits, BATCH):
            self.cell.call("decide_fits", {"fits": batch}, dict[str, int])


def _turn(number: int, lanes: int) -> int:
    """The lane of a servable job: one at a time as far as a run will take them, so that their ages differ; then many."""
    return number % lanes if number < _ONE_BY_ONE * lanes else number // _CLUMP % lanes
