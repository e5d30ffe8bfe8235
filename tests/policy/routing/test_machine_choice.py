"""The machine that has a job done first: told by parts, found without looking at each, the same for everybody who asks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from northstar.domain.machines import EngineDescription, MachineDescription
from northstar.policy.routing.fit import decide_fit
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.gpu_pace import NO_PACES, GpuPaces
from northstar.policy.routing.links import link_class, link_rate
from northstar.policy.routing.machine_choice import Completion, JobNeed, expected_completion
from northstar.policy.routing.model_supply import is_left_to_engine
from northstar.policy.routing.snapshot import CellSnapshot, MachineState
from tests.policy.routing.builders import GB, cell, machine, profile, wanted

NOW_MS = 1_700_000_000_000
LINK = link_rate(link_class(GB))
SDXL = (("sdxl", 8 * GB),)
MODELS = ("sdxl", "flux", "vae")


def a_job(**changes: Any) -> JobNeed:
    fields: dict[str, Any] = {"wanted": wanted(), "models": SDXL, "run_elsewhere_s": 20.0}
    return JobNeed(**fields | changes)


def done(one: MachineState, **changes: Any) -> Completion:
    return expected_completion(one, a_job(**changes), now_ms=NOW_MS)


def at(*machines: MachineState, **profiles: Any) -> CellSnapshot:
    return msgspec.structs.replace(cell(*machines), now_ms=NOW_MS, **profiles)


def test_a_machine_with_everything_in_memory_only_runs() -> None:
    assert done(machine("m", held={"sdxl": "resident"})) == Completion(0.0, 0.0, 0.0, 20.0)


def test_a_model_on_disk_is_loaded_at_the_rate_of_disks() -> None:
    assert done(machine("m", held={"sdxl": "disk"})) == Completion(0.0, 0.0, 5.0, 20.0)


def test_a_model_that_is_nowhere_is_fetched_over_the_machines_link_and_loaded() -> None:
    assert done(machine("m")) == Completion(0.0, 8 * GB / LINK, 5.0, 20.0)


def test_of_a_fetch_in_flight_only_what_is_left_counts() -> None:
    assert done(machine("m", fetching={"sdxl": NOW_MS + 3_000})) == Completion(0.0, 3.0, 5.0, 20.0)
    assert done(machine("m", fetching={"sdxl": NOW_MS - 3_000})) == Completion(0.0, 0.0, 5.0, 20.0)


def test_a_fetch_goes_on_while_the_job_waits_for_a_slot() -> None:
    busy = machine("m", used=1, work_ahead_s=10.0, fetching={"sdxl": NOW_MS + 12_000})
    assert done(busy) == Completion(10.0, 2.0, 5.0, 20.0)


def test_a_busy_machine_is_free_after_its_mean_run_divided_by_the_runs_in_progress() -> None:
    assert done(machine("m", slots=4, used=4, work_ahead_s=160.0), models=()).wait_s == 10.0


def test_a_free_slot_without_enough_memory_is_no_free_slot() -> None:
    shared = machine("m", slots=2, used=1, work_ahead_s=30.0, vram_free_mb=8_000)
    assert done(shared, wanted=wanted(vram_mb=8_000), models=()).wait_s == 0.0
    assert done(shared, wanted=wanted(vram_mb=10_000), models=()).wait_s == 30.0


def test_the_run_is_estimated_by_the_class_of_gpu() -> None:
    fast = machine("m", description=MachineDescription(gpu="NVIDIA H100 PCIe"))
    assert done(fast, models=(), run_s={"h100": 7.0}).run_s == 7.0
    assert done(machine("m"), models=(), run_s={"h100": 7.0}).run_s == 20.0


def test_what_a_slow_gpu_does_already_takes_longer_too() -> None:
    slow = machine("m", slots=1, used=1, work_ahead_s=10.0, description=MachineDescription(gpu="NVIDIA L4"))
    assert expected_completion(slow, a_job(models=()), now_ms=NOW_MS, paces=GpuPaces({"l4": 3.0})).wait_s == 30.0


def test_a_cold_machine_is_chosen_when_the_holders_are_busy_for_longer_than_its_fetch_takes() -> None:
    holder = machine("holder", held={"sdxl": "resident"}, used=1, work_ahead_s=60.0)
    best = FleetIndex(at(holder, machine("cold"))).best(a_job())
    assert best is not None
    assert best.machine == "cold"


def test_a_busy_holder_is_chosen_when_it_is_free_sooner_than_anybody_could_fetch() -> None:
    holder = machine("holder", held={"sdxl": "resident"}, used=1, work_ahead_s=5.0)
    best = FleetIndex(at(holder, machine("cold"))).best(a_job())
    assert best is not None
    assert (best.machine, best.total_s) == ("holder", 25.0)


def test_where_nobody_fits_there_is_no_choice() -> None:
    assert FleetIndex(at(machine("m", profile="other"), machine("n", active=False))).best(a_job()) is None


def test_decisions_on_fit_are_kept_for_the_next_index_while_profiles_stay() -> None:
    before = FleetIndex(at(machine("m")))
    assert before.best(a_job()) is not None
    assert FleetIndex(at(machine("n")), before).fits == before.fits
    changed = msgspec.structs.replace(at(machine("n")), profiles={"p": profile(pools=("fast",))})
    assert FleetIndex(changed, before).best(a_job()) is None


gpus = st.sampled_from(["", "NVIDIA L4", "NVIDIA H100 PCIe"])
paces = st.dictionaries(st.sampled_from(["l4", "h100", "cpu"]), st.sampled_from([0.25, 1.0, 3.0])).map(GpuPaces)
machines = st.builds(
    lambda **fields: fields,
    profile=st.sampled_from(["p", "big", "other", "kept", "eu"]),
    held=st.dictionaries(st.sampled_from(MODELS), st.sampled_from(["resident", "disk"])),
    fetching=st.dictionaries(st.sampled_from(MODELS), st.integers(NOW_MS - 5_000, NOW_MS + 60_000)),
    slots=st.integers(0, 3),
    used=st.integers(0, 3),
    work_ahead_s=st.sampled_from([0.0, 5.0, 30.0]),
    vram_free_mb=st.sampled_from([0, 8_000, 24_000]),
    active=st.sampled_from([True, True, True, False]),
    download_bytes_per_s=st.sampled_from([0.0, 2e7, 1e8, 1e9]),
    description=st.builds(
        lambda gpu, takes_work, keeps_models, named: MachineDescription(
            gpu=gpu,
            takes_work=takes_work,
            keeps_models=keeps_models,
            engines=(EngineDescription(service="picture", models=named),),
        ),
        gpu=gpus,
        takes_work=st.sampled_from([True, True, True, False]),
        keeps_models=st.booleans(),
        named=st.sampled_from([0, 2]),
    ),
)
jobs = st.builds(
    lambda pool, regions, vram_mb, **fields: a_job(
        wanted=wanted(pool=pool, regions=regions, vram_mb=vram_mb), **fields
    ),
    pool=st.sampled_from(["standard", "uniform", "enterprise"]),
    regions=st.sampled_from([(), ("eu",)]),
    vram_mb=st.sampled_from([0, 8_000, 40_000]),
    models=st.lists(st.tuples(st.sampled_from(MODELS), st.integers(0, 20 * GB)), max_size=3).map(tuple),
    run_s=st.dictionaries(st.sampled_from(["l4", "h100", "cpu"]), st.sampled_from([1.0, 20.0])),
)
st_hosts = st.lists(machines, max_size=12)
PROFILES = {
    "p": profile(),
    "big": profile(vram_mb=80_000),
    "other": profile(pools=("fast",)),
    "kept": profile(pools=("enterprise",), region="eu"),
    "eu": profile(region="eu"),
}


def fleet(hosts: list[dict[str, Any]]) -> CellSnapshot:
    return at(*(machine(f"m{number}", **host) for number, host in enumerate(hosts)), profiles=PROFILES)


def one_by_one(
    snapshot: CellSnapshot, job: JobNeed, paces: GpuPaces, far: Collection[str] = ()
) -> list[tuple[float, int, str]]:
    """When each has the job done, how many of its slots are used, one more where it is far, and its name."""
    able = [one for one in snapshot.machines.values() if one.active and one.slots and one.description.takes_work]
    fitting = [one for one in able if decide_fit(PROFILES[one.profile], job.wanted).fits]
    found = sorted(
        (
            expected_completion(one, job, now_ms=NOW_MS, paces=paces).total_s,
            is_left_to_engine(one, job.largest()),
            one.used + (one.profile in far),
            one.id,
        )
        for one in fitting
    )
    return [(total_s, used, name) for total_s, _, used, name in found]


def best_s(snapshot: CellSnapshot, job: JobNeed, paces: GpuPaces = NO_PACES) -> float:
    best = FleetIndex(snapshot, paces=paces).best(job)
    return float("inf") if best is None else best.total_s


@settings(deadline=None, max_examples=300)
@given(
    hosts=st.lists(machines, max_size=12),
    job=jobs,
    count=st.integers(1, 5),
    known=paces,
    far=st.sets(st.sampled_from(["p", "big"])),
)
def test_the_best_are_those_that_looking_at_each_would_find(
    hosts: list[dict[str, Any]], job: JobNeed, count: int, known: GpuPaces, far: set[str]
) -> None:
    """Of those that are as soon the emptier, and one near the job's users before one that is far."""
    snapshot = fleet(hosts)
    ranked = FleetIndex(snapshot, paces=known).ranked(job, count, far=far)
    found = [(one.total_s, one.used, one.machine) for one in ranked]
    assert found == one_by_one(snapshot, job, known, far)[:count]


