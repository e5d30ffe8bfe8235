"""A ComfyUI graph, in either format, as a workload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from northstar.domain.workloads import Workload
from northstar.policy.models.comfyui_graph import MAX_UNREAD, ComfyGraph, api_graph
from northstar.policy.models.comfyui_graph_classes import traits_of
from northstar.policy.models.comfyui_graph_media import modalities_of
from northstar.policy.models.comfyui_graph_models import downloads_of, models_of
from northstar.policy.models.comfyui_graph_saved import all_nodes, saved_graph
from northstar.policy.models.comfyui_graph_shape import shape_of
from northstar.policy.models.comfyui_graph_sizes import Sizes, sizes_of
from northstar.policy.models.comfyui_graph_steps import Steps, steps_of
from northstar.policy.models.workload_of_hints import Hints, hints_of


def comfyui_workload(prompt: Any, *, extra_data: Any = None) -> Workload:
    """Read a graph: in the API format, or as the editor saves it.

    With a graph in the API format, editors send the saved workflow along in `extra_data.extra_pnginfo.workflow`; its lists of models are
    read too.
    """
    if not isinstance(prompt, Mapping) or not prompt:
        return Workload(unread=("the payload has no ComfyUI graph under `prompt`",))
    is_saved = is_saved_workflow(prompt)
    graph = saved_graph(prompt) if is_saved else api_graph(prompt)
    hints = hints_of(prompt.get("extra") if is_saved else extra_data)
    workflow = prompt if is_saved else _carried(extra_data)
    return _workload(graph, workflow=workflow, hints=hints)


def is_saved_workflow(graph: Mapping[str, Any]) -> bool:
    """Whether a graph is as the editor saves it, and not as a server takes it."""
    return isinstance(graph.get("nodes"), list)


def _workload(graph: ComfyGraph, *, workflow: Mapping[str, Any], hints: Hints) -> Workload:
    running = graph.running()
    sizes, steps = sizes_of(graph, running), steps_of(graph, running)
    downloads, odd_downloads = downloads_of(all_nodes(workflow))
    models, odd_models = models_of(graph, running, downloads)
    unread = (*graph.unread, *odd_downloads, *odd_models, *_worked_out(sizes, steps), *hints.unread)
    modalities = modalities_of(graph, running) or hints.modalities
    return Workload(
        modalities=modalities,
        shape=shape_of(graph, running),
        models=models,
        downloads=downloads,
        node_classes=_class_names(graph),
        steps=steps.known,
        pixels=sizes.pixels,
        frames=sizes.frames if "video" in modalities else 0,
        images=sizes.images,
        speciality=hints.speciality,
        is_training=hints.is_training
        or any(traits_of(graph.nodes[identity].class_type).trains for identity in running),
        is_experimental=hints.is_experimental,
        unread=unread[:MAX_UNREAD],
    )


def _carried(extra_data: Any) -> Mapping[str, Any]:
    match extra_data:
        case {"extra_pnginfo": {"workflow": dict(workflow)}}:
            return workflow
        case _:
            return {}


def _class_names(graph: ComfyGraph) -> tuple[str, ...]:
    named = {node.class_type for node in graph.nodes.values()}
    return tuple(sorted(name for name in named if name.isprintable()))


def _worked_out(sizes: Sizes, steps: Steps) -> Iterator[str]:
    """What is only known once the graph runs."""
    if steps.unknown:
        yield f"the steps of {steps.unknown} samplers are worked out by other nodes"
    for name in sizes.unknown:
        yield f"the {name} are worked out by other nodes"
