"""The plan of a whole cell says of every machine what is said of it alone."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from northstar.domain.machines import EngineDescription, MachineDescription
from northstar.policy.routing.candidates import candidates
from northstar.policy.routing.gpu_pace import GpuPaces
from northstar.policy.routing.plan import plan_candidates
from northstar.policy.routing.ranking_terms import RankingTerms
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState
from tests.policy.routing.builders import GB, SDXL, cell, lane, machine, profile, wanted

RULE = PatienceRule()
MODELS = ("sdxl", "flux", "wan", "vae")
paces = st.dictionaries(st.sampled_from(["l4", "h100"]), st.sampled_from([0.25, 3.0])).map(GpuPaces)

machines = st.builds(
    lambda profile, held, active, rate, used, slots, fetching, work_ahead_s, gpu, takes_work, keeps_models, named: (
        machine(
            "?",
            profile=profile,
            held=held,
            active=active,
            download_bytes_per_s=rate,
            used=used,
            slots=slots,
            fetching=fetching,
            work_ahead_s=work_ahead_s,
            description=MachineDescription(
                gpu=gpu,
                takes_work=takes_work,
                keeps_models=keeps_models,
                engines=(EngineDescription(service="picture", models=named),),
            ),
        )
    ),
    st.sampled_from(["p", "other", "third"]),
    st.dictionaries(st.sampled_from(MODELS), st.sampled_from(["resident", "disk"])),
    st.booleans(),
    st.sampled_from([0.0, 1e7, 1e9]),
    st.integers(0, 2),
    st.integers(0, 3),
    st.dictionaries(st.sampled_from(MODELS), st.integers(0, 20_000), max_size=2),
    st.sampled_from([0.0, 12.5, 60.0]),
    st.sampled_from(["", "NVIDIA L4", "NVIDIA H100 PCIe"]),
    st.sampled_from([True, True, False]),
    st.sampled_from([True, False]),
    st.sampled_from([0, 2]),
)
lanes = st.builds(
    lambda class_, anchors, unfinished, running, run_s, head, oldest_ms: lane(
        "?",
        requirement_class=class_,
        anchors=tuple(anchors.items()),
        unfinished=unfinished,
        running=running,
        run_s=run_s,
        waits=bool(head),
        head=head,
        oldest_ms=oldest_ms,
    ),
    st.sampled_from(["c", "d", "e"]),
    st.dictionaries(st.sampled_from(MODELS), st.sampled_from([0, GB, 40 * GB]), max_size=3),
    st.integers(0, 20),
    st.integers(0, 3),
    st.sampled_from([0.5, 20.0]),
    st.sampled_from(["", "1f5", "19b", "0aa"]),
    st.sampled_from([1, 4_000, 9_990]),
)


def a_cell(hosts: list[MachineState], queues: list[LaneState], fits: list[bool]) -> CellSnapshot:
    pairs = [(profile, class_) for profile in ("p", "other", "third") for class_ in ("c", "d", "e")]
    named = [machine(f"m{n}", **fields_of(host)) for n, host in enumerate(hosts)]
    numbered = [lane(f"l{n:03}", **fields_of(queue)) for n, queue in enumerate(queues)]
    whole = cell(*named, *numbered, fits=dict(zip(pairs, fits, strict=True)))
    profiles = {"p": profile(), "other": profile(tags=("edge",)), "third": profile()}
    classes = {"c": wanted(), "d": wanted(pool="fast"), "e": wanted()}
    return msgspec.structs.replace(whole, now_ms=10_000, profiles=profiles, classes=classes)


def fields_of(part: MachineState | LaneState) -> dict[str, object]:
    return {name: getattr(part, name) for name in part.__struct_fields__ if name not in ("id", "key")}


@settings(deadline=None, max_examples=150)
@given(
    hosts=st.lists(machines, max_size=6),
    queues=st.lists(lanes, max_size=12),
    copies=st.sampled_from([1, 12]),
    terms=st.builds(RankingTerms, paces, st.sampled_from([frozenset[str](), frozenset({"standard"})])),
    fits=st.lists(st.booleans(), min_size=9, max_size=9),
)
def test_each_machine_gets_what_it_would_get_alone(
    hosts: list[MachineState], queues: list[LaneState], copies: int, fits: list[bool], terms: RankingTerms
) -> None:
    snapshot = a_cell(hosts, queues * copies, fits)
    alone = {name: candidates(host, snapshot, RULE, terms) for name, host in snapshot.machines.items()}
    assert plan_candidates(snapshot, RULE, terms) == alone


def test_a_machine_does_not_leave_jobs_to_one_whose_engines_are_out() -> None:
    """For the minutes or hours until it is back; the plan of the cell that has it again counts it again."""
    big = (("flux", 24 * GB),)
    out = machine("out", parked=False, held={"flux": "resident"}, description=MachineDescription(takes_work=False))
    back = msgspec.structs.replace(out, parked=True, description=MachineDescription())
    cold, asked = (
        machine("cold", download_bytes_per_s=125e6),
        lane("l", anchors=big, unfinished=1, waits=True, head="0"),
    )
    assert [one.ready_after_ms for one in plan_candidates(cell(out, cold, asked), RULE)["cold"]] == [0]
    assert [one.ready_after_ms for one in plan_candidates(cell(back, cold, asked), RULE)["cold"]] == [15_000]


def test_machines_alike_but_for_how_busy_they_are_keep_their_own_preference() -> None:
    snapshot = cell(machine("busy", used=3), machine("free"), lane("l"))
    assert {name: found[0].preference for name, found in plan_candidates(snapshot, RULE).items()} == {
        "busy": 26,
        "free": 0,
    }


def test_a_machine_of_a_profile_that_nobody_has_decided_gets_nothing() -> None:
    assert plan_candidates(cell(machine("new", profile="new"), lane("l", anchors=SDXL)), RULE) == {"new": []}