@settings(deadline=None)
@given(hosts=st.lists(machines, max_size=12), job=jobs)
def test_never_a_machine_that_refuses(hosts: list[dict[str, Any]], job: JobNeed) -> None:
    """Issue: property tests of policy: "never a machine that refuses", "enterprise never leaves its limits"."""
    snapshot = fleet(hosts)
    for found in FleetIndex(snapshot).ranked(job, 64):
        one = snapshot.machines[found.machine]
        assert one.active
        assert one.slots
        assert one.description.takes_work
        serves = PROFILES[one.profile]
        assert serves.vram_mb >= job.wanted.vram_mb
        assert not job.wanted.regions or serves.region in job.wanted.regions
        assert job.wanted.pool in serves.pools or (job.wanted.pool == "uniform" and serves.pools != ("enterprise",))


@settings(deadline=None)
@given(hosts=st.lists(machines, max_size=10), more=machines, job=jobs, known=paces)
def test_adding_a_machine_never_makes_the_best_completion_later(
    hosts: list[dict[str, Any]], more: dict[str, Any], job: JobNeed, known: GpuPaces
) -> None:
    assert best_s(fleet([*hosts, more]), job, known) <= best_s(fleet(hosts), job, known)


@given(one=machines, name=st.sampled_from(MODELS), job=jobs)
def test_lacking_more_never_makes_a_machine_better(one: dict[str, Any], name: str, job: JobNeed) -> None:
    poorer = one | {
        "held": {held: state for held, state in one["held"].items() if held != name},
        "fetching": {model: at for model, at in one["fetching"].items() if model != name or at <= NOW_MS + 1_000_000},
    }
    if name in one["held"]:
        poorer["fetching"] = {model: at for model, at in poorer["fetching"].items() if model != name}
    before = expected_completion(machine("m", **one), job, now_ms=NOW_MS).total_s
    assert expected_completion(machine("m", **poorer), job, now_ms=NOW_MS).total_s >= before


@settings(deadline=None)
@given(hosts=st.lists(machines, max_size=10), job=jobs, seed=st.randoms(use_true_random=False))
def test_of_equals_the_first_by_name_is_chosen_in_whatever_order_they_came(
    hosts: list[dict[str, Any]], job: JobNeed, seed: Any
) -> None:
    snapshot = fleet(hosts)
    shuffled = list(snapshot.machines.items())
    seed.shuffle(shuffled)
    again = msgspec.structs.replace(snapshot, machines=dict(shuffled))
    assert FleetIndex(again).ranked(job, 3) == FleetIndex(snapshot).ranked(job, 3)
