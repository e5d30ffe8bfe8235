"""The shape of a graph: what changes it, and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.policy.models.workload_of import workload_of
from tests.policy.models import graphs
from tests.policy.models.graphs import Graph, node
from tests.policy.models.saved_workflows import picture


def shape(graph: Graph) -> str:
    return workload_of("paint", {"prompt": graph}, kind="comfyui").shape


def changed(**inputs: Any) -> Graph:
    """The picture with other values at its sampler and its latent."""
    graph = graphs.sdxl()
    for identity in ("5", "6"):
        graph[identity]["inputs"] |= {
            name: value for name, value in inputs.items() if name in graph[identity]["inputs"]
        }
    return graph


@given(prompt=st.text(), seed=st.integers(min_value=0, max_value=2**64))
def test_prompts_and_seeds_leave_the_shape(prompt: str, seed: int) -> None:
    assert shape(graphs.sdxl(prompt=prompt, seed=seed)) == shape(graphs.sdxl())


@given(name=st.text(alphabet="abcdefgh0123456789", min_size=1), strength=st.floats(min_value=0, max_value=2))
def test_names_of_pictures_and_strengths_leave_the_shape(name: str, strength: float) -> None:
    graph = graphs.repainted(picture=f"{name}.png")
    graph["2"]["inputs"]["strength_model"] = strength
    graph["8"]["inputs"]["filename_prefix"] = name
    assert shape(graph) == shape(graphs.repainted())


@given(order=st.permutations(list(graphs.sdxl())))
def test_ids_and_the_order_of_nodes_leave_the_shape(order: list[str]) -> None:
    renamed = {f"n{identity}": graphs.moved(graphs.sdxl()[identity], "n") for identity in order}
    assert shape(renamed) == shape(graphs.sdxl())


@given(steps=st.integers(min_value=1, max_value=200), other=st.integers(min_value=1, max_value=200))
def test_other_steps_are_another_shape(steps: int, other: int) -> None:
    assert (shape(graphs.sdxl(steps=steps)) == shape(graphs.sdxl(steps=other))) == (steps == other)


@given(model=st.text(alphabet="abcxyz", min_size=1).map(lambda name: f"{name}.safetensors"))
def test_another_model_is_another_shape(model: str) -> None:
    assert (shape(graphs.sdxl(model=model)) == shape(graphs.sdxl())) == (model == "sdxl.safetensors")


@pytest.mark.parametrize(
    "values",
    [{"width": 1280}, {"batch_size": 4}, {"sampler_name": "heun"}, {"scheduler": "karras"}, {"cfg": 1.0}],
    ids=str,
)
def test_what_changes_how_long_it_takes_is_another_shape(values: dict[str, Any]) -> None:
    assert shape(changed(**values)) != shape(graphs.sdxl())


@pytest.mark.parametrize("values", [{"width": 1024.0}, {"cfg": 7.0}, {"denoise": 0.7}], ids=str)
def test_what_does_not_leaves_the_shape(values: dict[str, Any]) -> None:
    assert shape(changed(**values)) == shape(graphs.sdxl())


def test_another_way_through_the_same_nodes_is_another_shape() -> None:
    graph = graphs.sdxl()
    graph["6"]["inputs"]["model"] = ["1", 0]
    assert shape(graph) != shape(graphs.sdxl())


def test_a_number_may_stand_in_a_node_of_its_own() -> None:
    """Who takes a value out of a node to set it from elsewhere has not changed the work."""
    graph = graphs.sdxl() | {"40": node("PrimitiveInt", value=25), "41": node("SeedNode", value=99)}
    graph["6"]["inputs"] |= {"steps": ["40", 0], "seed": ["41", 0]}
    assert shape(graph) == shape(graphs.sdxl())


def test_what_does_not_run_leaves_the_shape() -> None:
    assert shape(graphs.sdxl() | {"50": node("UNETLoader", unet_name="unused.safetensors")}) == shape(graphs.sdxl())


def test_a_saved_workflow_has_a_shape_too() -> None:
    other = picture()
    other.nodes[1]["widgets_values"] = ["something else"]
    assert shape(other.workflow()) == shape(picture().workflow()) != ""
    other.nodes[2]["widgets_values"][2] = 26
    assert shape(other.workflow()) != shape(picture().workflow())
