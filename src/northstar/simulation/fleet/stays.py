"""The timeline of a fleet: when each machine comes, is ready and goes, and why it goes.

A group has seats, one for each machine that it counts at a time. What happens on a seat depends on the seed, the group's name, the seat's
number and how many machines sat there before, and on nothing else: another group, or a greater count, changes nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

import msgspec

from northstar.simulation.fleet.errors import PlanImpossible
from northstar.simulation.fleet.laws import DrawnLaw, Never, Spot
from northstar.simulation.fleet.plan import MachineGroup
from northstar.simulation.fleet.spot import FOREVER_MS, Interval, there
from northstar.simulation.workload.draws import Draws
from northstar.simulation.workload.spot_series import SpotSeries

#: lifetime, spot: by the group's law · machine_loss: a fault · given_up: the group leaves.
Reason = Literal["lifetime", "spot", "machine_loss", "given_up"]
#: As many machines as may have sat on one seat.
MAX_ON_A_SEAT: Final = 10_000


class Seat(NamedTuple):
    """A place in a group, from 0."""

    group: str
    number: int


class Stay(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a machine is there, milliseconds from the beginning."""

    machine: str
    seat: Seat
    #: Asked for; before this it does not exist.
    from_ms: int
    #: Ready for work, unless it is gone by then.
    ready_ms: int
    #: Gone; empty: it stays to the end, which has no reason.
    until_ms: int | None = None
    reason: Reason | None = None
    #: Its disk is as the stay before left it.
    keeps_disk: bool = False


def stays(
    group: MachineGroup,
    number: int,
    *,
    path: str,
    seed: int,
    end_ms: int,
    series: SpotSeries | None = None,
    losses: Mapping[Seat, tuple[int, ...]] | None = None,
) -> Iterator[Stay]:
    """What happens on one seat of a group until the simulation ends.

    Args:
        group: which group.
        number: which of its seats.
        path: how the scenario calls the group, for errors.
        seed: of the chance.
        end_ms: nothing begins at or after this moment.
        series: of a group whose machines come and go by one.
        losses: moments, in order, at which whatever sits on a seat is lost.

    Raises:
        PlanImpossible: machines come and go more than ten thousand times.
    """
    seat = Seat(group.name, number)
    ends = [at_ms for at_ms in (losses or {}).get(seat, ()) if at_ms < end_ms]
    sat = 0
    for window in _windows(group, number, seed=seed, series=series):
        at_ms = window.from_ms
        while at_ms < min(window.until_ms, end_ms):
            if sat >= MAX_ON_A_SEAT:
                raise PlanImpossible(
                    f"has machines that stay so short a time that {MAX_ON_A_SEAT:,} of them follow each other; let them stay longer",
                    path=path,
                )
            found = _stay(group, seat, sat, at_ms=at_ms, window=window, losses=ends, seed=seed)
            yield found
            sat += 1
            if found.until_ms is None or not group.replaced:
                return
            at_ms = found.until_ms + group.replaced_after.ms
        if window.from_ms >= end_ms:
            return


def _windows(group: MachineGroup, number: int, *, seed: int, series: SpotSeries | None) -> Iterator[Interval]:
    """When a machine could be had on the seat, within the time that the group is wanted."""
    first, last = group.joins.ms, FOREVER_MS if group.leaves is None else group.leaves.ms
    if series is None or not isinstance(group.lifetime, Spot):
        yield Interval(first, last)
        return
    skip_ms = group.lifetime.skip.ms
    again, node = divmod(number, series.most) if series.most else (0, 0)
    if again:  # as many as the series counts follow it as it is; others follow it from another moment
        skip_ms += int(Draws(seed, "spot", group.name, str(again)).share() * series.seconds * 1_000)
    for window in there(series, node=node, skip_ms=skip_ms):
        if window.from_ms >= last:
            return
        if window.until_ms > first:
            yield Interval(max(window.from_ms, first), min(window.until_ms, last))


def _stay(
    group: MachineGroup, seat: Seat, sat: int, *, at_ms: int, window: Interval, losses: list[int], seed: int
) -> Stay:
    numbers = Draws(seed, "life", group.name, str(seat.number), str(sat))
    is_up_already = group.begins_ready and sat == 0 and at_ms == 0
    boots_ms = 0 if group.boot is None or is_up_already else group.boot.draw_ms(numbers)
    ready_ms = at_ms + boots_ms
    ends: list[tuple[int, Reason]] = []
    if not isinstance(group.lifetime, (Never, Spot)):
        law: DrawnLaw = group.lifetime
        ends.append((ready_ms + max(1, law.draw_ms(numbers)), "lifetime"))
    if window.until_ms < FOREVER_MS:
        is_given_up = group.leaves is not None and window.until_ms == group.leaves.ms
        ends.append((window.until_ms, "given_up" if is_given_up else "spot"))
    ends.extend((loss_ms, "machine_loss") for loss_ms in losses if loss_ms > at_ms)
    until_ms, reason = min(ends, key=lambda end: end[0], default=(None, None))
    is_new = group.disks == "lost" and sat > 0
    return Stay(
        machine=machine_name(group, seat.number) + (f".{sat + 1}" if is_new else ""),
        seat=seat,
        from_ms=at_ms,
        ready_ms=ready_ms,
        until_ms=until_ms,
        reason=reason,
        keeps_disk=group.disks == "kept" and sat > 0,
    )


def machine_name(group: MachineGroup, number: int) -> str:
    """What the first machine on a seat is called.

    >>> machine_name(MachineGroup(name="day", kind="l4", count=24), 2)
    'day-03'
    """
    return f"{group.name}-{number + 1:0{len(str(group.count))}d}"
