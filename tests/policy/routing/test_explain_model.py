"""Where a model is, why it is not elsewhere, and what to do to have it somewhere."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from northstar.domain.explanations import KnownModel, LaneDemand, ModelWhere
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelNeed
from northstar.policy.routing.explain_idle import LaneWait
from northstar.policy.routing.explain_model import Placement, placement_of, where_of
from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState
from tests.policy.routing.builders import GB, SDXL, cell, folderless, lane, machine, wanted

ASKS = lane("l", anchors=SDXL, unfinished=3, waits=True)
HASH = "a" * 64
KNOWN = KnownModel(
    name="sdxl",
    entry="sdxl-base",
    size_bytes=7 * GB,
    sha256=HASH,
    sources=("hf://org/sdxl/sdxl.safetensors",),
    fetch_by="sdxl-base",
)


def placement(*parts: MachineState | LaneState, **changes: Any) -> Placement:
    return placement_of("sdxl", cell(*parts), waiting={"l": LaneWait(2, 0)}, **changes)


def codes(found: Placement) -> dict[str, str]:
    return {name: absence.code for absence in found.absent for name in absence.names}


def test_holders_are_counted_by_where_the_model_is_and_those_in_memory_are_named_first() -> None:
    """In memory is where a job starts at once."""
    found = placement(
        machine("a", held={"sdxl": "disk"}),
        machine("b", held={"sdxl": "resident"}),
        machine("c", held={"flux": "disk"}),
    )
    assert (found.in_memory, found.on_disk, found.holders) == (1, 1, ("b", "a"))


@pytest.mark.parametrize(
    ("subject", "parts", "changes", "code"),
    [
        (machine("m"), (), {}, "not_asked"),
        (machine("m"), (ASKS,), {}, "no_source"),
        (machine("m"), (ASKS,), {"has_source": True}, "not_yet"),
        (machine("m"), (ASKS,), {"known": KNOWN}, "not_yet"),
        (machine("m"), (ASKS, machine("h", held={"sdxl": "disk"})), {}, "left_to_holders"),
        (machine("m", profile="other"), (ASKS,), {}, "does_not_fit"),
        (machine("m", active=False), (ASKS,), {}, "draining"),
        (machine("m", description=folderless()), (ASKS,), {"known": KNOWN}, "keeps_none"),
        (machine("m", description=folderless("flux")), (), {}, "keeps_none"),
        (machine("m", profile="other", description=folderless()), (ASKS,), {}, "does_not_fit"),
    ],
)
def test_each_machine_without_it_has_a_reason(
    subject: MachineState, parts: tuple[MachineState | LaneState, ...], changes: dict[str, Any], code: str
) -> None:
    """One row a reason."""
    assert codes(placement(subject, *parts, **changes))["m"] == code


def test_a_machine_that_fetches_it_is_not_among_those_without() -> None:
    """It is on its way."""
    assert codes(placement(machine("m"), machine("n"), ASKS, fetching={"m"})) == {"n": "no_source"}


def test_a_machine_that_does_not_fit_says_what_it_lacks_for_the_jobs_that_ask() -> None:
    """For those of the lanes that it fits best."""
    snapshot = msgspec.structs.replace(
        cell(
            machine("m"),
            lane("l", anchors=SDXL, unfinished=1),
            lane("k", anchors=SDXL, unfinished=1, requirement_class="x"),
        ),
        classes={"c": wanted(tags=("eu",), vram_mb=48_000), "x": wanted(tags=("eu",))},
    )
    (absence,) = placement_of("sdxl", snapshot, waiting={}).absent
    assert [lack.says for lack in absence.lacks] == ["lacks tags eu"]


def test_who_asks_for_it_is_told_with_counts() -> None:
    """By what their jobs ask for."""
    found = placement(
        machine("m"), ASKS, lane("idle", anchors=SDXL), lane("other", anchors=(("flux", 1),), unfinished=9)
    )
    assert found.asked_by == (
        LaneDemand(service="picture", pool="standard", models=("sdxl",), waiting=2, unfinished=3),
    )


def test_its_size_is_the_catalogues_and_otherwise_what_jobs_say() -> None:
    """Nobody else knows it before it is somewhere."""
    assert placement(ASKS, known=KNOWN).size_bytes == 7 * GB
    assert placement(ASKS).size_bytes == 6 * GB


def test_what_to_do_is_a_command_that_can_be_typed() -> None:
    """By the catalogue's name where it knows all sources: then neither address nor hash is to be filled in."""
    (order,) = placement(machine("m"), ASKS, known=KNOWN).actions
    assert order.command == "northstar machines fetch m sdxl-base"
    unknown = placement(machine("m"), ASKS).actions
    assert [action.command for action in unknown] == [
        "northstar models add URL --name sdxl",
        "northstar machines fetch m sdxl --from URL --sha256 HEX",
    ]


