"""What the cell is told puts that machine first which has the job done first: at submit, in the plan, and as the decision is stored."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from northstar.broker.wanted_lanes import wanted_lane
from northstar.domain.jobs import JobRequest
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelNeed
from northstar.domain.requirements import Requirements
from northstar.policy.routing.candidates import Choice, ranking
from northstar.policy.routing.considered import Considered
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.gpu_pace import GpuPaces
from northstar.policy.routing.machine_choice import JobNeed, expected_completion
from northstar.policy.routing.plan import plan_candidates
from northstar.policy.routing.pool_capacity import FleetCapacity
from northstar.policy.routing.ranking_terms import RankingTerms
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState
from tests.policy.routing.builders import GB, cell, folderless, lane, machine, wanted

RULE = PatienceRule()
NOW_MS = 1_700_000_000_000
MODELS = ("wan-video", "sdxl", "vae")
RTX_4090, H100, L4 = (
    MachineDescription(gpu=name) for name in ("NVIDIA GeForce RTX 4090", "NVIDIA H100 80GB HBM3", "NVIDIA L4")
)
GPUS = (RTX_4090, H100, L4)
WITHOUT_FOLDER = [folderless(gpu=one.gpu) for one in GPUS]
NAMING_OTHERS = [folderless("another", gpu=one.gpu) for one in GPUS]
paces = st.dictionaries(st.sampled_from(["rtx-4090", "h100", "l4"]), st.floats(0.05, 20)).map(GpuPaces)
idle_machines = st.builds(
    lambda **fields: fields,
    held=st.dictionaries(st.sampled_from(MODELS), st.sampled_from(["resident", "disk"])),
    fetching=st.dictionaries(st.sampled_from(MODELS), st.integers(NOW_MS - 5_000, NOW_MS + 900_000)),
    slots=st.integers(1, 3),
    download_bytes_per_s=st.one_of(st.just(0.0), st.floats(1e6, 2e9)),
    description=st.sampled_from([*GPUS, *WITHOUT_FOLDER, *NAMING_OTHERS]),
)
anchors = st.dictionaries(st.sampled_from(MODELS), st.integers(0, 60 * GB)).map(lambda found: tuple(found.items()))


def an_idle_fleet(hosts: list[dict[str, Any]], *lanes: LaneState) -> CellSnapshot:
    named = [machine(f"m{number}", **host) for number, host in enumerate(hosts)]
    return msgspec.structs.replace(cell(*named, *lanes), now_ms=NOW_MS)


def done_s(one: MachineState, job: JobNeed) -> float:
    return expected_completion(one, job, now_ms=NOW_MS).total_s


def a_job(wanted_by: LaneState, known: GpuPaces) -> JobNeed:
    run_s = {gpu: wanted_by.run_s * known.of(gpu) for gpu in ("rtx-4090", "h100", "l4")}
    return JobNeed(wanted=wanted(), models=wanted_by.anchors, run_s=run_s, run_elsewhere_s=wanted_by.run_s)


def check_first(choices: list[Choice], snapshot: CellSnapshot, job: JobNeed) -> None:
    """The best machine leaves the job to nobody, and who comes before it is done as soon, as far as a preference tells."""
    best = FleetIndex(snapshot).best(job)
    assert best is not None
    assert {one.subject: one.ready_after_ms for one in choices}[best.machine] == 0
    first = min(choices)
    lead_s = done_s(snapshot.machines[first.subject], job) - best.total_s
    assert lead_s <= 0.1 + best.total_s * 0.006


TERMS = RankingTerms(paces=GpuPaces({"rtx-4090": 1.0, "h100": 0.7}))
#: Resident on an idle 4090, and nowhere near an H100 whose link takes a quarter of an hour for it.
BIG = (("wan-video", 40 * GB),)
HOLDER = {"held": {"wan-video": "resident"}, "download_bytes_per_s": 50e6, "description": RTX_4090}
COLD = {"download_bytes_per_s": 50e6, "description": H100}


@settings(deadline=None, max_examples=200)
@given(hosts=st.lists(idle_machines, min_size=1, max_size=8), asked=anchors, run_s=st.floats(0.1, 1_000), known=paces)
@example(hosts=[HOLDER, COLD], asked=BIG, run_s=120.0, known=TERMS.paces)
def test_at_submit_the_first_of_idle_machines_is_the_one_that_has_the_job_done_first(
    hosts: list[dict[str, Any]], asked: tuple[tuple[str, int], ...], run_s: float, known: GpuPaces
) -> None:
    snapshot, new = an_idle_fleet(hosts), lane("new", anchors=asked, run_s=run_s)
    job = a_job(new, known)
    for terms, own in ((RankingTerms(paces=known), None), (RankingTerms(), known)):
        check_first(ranking(new, wanted(), snapshot, RULE, terms=terms, paces=own)[1], snapshot, job)


@settings(deadline=None, max_examples=200)
@given(
    hosts=st.lists(idle_machines, min_size=1, max_size=8),
    asked=anchors,
    run_s=st.floats(0.1, 1_000),
    known=paces,
    jobs=st.integers(1, 5),
)
@example(hosts=[HOLDER, COLD], asked=BIG, run_s=120.0, known=TERMS.paces, jobs=1)
def test_in_the_plan_the_first_of_idle_machines_is_the_one_that_has_the_job_done_first(
    hosts: list[dict[str, Any]], asked: tuple[tuple[str, int], ...], run_s: float, known: GpuPaces, jobs: int
) -> None:
    waiting = lane("l", anchors=asked, run_s=run_s, unfinished=jobs, waits=True, head="0")
    snapshot = an_idle_fleet(hosts, waiting)
    planned = plan_candidates(snapshot, RULE, RankingTerms(paces=known))
    seen = [Choice(one.ready_after_ms, one.preference, name) for name, found in planned.items() for one in found]
    check_first(seen, snapshot, a_job(waiting, known))


def test_a_faster_gpu_takes_no_job_from_a_machine_that_has_it_done_before_it_could_fetch() -> None:
    """The holder has it done after 120 s; the H100 after a fetch of 843 s, a load of 25 s and a run of 84 s."""
    holder, cold = an_idle_fleet([HOLDER, COLD]).machines.values()
    snapshot = cell(holder, cold, lane("l", anchors=BIG, unfinished=1, waits=True, run_s=120.0, head="0"))
    planned = plan_candidates(snapshot, RULE, TERMS)
    told = {name: (one.ready_after_ms, one.preference) for name, (one,) in planned.items()}
    assert told["m0"] == (0, 32 * 360)  # the run takes 36 s longer than on the fastest GPU
    assert told["m1"] > (15_000, told["m0"][1])


def test_fetches_of_hours_are_told_apart() -> None:
    rates = [5e6, 1e7, 2e7, 1e8, 1e9]
    snapshot = cell(*(machine(f"m{place}", download_bytes_per_s=rate) for place, rate in enumerate(rates)))
    found = ranking(lane("new", anchors=(("giant", 200 * GB),)), wanted(), snapshot, RULE)[1]
    assert [one.subject for one in sorted(found)] == ["m4", "m3", "m2", "m1", "m0"]
    assert len({one.preference for one in found}) == len(rates)
    assert all(one.preference <= 65_535 for one in found)


def test_what_no_preference_could_tell_is_later_than_all_else() -> None:
    snapshot = cell(machine("far", download_bytes_per_s=1.0, used=9), machine("near", download_bytes_per_s=2e4))
    found = ranking(lane("new", anchors=(("giant", GB),)), wanted(), snapshot, RULE)[1]
    assert [(one.subject, one.preference == 65_535) for one in sorted(found)] == [("near", False), ("far", True)]


def test_the_decision_that_is_stored_names_the_machine_that_the_cell_puts_first() -> None:
    snapshot = an_idle_fleet([HOLDER, COLD])
    models = (ModelNeed(name="wan-video", size_bytes=40 * GB),)
    request = JobRequest(service="picture", pool="standard", requires=Requirements(models=models), expected_s=120.0)
    key, index = request.lane(), FleetIndex(snapshot, paces=TERMS.paces)
    stored = Considered(index, FleetCapacity(snapshot)).machines(key, run_s=120.0, paces=TERMS.paces)
    told = wanted_lane(key, snapshot, RULE, index=index, run_s=120.0, terms=TERMS).placements
    first = min(told, key=lambda one: (one.ready_after_ms, one.preference))
    assert stored.best[0].machine == first.machine == "m0"
