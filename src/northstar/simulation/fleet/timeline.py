"""A fleet over the whole simulation: every machine with its lives, and every fault with the machine that it befalls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from northstar.simulation.fleet.befalling import Moments, losses_of, moments_of
from northstar.simulation.fleet.errors import PlanImpossible
from northstar.simulation.fleet.faults import (
    CorruptDownload,
    EngineDeath,
    FaultPlan,
    Partition,
    SlowLink,
    ValkeyRestart,
)
from northstar.simulation.fleet.laws import Spot
from northstar.simulation.fleet.plan import FleetPlan, MachineGroup, MachineKind, PriceOf
from northstar.simulation.fleet.scaled import scaled_group
from northstar.simulation.fleet.spot import read_series
from northstar.simulation.fleet.stays import Seat, Stay, stays
from northstar.simulation.inputs import AnyFault, Fault, FileOnDisk, Life, ServerRestart, SimulatedMachine
from northstar.simulation.scaling import ScaledGroup
from northstar.simulation.workload.spot_series import SpotSeries

#: As many times as machines may come in one simulation, all together.
MAX_STAYS: Final = 1_000_000
_MB: Final = 1_000_000
_GB: Final = 1_000_000_000


class Timeline(NamedTuple):
    """What the engine is given, and why things are as they are."""

    #: Every machine that ever comes, in the order of groups and seats.
    machines: tuple[SimulatedMachine, ...]
    #: What befalls them and their queue, in time.
    faults: tuple[AnyFault, ...]
    #: When each machine comes and goes, and why, in the order of groups and seats.
    stays: tuple[Stay, ...]
    #: Faults that fell where no machine was just then.
    missed: int = 0
    #: Groups that follow their queue; their machines stand in `machines`, without lives.
    scaled: tuple[ScaledGroup, ...] = ()


def timeline(
    plan: FleetPlan,
    faults: tuple[FaultPlan, ...] = (),
    *,
    seed: int,
    end_ms: int,
    comes_until_ms: int | None = None,
    folder: Path,
    prices: Mapping[str, float] | None = None,
) -> Timeline:
    """Everything that happens to a fleet from 0 to `end_ms`.

    Args:
        plan: the fleet.
        faults: what befalls it.
        seed: equal seeds give equal timelines, whatever is asked first.
        end_ms: no fault befalls anybody at or after this moment.
        comes_until_ms: no machine comes at or after this moment; left out: `end_ms`.
        folder: where the scenario lies, from which files are named.
        prices: what an hour of a kind costs, USD, where its plan names it only.

    Raises:
        PlanImpossible: machines come and go too often. NoSuchSpotSeries, and what `spot_series` raises: a series cannot be used.
    """
    moments = [moments_of(fault, at, plan, seed=seed, end_ms=end_ms) for at, fault in enumerate(faults)]
    losses = losses_of(moments)
    come_ms = end_ms if comes_until_ms is None else comes_until_ms
    found: list[Stay] = []
    machines: list[SimulatedMachine] = []
    scaled: list[ScaledGroup] = []
    for group_at, group in enumerate(plan.groups):
        path = f"fleet.groups[{group_at}]"
        series = _series(group, folder)
        kind = plan.kinds[group.kind]
        follows = scaled_group(group, seed=seed)
        if follows is not None:
            scaled.append(follows)
            price = (prices or {}).get(group.kind)
            machines += [
                machine_of(kind, name, lives=(), region=group.region, price=price) for name in follows.machines
            ]
            continue
        for number in range(group.count):
            on_seat = list(stays(group, number, path=path, seed=seed, end_ms=come_ms, series=series, losses=losses))
            found += on_seat
            machines += _machines(group, kind, on_seat, price=(prices or {}).get(group.kind))
            if len(found) > MAX_STAYS:
                raise PlanImpossible(
                    f"makes machines come more than {MAX_STAYS:,} times in all; let them stay longer", path=path
                )
    befalling, missed = _faults(moments, found)
    return Timeline(tuple(machines), befalling, tuple(found), missed, tuple(scaled))


def _series(group: MachineGroup, folder: Path) -> SpotSeries | None:
    law = group.lifetime
    return read_series(folder / law.file, law.series) if isinstance(law, Spot) else None


def _machines(
    group: MachineGroup, kind: MachineKind, on_seat: list[Stay], *, price: float | None
) -> Iterator[SimulatedMachine]:
    """The machines that sit on one seat one after the other: each with its lives."""
    lives: dict[str, list[Life]] = {}
    for stay in on_seat:
        life = _life(group, stay, is_first=stay.machine not in lives)
        if life is not None:
            lives.setdefault(stay.machine, []).append(life)
    for name, its in lives.items():
        yield machine_of(kind, name, lives=tuple(its), region=group.region, price=price)


def machine_of(
    kind: MachineKind, name: str, *, lives: tuple[Life, ...] = (Life(),), region: str = "", price: float | None = None
) -> SimulatedMachine:
    """A machine of a kind. `region` and `price` are said where they are others than the kind's own."""
    own = None if isinstance(kind.price_usd_per_hour, PriceOf) else kind.price_usd_per_hour
    return SimulatedMachine(
        id=name,
        pools=kind.pools,
        services=kind.services,
        gpu=kind.gpu,
        vram_mb=round(kind.vram_gb * 1_000),
        slots=kind.slots,
        disk_bytes=round(kind.disk_gb * _GB),
        link_bytes_per_s=kind.link_mb_per_s * _MB,
        fetch_starts_s=kind.fetch_starts_s,
        load_bytes_per_s=kind.load_gb_per_s * _GB,
        told_bytes_per_s=kind.link_mb_per_s * _MB if kind.tells_link else 0.0,
        region=region or kind.region,
        price_usd_per_hour=(own if own is not None else price) or 0.0,
        tags=kind.tags,
        node_packs=kind.node_packs,
        dedicated_to=kind.dedicated_to,
        disk=tuple(
            FileOnDisk(name=file.name, kind=file.kind, size_bytes=round(file.gb * _GB), baked=True)
            for file in kind.image
        ),
        lives=lives,
    )