def test_a_large_fleet_is_told_in_groups_of_alike_machines() -> None:
    """Grouped by profile and reason; no machine is left out of the count."""
    found = placement(*(machine(f"m{number:05}") for number in range(10_000)), ASKS)
    (absence,) = found.absent
    assert (absence.count, absence.names) == (10_000, ("m00000", "m00001", "m00002"))


def test_of_many_kinds_of_machines_twenty_are_shown_and_the_rest_is_counted() -> None:
    """An explanation stays readable."""
    machines = {f"m{n:02}": machine(f"m{n:02}", profile=f"p{n}") for n in range(30)}
    found = placement_of("sdxl", CellSnapshot(machines=machines), waiting={})
    assert (len(found.absent), found.more_absent) == (20, 10)


def test_the_models_of_a_job_are_counted_where_it_could_run() -> None:
    """Copies on machines that it does not fit help nobody."""
    needs = (ModelNeed(name="sdxl", size_bytes=6 * GB), ModelNeed(name="flux"))
    able = (machine("a", held={"sdxl": "disk"}), machine("b", held={"sdxl": "resident"}))
    sdxl, flux = where_of(needs, able, fetching=["flux", "flux"], service="picture", known={"flux": KNOWN})
    assert sdxl == ModelWhere(name="sdxl", size_bytes=6 * GB, in_memory=1, on_disk=1)
    assert flux == ModelWhere(name="flux", fetching=2, can_be_fetched=True)


def test_of_the_machines_that_could_use_a_model_one_is_named_that_keeps_models() -> None:
    """A machine without a disk for models would only answer that it cannot fetch."""
    keeps = MachineDescription(disk_bytes=500 * GB)
    (order,) = placement(machine("a"), machine("b", description=keeps), ASKS, known=KNOWN).actions
    assert order.command == "northstar machines fetch b sdxl-base"


def test_a_model_of_the_catalogue_without_a_source_is_declared_anew_by_its_name() -> None:
    """Not by an alias, which would make another model."""
    known = msgspec.structs.replace(KNOWN, sources=(), fetch_by="")
    commands = [action.command for action in placement(machine("m"), ASKS, known=known).actions]
    assert commands == [
        "northstar models add URL --name sdxl-base",
        "northstar machines fetch m sdxl --from URL --sha256 HEX",
    ]


def test_copies_on_machines_that_cannot_run_the_job_are_counted_apart() -> None:
    """So that nobody wonders why a model that is somewhere cannot be had."""
    others = (machine("a", held={"sdxl": "disk"}),)
    (sdxl,) = where_of((ModelNeed(name="sdxl"),), (), fetching=[], service="picture", others=others)
    assert sdxl == ModelWhere(name="sdxl", elsewhere=1)


def test_nobody_is_advised_to_have_it_fetched_by_a_machine_that_keeps_no_models() -> None:
    none = machine("a", description=folderless())
    (by_hand,) = placement(none, ASKS, known=KNOWN).actions
    assert by_hand.what == "put sdxl where the engine of a finds it, or give a a models folder (models.root)"
    (order,) = placement(none, machine("b"), ASKS, known=KNOWN).actions
    assert order.command == "northstar machines fetch b sdxl-base"


def test_machines_whose_engines_must_have_a_jobs_model_are_counted_by_what_these_say() -> None:
    needs = (ModelNeed(name="sdxl", sources=("https://h/sdxl",), sha256="unknown"),)
    able = (
        machine("a", description=folderless()),
        machine("b", description=folderless("flux")),
        machine("c", description=folderless("sdxl"), held={"sdxl": "disk"}),
    )
    (sdxl,) = where_of(needs, able, fetching=[], service="picture")
    assert sdxl == ModelWhere(name="sdxl", on_disk=1, can_be_fetched=True, engine_may_have=1, engine_names_others=1)
