"""When which seat is befallen: faults by moments or by rates, drawn by the seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from northstar.simulation.fleet.errors import PlanImpossible
from northstar.simulation.fleet.faults import FaultPlan, MachineLoss, ValkeyRestart
from northstar.simulation.fleet.laws import exponential_ms
from northstar.simulation.fleet.lengths import Length
from northstar.simulation.fleet.plan import FleetPlan
from northstar.simulation.fleet.stays import Seat
from northstar.simulation.workload.draws import Draws, share_of

#: As many moments as the faults of a scenario may have.
MAX_MOMENTS: Final = 200_000
#: What a fault of the server befalls.
_THE_SERVER: Final = (Seat("", 0),)


class Moments(NamedTuple):
    """A fault, and which seats it befalls when, in the order in which it was said or drawn."""

    fault: FaultPlan
    moments: tuple[tuple[int, Seat], ...]

    @property
    def is_loss(self) -> bool:
        """Whether it ends the stay of whatever it befalls."""
        return isinstance(self.fault, MachineLoss)


def moments_of(fault: FaultPlan, number: int, plan: FleetPlan, *, seed: int, end_ms: int) -> Moments:
    """The moments of fault `number` of a scenario, and the seats that they befall.

    Raises:
        PlanImpossible: it befalls no machine, or names some though it is of the server, has no moment, one after the end, or too many of them.
    """
    path = f"faults[{number}]"
    if getattr(fault, "length", None) == Length(0):
        raise PlanImpossible("must be longer than nothing", path=f"{path}.for")
    if isinstance(fault, ValkeyRestart):
        for key in ("group", "region", "machines"):
            if getattr(fault, key) is not None:
                raise PlanImpossible(
                    "is of machines, and valkey_restart befalls none; take it out", path=f"{path}.{key}"
                )
    if bool(fault.at) == (fault.every is not None):
        raise PlanImpossible("needs either `at`, a list of moments, or `every`, a mean time between two", path=path)
    seats = _THE_SERVER if isinstance(fault, ValkeyRestart) else tuple(_seats(fault, plan, path=path))
    if fault.every is None:
        found = list(_at_moments(fault, number, seats, seed=seed, end_ms=end_ms))
    else:
        found = list(_at_a_rate(fault, number, seats, seed=seed, end_ms=end_ms))
    return Moments(fault, tuple(found))


def losses_of(moments: Sequence[Moments]) -> dict[Seat, tuple[int, ...]]:
    """When whatever sits on a seat is lost, by seat and in order."""
    found: dict[Seat, set[int]] = {}
    for one in moments:
        if one.is_loss:
            for at_ms, seat in one.moments:
                found.setdefault(seat, set()).add(at_ms)
    return {seat: tuple(sorted(its)) for seat, its in found.items()}


def _seats(fault: FaultPlan, plan: FleetPlan, *, path: str) -> Iterator[Seat]:
    any_there = False
    if fault.group is not None and fault.group not in {group.name for group in plan.groups}:
        names = ", ".join(group.name for group in plan.groups[:20])
        raise PlanImpossible(f"is no group of this fleet; there are {names}", path=f"{path}.group")
    for at, group in enumerate(plan.groups):
        if group.scaling is not None:
            if fault.group == group.name:
                raise PlanImpossible(
                    f"is {group.name}, which follows its queue (fleet.groups[{at}].scaling): faults befall machines of other groups",
                    path=f"{path}.group",
                )
            continue
        region = group.region or plan.kinds[group.kind].region
        if fault.group in {None, group.name} and fault.region in {None, region}:
            any_there = True
            yield from (Seat(group.name, number) for number in range(group.count))
    if not any_there and fault.region is not None:
        raise PlanImpossible(
            f"names region {fault.region!r}, in which no machine of the fleet stands", path=f"{path}.region"
        )
    if not any_there:
        raise PlanImpossible("befalls nobody: every group follows its queue", path=path)


def _at_moments(
    fault: FaultPlan, number: int, seats: tuple[Seat, ...], *, seed: int, end_ms: int
) -> Iterator[tuple[int, Seat]]:
    wanted = fault.machines or len(seats)
    if len(fault.at) * min(wanted, len(seats)) > MAX_MOMENTS:
        raise PlanImpossible(f"befalls machines more than {MAX_MOMENTS:,} times", path=f"faults[{number}].at")
    for which, at in enumerate(fault.at):
        if at.ms >= end_ms:
            raise PlanImpossible(
                f"is {at}, which is after the end of the simulation", path=f"faults[{number}].at[{which}]"
            )
        for one in _some(seats, f"{number}.{which}", wanted, seed=seed):
            yield at.ms, one


def _at_a_rate(
    fault: FaultPlan, number: int, seats: tuple[Seat, ...], *, seed: int, end_ms: int
) -> Iterator[tuple[int, Seat]]:
    """Each seat by itself, so that whom a fault befalls does not depend on who else is there."""
    assert fault.every is not None  # noqa: S101 -- said to the type checker
    chosen = _some(seats, str(number), fault.machines or len(seats), seed=seed)
    if fault.every.ms <= 0 or len(chosen) * end_ms / fault.every.ms > MAX_MOMENTS / 2:
        raise PlanImpossible(f"befalls machines more than {MAX_MOMENTS // 2:,} times", path=f"faults[{number}].every")
    for seat in chosen:
        numbers = Draws(seed, "fault", str(number), seat.group, str(seat.number))
        at_ms = 0
        while True:
            at_ms += max(1, exponential_ms(numbers.share(), mean_ms=fault.every.ms))
            if at_ms >= end_ms:
                break
            yield at_ms, seat


def _some(seats: tuple[Seat, ...], which: str, wanted: int, *, seed: int) -> tuple[Seat, ...]:
    """Some of the seats, drawn by the seed, in their order; all where as many or more are wanted."""
    if wanted >= len(seats):
        return seats
    drawn = set(
        sorted(seats, key=lambda seat: share_of(seed, "befallen", which, seat.group, str(seat.number)))[:wanted]
    )
    return tuple(seat for seat in seats if seat in drawn)