def _life(group: MachineGroup, stay: Stay, *, is_first: bool) -> Life | None:
    """A stay as the engine takes it; none where nothing is paid for and nothing was ever ready."""
    ready_ms = stay.ready_ms if stay.until_ms is None else min(stay.ready_ms, stay.until_ms)
    from_ms = stay.from_ms if group.boot_is_paid else ready_ms
    if stay.until_ms is not None and from_ms >= stay.until_ms:
        return None
    is_told = stay.reason == "given_up" or (stay.reason in {"lifetime", "spot"} and group.notice.ms > 0)
    drains_ms = 0 if stay.until_ms is None or not is_told else min(group.notice.ms, stay.until_ms - ready_ms)
    return Life(
        from_ms=from_ms,
        until_ms=stay.until_ms,
        boots_ms=ready_ms - from_ms,
        ends="left" if stay.until_ms is None or is_told else "lost",
        drains_ms=drains_ms,
        keeps_disk=stay.keeps_disk and not is_first,
    )


def _faults(moments: list[Moments], found: list[Stay]) -> tuple[tuple[AnyFault, ...], int]:
    """Each moment with the machine that is ready on its seat then, in time; and how many found none."""
    by_seat: dict[Seat, list[Stay]] = {}
    for stay in found:
        by_seat.setdefault(stay.seat, []).append(stay)
    befalling: list[AnyFault] = []
    missed = 0
    for one in moments:
        for at_ms, seat in one.moments:
            if isinstance(one.fault, ValkeyRestart):
                befalling.append(ServerRestart(at_ms=at_ms, for_ms=one.fault.length.ms))
                continue
            if one.is_loss:
                missed += not any(
                    stay.until_ms == at_ms and stay.reason == "machine_loss" for stay in by_seat.get(seat, ())
                )
                continue
            machine = next((stay.machine for stay in by_seat.get(seat, ()) if _is_ready(stay, at_ms)), None)
            if machine is None:
                missed += 1
            else:
                befalling.append(_fault(one.fault, at_ms=at_ms, machine=machine))
    return tuple(sorted(befalling, key=_in_time)), missed


def _in_time(fault: AnyFault) -> tuple[int, str, str]:
    return (fault.at_ms, "", "") if isinstance(fault, ServerRestart) else (fault.at_ms, fault.machine, fault.kind)


def _is_ready(stay: Stay, at_ms: int) -> bool:
    return stay.ready_ms <= at_ms and (stay.until_ms is None or at_ms < stay.until_ms)


def _fault(fault: FaultPlan, *, at_ms: int, machine: str) -> Fault:
    match fault:
        case SlowLink():
            return Fault(at_ms=at_ms, machine=machine, kind="link", for_ms=fault.length.ms, factor=fault.factor)
        case CorruptDownload():
            return Fault(at_ms=at_ms, machine=machine, kind="corrupt")
        case EngineDeath():
            return Fault(at_ms=at_ms, machine=machine, kind="engine", for_ms=fault.length.ms)
        case Partition():
            return Fault(at_ms=at_ms, machine=machine, kind="cut_off", for_ms=fault.length.ms)
        case _:
            raise TypeError(f"{type(fault).__name__} befalls no machine")


def fleet_cost_usd(found: Timeline, *, end_ms: int) -> float:
    """What the fleet costs until the simulation ends; time of machines whose price nobody said costs nothing here."""
    return (
        sum(
            machine.price_usd_per_hour
            * ((end_ms if life.until_ms is None else min(life.until_ms, end_ms)) - life.from_ms)
            for machine in found.machines
            for life in machine.lives
            if life.from_ms < end_ms
        )
        / 3_600_000
    )


def to_json(found: Timeline) -> bytes:
    """The timeline as bytes: equal for equal seeds."""
    return msgspec.json.encode({"stays": found.stays, "faults": found.faults, "machines": found.machines})
