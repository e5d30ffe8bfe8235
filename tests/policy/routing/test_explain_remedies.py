"""What would have to change before a job runs: concrete things to do, with the commands to type."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from northstar.domain.explanations import Action, ModelWhere
from northstar.domain.machines import MachineDescription
from northstar.domain.requirements import Requirements, lane_of, read_class
from northstar.policy.routing.explain_machines import Wait, reasons_of
from northstar.policy.routing.explain_remedies import MOST_ACTIONS, Standstill, standstill_of
from northstar.policy.routing.explain_submit import standstill_at_submit
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot, MachineState
from tests.policy.routing.builders import cell, folderless, lane, machine, profile, wanted

RULE = PatienceRule()


def standstill(snapshot: CellSnapshot, *, pauses: dict[str, str] | None = None, **changes: Any) -> Standstill:
    models, placed = changes.pop("models", ()), changes.pop("placed", None)
    not_approved = changes.pop("not_approved", ())
    asked = Wait(
        lane=lane("l"),
        wanted=wanted(**changes),
        now_ms=5_000,
        submitted_ms=0,
        oldest_ms=0,
        overdue_ms=60_000,
        placed=placed,
        pauses=pauses or {},
    )
    return standstill_of(asked, reasons_of(asked, snapshot, RULE), snapshot, models=models, not_approved=not_approved)


def test_a_job_that_somebody_can_run_stands_still_for_no_reason() -> None:
    """A busy machine is a wait, not a standstill."""
    assert standstill(cell(machine("m", used=1))) == Standstill()


JOIN = "northstar machines invite --pool standard"
MEND = "northstar machines show m"


@pytest.mark.parametrize(
    ("changes", "because", "commands"),
    [
        ({"vram_mb": 48_000}, "no machine fits now: m has 24000 MB of VRAM, the job needs 48000", [JOIN]),
        (
            {"pool": "heavy"},
            "no machine serves pool heavy (there are standard)",
            [f"{JOIN} --pool heavy", "northstar machines invite --pool heavy"],
        ),
        ({"node_packs": ("impact",)}, "no machine fits now: m lacks node packs impact", [MEND, JOIN]),
        ({"tags": ("eu",)}, "no machine fits now: m lacks tags eu", [f"{JOIN} --tag eu"]),
        (
            {"isolation": "acme"},
            "no machine fits now: m is dedicated to nobody, the job to acme",
            [f"{JOIN} --dedicated-to acme"],
        ),
        (
            {"regions": ("eu",)},
            "no machine fits now: m is in region (none said), not eu",
            [f"{JOIN} --region eu"],
        ),
        ({"service": "video"}, "no machine fits now: m does not offer service video", [MEND, JOIN]),
    ],
)
def test_the_closest_machine_and_what_it_lacks_come_with_what_to_do(
    changes: dict[str, Any], because: str, commands: list[str]
) -> None:
    """One row a need."""
    found = standstill(cell(machine("m")), **changes)
    assert found.because == because
    assert list(dict.fromkeys(action.command for action in found.actions)) == commands


def test_of_several_machines_the_one_that_lacks_least_is_named() -> None:
    """What it takes to serve the job is least there."""
    snapshot = msgspec.structs.replace(
        cell(machine("a", profile="other"), machine("b")), profiles={"p": profile(), "other": profile(pools=("fast",))}
    )
    found = standstill(snapshot, vram_mb=48_000)
    assert found.actions[0].what == (
        "let a machine join pool standard that offers service picture and has 48000 MB of VRAM; "
        "the closest, b, has 24000 MB of VRAM, the job needs 48000"
    )


def test_without_any_machine_one_is_invited_or_started_here() -> None:
    """The first thing that a newcomer meets."""
    found = standstill(CellSnapshot())
    assert found.because == "no machine is here"
    assert [action.command for action in found.actions] == ["northstar machines invite --pool standard", "northstar up"]


def test_a_machine_that_waits_for_approval_is_the_first_thing_to_look_at() -> None:
    """It may be the one that is missing."""
    assert standstill(CellSnapshot(), not_approved=("new",)).actions[0].command == "northstar machines approve new"


def test_machines_that_fit_and_drain_are_given_work_again() -> None:
    """Nothing else is wanted of them."""
    found = standstill(cell(machine("m", active=False)))
    assert found.because == "m fits, but takes no new work now"
    assert [action.command for action in found.actions] == ["northstar machines drain m --undo"]


def test_a_machine_that_fits_and_whose_engine_is_out_is_mended_and_no_other_is_bought() -> None:
    """Also at submit, where nothing else is known of the job."""
    out = MachineDescription(takes_work=False, trouble="picture takes no work now: it died")
    snapshot = cell(machine("m", parked=False, description=out))
    found = standstill(snapshot)
    assert found.because == "m fits, but its engine is out: picture takes no work now: it died"
    assert [(action.what, action.command) for action in found.actions] == [
        ("mend m: picture takes no work now: it died", "northstar machines show m")
    ]
    assert standstill_at_submit(wanted(), list(snapshot.machines.values()), snapshot) == found


def test_a_pause_is_ended_by_whoever_wants_the_job_to_run() -> None:
    """Somebody can run it afterwards, so it does not stand still for good."""
    found = standstill(cell(machine("m")), pauses={"cell": "upkeep"})
    assert (found.because, [action.command for action in found.actions]) == ("", ["northstar resume cell"])


def test_a_machine_whose_engine_is_out_is_to_be_mended() -> None:
    """With its own words."""
    said = MachineDescription(trouble="picture takes no work now: it died")
    (action,) = standstill(cell(machine("m", parked=False, description=said))).actions
    assert action.what == "mend m: picture takes no work now: it died"


@pytest.mark.parametrize(
    ("model", "stuck"),
    [
        (ModelWhere(name="my flux"), True),
        (ModelWhere(name="my flux", on_disk=1), False),
        (ModelWhere(name="my flux", fetching=1), False),
        (ModelWhere(name="my flux", can_be_fetched=True), False),
        (ModelWhere(name="my flux", engine_may_have=1), False),
        (ModelWhere(name="my flux", engine_names_others=1), True),
    ],
)
def test_a_model_that_nobody_holds_and_nobody_can_fetch_is_ordered(model: ModelWhere, stuck: bool) -> None:
    """Anything else is only a matter of time."""
    found = standstill(cell(machine("m")), models=(model,))
    assert bool(found.because) == stuck
    orders = ["northstar machines fetch m 'my flux' --from URL --sha256 HEX"] if stuck else []
    assert [action.command for action in found.actions] == orders


def test_a_large_fleet_in_trouble_gives_no_endless_list() -> None:
    """As many things to do as are worth reading, each once."""
    fleet: list[MachineState] = [
        machine(f"m{number:03}", parked=False, description=MachineDescription(trouble="broken"))
        for number in range(500)
    ]
    models = tuple(ModelWhere(name=f"model{number}") for number in range(30))
    found = standstill(cell(*fleet), models=models)
    assert len(found.actions) == MOST_ACTIONS
    assert len(set(found.actions)) == MOST_ACTIONS


def test_a_job_for_which_nobody_plans_says_that_a_broker_is_missing() -> None:
    """Machines fit and are free, and stay so: only a broker's plan brings them together."""
    found = standstill(cell(machine("m")), placed=0)
    assert found.because == "machines fit, and no broker has planned for it: none runs, or it has trouble"
    assert [action.command for action in found.actions] == ["northstar serve"]
    assert standstill(cell(machine("m")), placed=1) == Standstill()


