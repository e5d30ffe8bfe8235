"""Causes and advice where several needs are unmet at once: the nearest machine is named with all that it lacks, and what is advised helps."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.domain.explanations import ModelWhere
from northstar.domain.machines import MachineProfile
from northstar.policy.routing.eta import why_nobody
from northstar.policy.routing.explain_machines import Wait, grouped, reasons_of
from northstar.policy.routing.explain_remedies import Standstill, standstill_of
from northstar.policy.routing.fit import decide_fit
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot, MachineState
from tests.policy.routing.builders import lane, machine, profile, wanted

RULE = PatienceRule()


def fleet(*machines: MachineState, **profiles: MachineProfile) -> CellSnapshot:
    return CellSnapshot(machines={one.id: one for one in machines}, profiles=profiles)


def standstill(
    snapshot: CellSnapshot,
    *,
    pauses: dict[str, str] | None = None,
    models: tuple[ModelWhere, ...] = (),
    of_this_host: tuple[str, ...] = (),
    **needs: Any,
) -> Standstill:
    asked = Wait(
        lane=lane("l"),
        wanted=wanted(**needs),
        now_ms=5_000,
        submitted_ms=0,
        oldest_ms=0,
        overdue_ms=60_000,
        pauses=pauses or {},
    )
    return standstill_of(asked, reasons_of(asked, snapshot, RULE), snapshot, models=models, of_this_host=of_this_host)


def commands(found: Standstill) -> list[str]:
    return [action.command for action in found.actions]


def test_pool_and_memory_both_are_the_cause_and_one_machine_that_has_both_is_the_remedy() -> None:
    """Letting the machine that is there serve the pool would not help."""
    found = standstill(fleet(machine("m", profile="p"), p=profile()), pool="heavy", vram_mb=48_000)
    assert found.because == (
        "no machine fits now: m is in pool standard, not heavy and has 24000 MB of VRAM, the job needs 48000"
    )
    assert [action.what for action in found.actions] == [
        (
            "let a machine join pool heavy that offers service picture and has 48000 MB of VRAM; "
            "the closest, m, is in pool standard, not heavy and has 24000 MB of VRAM, the job needs 48000"
        )
    ]
    assert commands(found) == ["northstar machines invite --pool heavy"]


def test_of_a_pools_own_small_machine_and_a_large_one_elsewhere_the_one_that_can_be_let_in_is_advised() -> None:
    """Both lack one thing: memory cannot be given, a pool can."""
    snapshot = fleet(
        machine("small", profile="small"),
        machine("large", profile="large"),
        small=profile(pools=("heavy",)),
        large=profile(vram_mb=80_000),
    )
    found = standstill(snapshot, pool="heavy", vram_mb=48_000)
    assert found.because == "no machine fits now: large (the closest of 2) is in pool standard, not heavy"
    assert commands(found)[0] == "northstar machines invite --pool standard --pool heavy"
    assert found.actions[0].what == (
        "let large serve pool heavy too, by joining anew: it is in pool standard, not heavy"
    )
    asked = wanted(pool="heavy", vram_mb=48_000)
    assert decide_fit(profile(vram_mb=80_000, pools=("standard", "heavy")), asked).fits, "the advice helps"


def test_each_group_of_machines_is_told_with_all_that_it_lacks_the_nearest_first() -> None:
    """So nobody buys memory for a machine of another pool."""
    snapshot = fleet(
        machine("a", profile="far"),
        machine("b", profile="near"),
        far=profile(pools=("fast",)),
        near=profile(),
    )
    asked = Wait(
        lane=lane("l"), wanted=wanted(vram_mb=48_000), now_ms=0, submitted_ms=0, oldest_ms=0, overdue_ms=60_000
    )
    groups = grouped(reasons_of(asked, snapshot, RULE), snapshot).shown
    assert [(group.names, [lack.need for lack in group.reason.lacks]) for group in groups] == [
        (("b",), ["vram"]),
        (("a",), ["pool", "vram"]),
    ]


def test_a_model_that_is_only_in_another_region_is_not_said_to_be_nowhere() -> None:
    """A machine of the region would still lack it: both have to be seen to."""
    snapshot = fleet(machine("us", profile="us", held={"sdxl": "disk"}), us=profile(region="us"))
    found = standstill(snapshot, regions=("eu",), models=(ModelWhere(name="sdxl", elsewhere=1),))
    assert found.because == (
        "no machine fits now: us is in region us, not eu; "
        "model sdxl cannot be had: the machine that has it does not fit, and nobody said from where to fetch it"
    )
    assert commands(found) == [
        "northstar machines invite --pool standard --region eu",
        "northstar models add URL --name sdxl",
    ]


def test_a_service_and_a_node_class_are_installed_on_one_and_the_same_machine() -> None:
    """One thing to do, with both."""
    sets = {"0" * 16: frozenset({"KSampler"})}
    snapshot = CellSnapshot(
        machines={"m": machine("m", profile="p")},
        profiles={"p": profile(services=("text",), node_set="0" * 16)},
        node_sets=sets,
    )
    found = standstill(snapshot, node_classes=("FaceDetailer",))
    assert found.because == (
        "no machine fits now: m does not offer service picture and lacks node classes FaceDetailer"
    )
    assert found.actions[0].what == (
        "set up an engine for service picture and install the packs of these node classes on m, and restart its agent: "
        "it does not offer service picture and lacks node classes FaceDetailer"
    )
    assert commands(found)[0] == "northstar machines show m"


def test_what_an_invite_grants_and_what_is_installed_are_told_as_two_parts_of_one() -> None:
    """Neither alone helps."""
    snapshot = fleet(machine("m", profile="p"), p=profile(pools=("fast",), services=("text",)))
    found = standstill(snapshot)
    assert [action.what for action in found.actions] == [
        (
            "let m serve pool standard too, by joining anew; it needs both: "
            "it is in pool fast, not standard and does not offer service picture"
        ),
        "and set up an engine for service picture on m, and restart its agent",
        "or let another machine join pool standard that offers service picture",
    ]


def test_a_paused_pool_without_a_machine_that_fits_needs_both() -> None:
    """The pause alone is not what keeps the job."""
    found = standstill(fleet(machine("m"), p=profile()), pauses={"pool:standard": "upkeep"}, vram_mb=48_000)
    assert found.because == "no machine fits now: m has 24000 MB of VRAM, the job needs 48000"
    assert [action.what for action in found.actions][-1] == "also end the pause of pool:standard"
    only = standstill(fleet(machine("m"), p=profile()), pauses={"pool:standard": "upkeep"})
    assert (only.because, [action.what for action in only.actions]) == ("", ["end the pause of pool:standard"])


def test_a_drained_machine_that_fits_comes_before_an_active_one_that_does_not() -> None:
    """Nothing needs to be bought."""
    snapshot = fleet(
        machine("drained", active=False), machine("small", profile="small"), p=profile(), small=profile(vram_mb=8_000)
    )
    found = standstill(snapshot, vram_mb=12_000)
    assert found.because == "drained fits, but takes no new work now"
    assert commands(found) == ["northstar machines drain drained --undo"]


def test_a_drained_machine_that_does_not_fit_is_not_given_work_again() -> None:
    """That would not help."""
    found = standstill(fleet(machine("m", active=False), p=profile()), vram_mb=48_000)
    assert "all machines drain" in found.because
    assert commands(found) == ["northstar machines invite --pool standard"]


@pytest.mark.parametrize(
    "kept",
    [
        profile(pools=("enterprise",)),
        profile(pools=("vip",), exclusive=True),
        profile(pools=("standard",), dedicated_to="acme"),
    ],
    ids=["enterprise", "exclusive", "dedicated"],
)
def test_a_machine_that_is_kept_for_others_is_not_asked_for(kept: MachineProfile) -> None:
    """It is as near as the small one, and not for this job to have."""
    snapshot = fleet(machine("kept", profile="kept"), machine("small", profile="small"), kept=kept, small=profile())
    snapshot = CellSnapshot(
        machines=snapshot.machines,
        profiles={"kept": profile(**_fields(kept) | {"vram_mb": 80_000}), "small": profile()},
    )
    found = standstill(snapshot, vram_mb=48_000)
    assert found.because == ("no machine fits now: small (the closest of 2) has 24000 MB of VRAM, the job needs 48000")
    assert commands(found) == ["northstar machines invite --pool standard"]
    alone = standstill(CellSnapshot(machines={"kept": machine("kept", profile="kept")}, profiles={"kept": kept}))
    assert commands(alone) == ["northstar machines invite --pool standard"], "nor if it is the only one"


def _fields(kept: MachineProfile) -> dict[str, Any]:
    return {name: getattr(kept, name) for name in kept.__struct_fields__}


def test_a_machine_of_this_host_is_changed_by_its_settings() -> None:
    """It has no invite."""
    found = standstill(fleet(machine("local"), p=profile()), pool="heavy", of_this_host=("local",))
    assert found.actions[0].what == (
        "let local serve pool heavy too by its [[machines]] in the settings, and start North Star again: "
        "it is in pool standard, not heavy"
    )
    assert commands(found)[0] == "northstar up --config FILE"


def test_of_machines_that_lack_memory_the_largest_is_the_nearest() -> None:
    """Whoever reads it sees how far the fleet is from it."""
    snapshot = fleet(
        machine("a", profile="small"), machine("b", profile="large"), small=profile(vram_mb=8_000), large=profile()
    )
    assert why_nobody(wanted(vram_mb=48_000), snapshot).startswith("no machine fits now: b (the closest of 2)")
