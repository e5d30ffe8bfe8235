"""What each pool has for one kind of job."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.machines import EngineDescription, MachineDescription, MachineProfile
from northstar.domain.requirements import RequirementClass
from northstar.policy.routing.pool_capacity import FleetCapacity, ModelWanted
from northstar.policy.routing.pool_fallback import PoolCapacity
from northstar.policy.routing.snapshot import CellSnapshot, MachineState

SDXL = ModelWanted("sdxl", 6_000_000_000, can_be_fetched=True)
VAE = ModelWanted("vae", 300_000_000, can_be_fetched=True)
HIDDEN = ModelWanted("hidden", 1_000_000_000, can_be_fetched=False)


def wanted(**changes: Any) -> RequirementClass:
    fields: dict[str, Any] = {
        "pool": "whatever",
        "service": "paint",
        "vram_mb": 0,
        "node_packs": (),
        "tags": (),
        "isolation": None,
    }
    return RequirementClass(**fields | changes)


def a_machine(name: str, profile: str = "p", **changes: Any) -> MachineState:
    fields: dict[str, Any] = {"slots": 2, "used": 0, "active": True, "parked": True, "download_bytes_per_s": 100e6}
    return MachineState(id=name, profile=profile, **fields | changes)


def fleet(*machines: MachineState, **profiles: MachineProfile) -> FleetCapacity:
    known = profiles or {"p": a_profile("fast-lane")}
    return FleetCapacity(CellSnapshot(machines={one.id: one for one in machines}, profiles=known))


def a_profile(*pools: str, **changes: Any) -> MachineProfile:
    return MachineProfile(pools=pools, services=("paint",), **changes)


def of(capacity: FleetCapacity, pool: str, *models: ModelWanted, **needs: Any) -> PoolCapacity:
    return capacity.of(wanted(**needs), models)[pool]


def test_machines_slots_and_free_slots_are_counted_for_each_pool_of_a_machine() -> None:
    capacity = fleet(
        a_machine("a", used=1), a_machine("b", "q"), p=a_profile("fast-lane"), q=a_profile("fast-lane", "standard")
    )
    fast, standard = of(capacity, "fast-lane"), of(capacity, "standard")
    assert (fast.machines, fast.fit, fast.slots, fast.free) == (2, 2, 4, 3)
    assert (standard.machines, standard.fit, standard.slots, standard.free) == (1, 1, 2, 2)


def test_a_machine_that_takes_no_work_counts_nowhere() -> None:
    assert fleet(a_machine("a", active=False)).of(wanted(), ()) == {}


def test_a_machine_whose_engines_are_out_counts_nowhere_and_is_known_all_the_same() -> None:
    """What a graph is read as, and which models and nodes are known, does not change with a pause of some seconds."""
    engine = EngineDescription(service="paint", kind="comfyui")
    said = MachineDescription(engines=(engine,), takes_work=False)
    capacity = fleet(
        a_machine("out", parked=False, held={"sdxl": "resident"}, description=said),
        p=a_profile("fast-lane", node_set="0123456789abcdef"),
    )
    assert capacity.of(wanted(), (SDXL,)) == {}
    assert (capacity.engine_kind("paint"), capacity.tells_nodes("paint"), capacity.holds("sdxl")) == (
        "comfyui",
        True,
        True,
    )


def test_of_two_holders_the_one_whose_engines_are_out_is_none() -> None:
    out = MachineDescription(takes_work=False)
    capacity = fleet(
        a_machine("out", parked=False, held={"sdxl": "resident"}, description=out),
        a_machine("well", held={"sdxl": "disk"}),
    )
    found = of(capacity, "fast-lane", SDXL)
    assert (found.machines, found.fit, found.holders, found.free_holders, found.slots) == (1, 1, 1, 2, 2)


def test_a_machine_without_slots_fits_nothing() -> None:
    """As for the choice of the machine, so that the pool is not chosen for one that nobody can be given to."""
    assert fleet(a_machine("none", slots=0, held={"sdxl": "resident"})).of(wanted(), (SDXL,)) == {}


def test_what_the_closest_machine_lacks_is_told() -> None:
    lacking = of(fleet(a_machine("a")), "fast-lane", vram_mb=24_000, tags=("x",))
    assert (lacking.fit, lacking.nearest_lacks) == (0, "has 0 MB of VRAM, the job needs 24000 and lacks tags x")


def test_a_holder_has_all_the_models() -> None:
    capacity = fleet(
        a_machine("a", held={"sdxl": "disk"}), a_machine("b", held={"sdxl": "resident", "vae": "disk"}, used=1)
    )
    assert of(capacity, "fast-lane", SDXL).holders == 2
    both = of(capacity, "fast-lane", SDXL, VAE)
    assert (both.holders, both.free_holders, both.fetch_s) == (1, 1, 0.0)


def test_without_a_holder_the_quickest_link_says_how_long_a_fetch_takes() -> None:
    capacity = fleet(a_machine("a", download_bytes_per_s=50e6), a_machine("b", download_bytes_per_s=200e6))
    assert of(capacity, "fast-lane", SDXL).fetch_s == 30.0


def test_what_nobody_knows_where_to_fetch_takes_for_ever() -> None:
    assert of(fleet(a_machine("a")), "fast-lane", SDXL, HIDDEN).fetch_s is None


def test_uniform_is_every_machine_that_is_not_kept_for_others() -> None:
    capacity = fleet(a_machine("a"), a_machine("b", "e"), p=a_profile("fast-lane"), e=a_profile("enterprise"))
    assert (of(capacity, "uniform").machines, of(capacity, "uniform").fit) == (2, 1)


def test_the_kind_of_engine_is_known_where_all_say_the_same() -> None:
    def said(kind: str) -> MachineDescription:
        return MachineDescription(engines=(EngineDescription(service="paint", kind=kind),))

    one = a_machine("a", description=said("comfyui"))
    assert fleet(one).engine_kind("paint") == "comfyui"
    other = a_machine("b", "q", description=said("command"))
    assert fleet(one, other, p=a_profile("standard"), q=a_profile("heavy")).engine_kind("paint") == ""


@given(
    st.lists(st.tuples(st.sampled_from(["p", "q"]), st.booleans(), st.integers(0, 2)), max_size=12),
    st.tuples(st.sampled_from(["p", "q"]), st.booleans(), st.integers(0, 2)),
)
def test_another_machine_never_makes_a_pool_poorer(
    before: list[tuple[str, bool, int]], more: tuple[str, bool, int]
) -> None:
    def made(entries: list[tuple[str, bool, int]]) -> dict[str, PoolCapacity]:
        machines = (
            a_machine(f"m{at}", profile, used=used, held={"sdxl": "disk"} if holds else {})
            for at, (profile, holds, used) in enumerate(entries)
        )
        capacity = fleet(*machines, p=a_profile("fast-lane"), q=a_profile("heavy", "standard", vram_mb=24_000))
        return capacity.of(wanted(vram_mb=8_000), (SDXL,))

    poor, rich = made(before), made([*before, more])
    for pool, one in poor.items():
        other = rich[pool]
        for what in ("fit", "holders", "free", "free_holders"):
            assert getattr(other, what) >= getattr(one, what), what
        assert one.fetch_s is None or (other.fetch_s is not None and other.fetch_s <= one.fetch_s)


def folderless(models: int = 0) -> MachineDescription:
    return MachineDescription(engines=(EngineDescription(service="paint", models=models),), keeps_models=False)


def test_to_machines_that_keep_no_models_nothing_is_fetched_and_they_are_counted_by_what_their_engines_say() -> None:
    silent = a_machine("a", description=folderless(), download_bytes_per_s=1e9)
    naming = a_machine("b", description=folderless(3), download_bytes_per_s=1e9)
    alone = of(fleet(silent, naming), "fast-lane", SDXL)
    assert (alone.fit, alone.holders, alone.fetch_s) == (2, 0, None)
    assert (alone.engine_may_have, alone.engine_names_others, alone.can_be_brought) == (1, 1, False)
    beside = of(fleet(silent, naming, a_machine("c")), "fast-lane", SDXL)
    assert (beside.fetch_s, beside.can_be_brought) == (60.0, True)


def test_one_that_says_that_its_engine_has_the_model_is_a_holder_like_any_other() -> None:
    has = a_machine("a", description=folderless(1), held={"sdxl": "disk"})
    found = of(fleet(has), "fast-lane", SDXL)
    assert (found.holders, found.engine_may_have, found.engine_names_others) == (1, 0, 0)