def at_submit(snapshot: CellSnapshot, **requires: Any) -> Standstill:
    lane_key = lane_of(pool="standard", service="picture", requires=Requirements(**requires))
    return standstill_at_submit(read_class(lane_key.requirement_class), list(snapshot.machines.values()), snapshot)


def test_at_submit_it_is_said_that_nobody_can_serve_a_job_and_what_would_help() -> None:
    """Before the job has waited for a second."""
    found = at_submit(cell(machine("m", used=1)), tags=("eu",))
    assert found.because == "no machine fits now: m lacks tags eu"
    assert found.actions[0].command == "northstar machines invite --pool standard --tag eu"


def test_at_submit_a_wait_is_no_standstill() -> None:
    """A machine that is busy, or whose engine is being mended, will take it."""
    broken = machine("m", parked=False, description=MachineDescription(trouble="it died"))
    assert at_submit(cell(broken)) == Standstill()


def test_a_sentence_that_is_stored_with_a_job_has_a_bound() -> None:
    """A job may ask for 64 packs with long names."""
    packs = tuple(f"pack-{number:02}-{'x' * 50}" for number in range(64))
    assert len(at_submit(cell(machine("m")), node_packs=packs).because) == 400


@pytest.mark.parametrize("can_be_fetched", [False, True])
def test_where_no_machine_keeps_models_a_model_that_no_engine_names_is_put_there_by_hand(can_be_fetched: bool) -> None:
    """A source helps nobody who fetches nothing."""
    missing = ModelWhere(name="flux", can_be_fetched=can_be_fetched, engine_names_others=1)
    found = standstill(cell(machine("m", description=folderless("sdxl"))), models=(missing,))
    assert found.because.startswith("model flux cannot be had: no machine")
    assert found.actions == (
        Action(
            "put flux where the engine of m finds it, or give m a models folder (models.root)",
            "northstar machines show m",
        ),
    )
