"""When machines come and go: by their laws, by the seed, and independent of what else is asked."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from northstar.simulation.fleet.errors import NoSuchSpotSeries, PlanImpossible
from northstar.simulation.fleet.laws import Exponential, Fixed, SaladBoot, SaladLifetime, Spot
from northstar.simulation.fleet.lengths import Length
from northstar.simulation.fleet.plan import FleetPlan, MachineGroup, MachineKind
from northstar.simulation.fleet.stays import Stay, stays
from northstar.simulation.fleet.timeline import Timeline, fleet_cost_usd, timeline, to_json
from northstar.simulation.inputs import Life

HOUR_MS = 3_600_000
KIND = MachineKind(
    gpu="NVIDIA GeForce RTX 4090",
    vram_gb=24,
    disk_gb=80,
    pools=("fast-lane",),
    services=("pictures",),
    price_usd_per_hour=0.5,
    region="us",
)


def group(name: str = "day", count: int = 1, **more: Any) -> MachineGroup:
    return MachineGroup(name=name, kind="rtx", count=count, **more)


def at(text: str) -> Length:
    return Length.of(text)


def fleet(*groups: MachineGroup, end: str = "10h", seed: int = 1, folder: Path = Path()) -> Timeline:
    plan = FleetPlan(kinds={"rtx": KIND}, groups=groups)
    return timeline(plan, seed=seed, end_ms=at(end).ms, folder=folder)


def told(found: Timeline) -> list[tuple[str, float, float, float | None, str | None]]:
    """Machine, hours from, ready and until, reason."""
    return [
        (
            one.machine,
            one.from_ms / HOUR_MS,
            one.ready_ms / HOUR_MS,
            None if one.until_ms is None else one.until_ms / HOUR_MS,
            one.reason,
        )
        for one in found.stays
    ]


def test_machines_without_laws_are_there_from_the_beginning_to_the_end() -> None:
    found = fleet(group(count=2))
    assert told(found) == [("day-1", 0, 0, None, None), ("day-2", 0, 0, None, None)]
    assert [machine.lives for machine in found.machines] == [(Life(),), (Life(),)]


def test_a_machine_has_the_hardware_of_its_kind() -> None:
    (machine,) = fleet(group(region="eu")).machines
    assert (machine.gpu_class, machine.vram_mb, machine.slots) == ("rtx-4090", 24_000, 1)
    assert (machine.disk_bytes, machine.link_bytes_per_s, machine.load_bytes_per_s) == (
        80_000_000_000,
        125_000_000.0,
        1_600_000_000.0,
    )
    assert (machine.region, machine.price_usd_per_hour, machine.told_bytes_per_s) == ("eu", 0.5, 0.0)


def test_one_that_is_lost_is_replaced_by_another_with_an_empty_disk() -> None:
    found = fleet(group(lifetime=Fixed(length=at("4h")), boot=Fixed(length=at("1h"))))
    assert told(found) == [
        ("day-1", 0, 0, 4, "lifetime"),
        ("day-1.2", 4, 5, 9, "lifetime"),
        ("day-1.3", 9, 10, 14, "lifetime"),
    ]
    assert [machine.id for machine in found.machines] == ["day-1", "day-1.2", "day-1.3"]
    assert found.machines[1].lives == (Life(from_ms=4 * HOUR_MS, until_ms=9 * HOUR_MS, boots_ms=HOUR_MS, ends="lost"),)


def test_where_disks_are_kept_the_same_machine_comes_back_with_its_disk() -> None:
    (machine,) = fleet(group(lifetime=Fixed(length=at("4h")), replaced_after=at("1h"), disks="kept"), end="9h").machines
    assert machine.lives == (
        Life(from_ms=0, until_ms=4 * HOUR_MS, ends="lost"),
        Life(from_ms=5 * HOUR_MS, until_ms=9 * HOUR_MS, ends="lost", keeps_disk=True),
    )


def test_one_that_is_not_replaced_is_gone_for_good() -> None:
    assert told(fleet(group(lifetime=Fixed(length=at("4h")), replaced=False))) == [("day-1", 0, 0, 4, "lifetime")]


def test_a_machine_that_is_told_beforehand_leaves_and_others_vanish() -> None:
    (told_before,) = fleet(group(lifetime=Fixed(length=at("4h")), notice=at("2m"), replaced=False)).machines
    assert told_before.lives == (Life(until_ms=4 * HOUR_MS, ends="left", drains_ms=120_000),)


def test_a_group_joins_and_is_given_up() -> None:
    found = fleet(group(joins=at("1h"), leaves=at("3h"), boot=Fixed(length=at("30m"))))
    assert told(found) == [("day-1", 1, 1.5, 3, "given_up")]
    assert found.machines[0].lives[0].ends == "left"


def test_machines_of_the_beginning_boot_first_where_that_is_wanted() -> None:
    assert told(fleet(group(boot=Fixed(length=at("30m")), begins_ready=False)))[0][1:3] == (0, 0.5)


def test_a_boot_that_is_not_paid_for_costs_nothing() -> None:
    laws: dict[str, Any] = {"lifetime": Fixed(length=at("4h")), "boot": Fixed(length=at("1h"))}
    paid, unpaid = fleet(group(**laws)), fleet(group(boot_is_paid=False, **laws))
    assert unpaid.machines[1].lives == (Life(from_ms=5 * HOUR_MS, until_ms=9 * HOUR_MS, ends="lost"),)
    assert fleet_cost_usd(paid, end_ms=9 * HOUR_MS) == pytest.approx(0.5 * 9)
    assert fleet_cost_usd(unpaid, end_ms=9 * HOUR_MS) == pytest.approx(0.5 * 8)


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    salad = group("salad", 20, lifetime=SaladLifetime(), boot=SaladBoot())
    assert to_json(fleet(salad, end="200h")) == to_json(fleet(salad, end="200h"))
    assert to_json(fleet(salad, end="200h")) != to_json(fleet(salad, end="200h", seed=2))


def test_a_seat_does_not_depend_on_who_else_is_there_or_was_asked_first() -> None:
    lives = Exponential(mean=at("3h"))
    alone = [one for one in fleet(group("b", 10, lifetime=lives)).stays if one.seat.number == 7]
    beside = fleet(group("a", 50, lifetime=lives), group("b", 99, lifetime=lives), group("c", 2, lifetime=lives))
    again = [one for one in beside.stays if one.seat == ("b", 7)]
    assert [(one.from_ms, one.until_ms) for one in alone] == [(one.from_ms, one.until_ms) for one in again]
    last_first = {
        number: list(stays(group("b", 99, lifetime=lives), number, path="", seed=1, end_ms=10 * HOUR_MS))
        for number in reversed(range(99))
    }
    assert [one for number in range(99) for one in last_first[number]] == [
        one for one in beside.stays if one.seat.group == "b"
    ]


def test_a_longer_simulation_begins_like_a_shorter_one() -> None:
    salad = group("salad", 5, lifetime=Exponential(mean=at("3h")))
    short, long = fleet(salad, end="10h").stays, fleet(salad, end="20h").stays
    assert [one for one in long if one.from_ms < 10 * HOUR_MS] == list(short)


def test_machines_that_hardly_stay_are_refused() -> None:
    with pytest.raises(PlanImpossible, match="stay so short a time") as refused:
        fleet(group(lifetime=Fixed(length=Length(0))))
    assert refused.value.path == "fleet.groups[0]"


# --- Spot ------------------------------------------------------------------------------------------------------------------

SERIES = {
    # Of hours: 2 nodes for 2 h, none for 1 h, 1 for 3 h, none for 1 h: 7 h altogether.
    "availability/2-node/test/zone_v100": {"gap_seconds": 1_800, "rle": [[2, 4], [0, 2], [1, 6], [0, 2]]},
    "availability/1-node/test/always": {"gap_seconds": 60, "rle": [[1, 100]]},
    "availability/1-node/test/never": {"gap_seconds": 60, "rle": [[0, 100]]},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spot.json").write_text(json.dumps(SERIES))
    with gzip.open(tmp_path / "spot.json.gz", "wt") as packed:
        json.dump(SERIES, packed)
    return tmp_path


def spot(series: str = "availability/2-node/test/zone_v100", file: str = "spot.json", **more: Any) -> Spot:
    return Spot(file=file, series=series, **more)


@pytest.mark.parametrize("file", ["spot.json", "spot.json.gz"])
def test_spot_machines_are_there_while_the_series_counts_them(folder: Path, file: str) -> None:
    found = fleet(group(count=2, lifetime=spot(file=file)), end="14h", folder=folder)
    assert told(found) == [
        ("day-1", 0, 0, 2, "spot"),
        ("day-1.2", 3, 3, 6, "spot"),
        ("day-1.3", 7, 7, 9, "spot"),
        ("day-1.4", 10, 10, 13, "spot"),
        ("day-2", 0, 0, 2, "spot"),
        ("day-2.2", 7, 7, 9, "spot"),
    ]


def test_a_series_can_begin_later_and_starts_anew_at_its_end(folder: Path) -> None:
    found = fleet(group(lifetime=spot(skip=at("4h"))), end="6h", folder=folder)
    assert told(found) == [("day-1", 0, 0, 2, "spot"), ("day-1.2", 3, 3, 5, "spot")]


def test_more_machines_than_the_series_counts_follow_it_from_other_moments(folder: Path) -> None:
    found = fleet(group(count=6, lifetime=spot()), end="70h", folder=folder)
    by_seat: dict[int, list[Stay]] = {}
    for stay in found.stays:
        by_seat.setdefault(stay.seat.number, []).append(stay)
    assert len({tuple(one.from_ms for one in its) for its in by_seat.values()}) == 6


def test_a_boot_goes_off_the_time_that_a_spot_machine_is_there(folder: Path) -> None:
    found = fleet(group(lifetime=spot(), boot=Fixed(length=at("150m")), begins_ready=False), end="7h", folder=folder)
    assert told(found) == [("day-1", 0, 2.5, 2, "spot"), ("day-1.2", 3, 5.5, 6, "spot")]
    assert found.machines[0].lives[0].boots_ms == 2 * HOUR_MS, "it is gone before it is ready, and paid for"


def test_a_node_that_is_always_there_stays_and_one_that_never_is_does_not_come(folder: Path) -> None:
    always = fleet(group(lifetime=spot("availability/1-node/test/always")), folder=folder)
    never = fleet(group(lifetime=spot("availability/1-node/test/never")), folder=folder)
    assert told(always) == [("day-1", 0, 0, None, None)]
    assert (never.stays, never.machines) == ((), ())


def test_a_group_is_there_only_while_it_is_wanted_and_to_be_had(folder: Path) -> None:
    found = fleet(group(lifetime=spot(), joins=at("1h"), leaves=at("5h")), folder=folder)
    assert told(found) == [("day-1", 1, 1, 2, "spot"), ("day-1.2", 3, 3, 5, "given_up")]


def test_a_series_that_is_not_there_is_named_with_one_that_is_alike(folder: Path) -> None:
    with pytest.raises(NoSuchSpotSeries, match="did you mean availability/2-node/test/zone_v100"):
        fleet(group(lifetime=spot("availability/2-node/test/zone_v10")), folder=folder)


def test_a_timeline_can_be_written_down(folder: Path) -> None:
    data = msgspec.json.decode(to_json(fleet(group(lifetime=spot()), folder=folder)))
    assert data["stays"][0] == {
        "machine": "day-1",
        "seat": ["day", 0],
        "from_ms": 0,
        "ready_ms": 0,
        "until_ms": 2 * HOUR_MS,
        "reason": "spot",
        "keeps_disk": False,
    }
