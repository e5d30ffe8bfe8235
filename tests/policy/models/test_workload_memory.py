"""Payloads that come again with another seed and prompt are read once, and never taken for another."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from northstar.policy.models.workload_memory import MAX_BYTES, WorkloadMemory
from northstar.policy.models.workload_of import workload_of
from tests.policy.models import graphs

GRAPHS = (
    graphs.sdxl,
    graphs.enlarged,
    graphs.animated,
    graphs.chained,
    graphs.song,
    graphs.by_schedule,
    graphs.trained,
)
#: Anything that an input may be set to, file names and switches among them.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["hare", "own.safetensors", "euler", ""]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.lists(st.sampled_from(["1", 0]), min_size=2, max_size=2),
    st.dictionaries(st.sampled_from(["text", "seed", "on"]), st.sampled_from([True, 3, "own.ckpt"])),
)
NAMES = st.sampled_from(["text", "seed", "noise_seed", "steps", "batch_size", "value", "switch", "lora_1"])


def read(memory: WorkloadMemory, graph: dict[str, Any]) -> Any:
    return memory.workload_of("comfy", {"prompt": graph}, kind="comfyui")


def test_another_seed_and_another_prompt_are_the_same_work() -> None:
    memory = WorkloadMemory()
    first = read(memory, graphs.sdxl(prompt="a hare", seed=1))
    assert read(memory, graphs.sdxl(prompt="a fox in the rain", seed=2)) is first
    assert read(memory, graphs.sdxl(steps=26)) is not first


@given(st.sampled_from(GRAPHS), st.lists(st.tuples(st.integers(0, 40), NAMES, VALUES, VALUES), max_size=4))
def test_whatever_differs_a_remembered_workload_is_what_reading_anew_says(
    make: Any, changes: list[tuple[int, str, Any, Any]]
) -> None:
    """Two graphs that differ anywhere, read one after the other through one memory."""
    memory, one, two = WorkloadMemory(), make(), copy.deepcopy(make())
    for place, name, first, second in changes:
        identity = list(one)[place % len(one)]
        one[identity]["inputs"][name] = first
        two[identity]["inputs"][name] = second
    for graph in (one, two, one):
        assert read(memory, graph) == workload_of("comfy", {"prompt": graph}, kind="comfyui")


def test_the_kind_of_the_engine_and_the_hints_count() -> None:
    memory, payload = WorkloadMemory(), {"prompt": graphs.sdxl()}
    hinted = {**payload, "extra_data": {"northstar": {"speciality": "art"}}}
    assert memory.workload_of("comfy", payload, kind="comfyui").speciality is None
    assert memory.workload_of("comfy", hinted, kind="comfyui").speciality == "art"
    assert memory.workload_of("comfy", payload, kind="simulated") == workload_of("comfy", payload, kind="simulated")


def test_what_is_remembered_is_bounded_in_number_and_size() -> None:
    memory = WorkloadMemory(max_workloads=2)
    first = read(memory, graphs.sdxl(steps=1))
    read(memory, graphs.sdxl(steps=2))
    read(memory, graphs.sdxl(steps=3))
    again = read(memory, graphs.sdxl(steps=1))
    assert again == first
    assert again is not first
    large = graphs.sdxl() | {"n": graphs.node("Note", comment="x" * MAX_BYTES)}
    assert read(memory, large) is not read(memory, large)


def test_a_payload_that_is_no_json_is_read_all_the_same() -> None:
    graph = graphs.sdxl() | {"n": graphs.node("Note", what=object())}
    assert read(WorkloadMemory(), graph).steps == 25
