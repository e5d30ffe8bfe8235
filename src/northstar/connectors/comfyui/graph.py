"""A job's payload as a run of ComfyUI: a graph in the API format, files it reads, and what goes along with it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from northstar.connectors.comfyui.rules import ComfyBounds
from northstar.connectors.contract import Json
from northstar.connectors.errors import EngineRejected
from northstar.domain.amounts import exactly

_RUNS: Final = uuid.UUID("5f0c7c0e-7d0c-5f0a-9b1f-6e3c1f1d2a44")
_MAX_NODES: Final = 5_000
_MAX_NAME: Final = 200
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_MODEL_ENDINGS: Final = (".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin", ".onnx")
_PARTS: Final = frozenset({"prompt", "inputs", "extra_data"})
#: The input by which nodes that leave outputs are told apart from run to run; ComfyUI passes over inputs it does not know.
_MARK: Final = "northstar_run"


class ComfyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a job asks for. `inputs` are descriptions of files, by the name that the graph uses for them."""

    graph: Mapping[str, Json]
    inputs: Mapping[str, Mapping[str, Json]]
    extra_data: Mapping[str, Json]

    @property
    def node_classes(self) -> dict[str, str]:
        """Class of each node, by its id."""
        return {node: description["class_type"] for node, description in self.graph.items()}

    @property
    def model_names(self) -> dict[str, str]:
        """The model file that a node names, by the node's id; of several, the first."""
        named = {
            node: next((value for value in description["inputs"].values() if _is_model_file(value)), None)
            for node, description in self.graph.items()
        }
        return {node: name for node, name in named.items() if name is not None}


def run_id_of(service: str, job_id: str) -> str:
    """The id under which a job runs in the engine: the same for every attempt, so that a run is found again."""
    return str(uuid.uuid5(_RUNS, f"{service}/{job_id}"))


def comfy_request(payload: Mapping[str, Json], *, service: str, bounds: ComfyBounds) -> ComfyRequest:
    """What `payload` asks for: `prompt` is the graph in the API format, `inputs` and `extra_data` may be left out.

    Raises:
        EngineRejected: it is no graph in the API format, or too large, or has parts that mean nothing here.
    """
    unknown = sorted(set(payload) - _PARTS)
    if unknown:
        raise EngineRejected(
            f"unknown parts {', '.join(map(repr, unknown[:10]))}; known are `prompt`, `inputs`, `extra_data`",
            service=service,
        )
    graph = _graph(payload.get("prompt"), service=service)
    size = len(msgspec.json.encode(graph))
    if size > bounds.graph_bytes:
        raise EngineRejected(f"the graph has {exactly(size)}, more than {exactly(bounds.graph_bytes)}", service=service)
    extra_data = payload.get("extra_data", {})
    if not isinstance(extra_data, dict) or "client_id" in extra_data:
        raise EngineRejected("`extra_data` must be an object without `client_id`", service=service)
    inputs = _inputs(payload.get("inputs", {}), most=bounds.inputs, service=service)
    return ComfyRequest(graph=graph, inputs=inputs, extra_data=extra_data)


def stored_name(run_id: str, name: str) -> str:
    """The name under which an input lies in the engine's own folder: unique to the job, the same for each attempt."""
    return f"{run_id}-{_UNSAFE.sub('_', name).lstrip('.')[-100:]}"


def with_inputs(graph: Mapping[str, Json], names: Mapping[str, str], *, service: str) -> dict[str, Json]:
    """The graph with each input's name replaced by the name that the engine knows it by.

    Raises:
        EngineRejected: an input that no node names, so something is misspelt.
    """
    used: set[str] = set()

    def placed(value: Json) -> Json:
        if isinstance(value, str) and value in names:
            used.add(value)
            return names[value]
        return value

    changed: dict[str, Json] = {}
    for node, description in graph.items():
        inputs = {key: placed(value) for key, value in description["inputs"].items()}
        changed[node] = {**description, "inputs": inputs}
    if unused := sorted(set(names) - used):
        raise EngineRejected(f"no node of the graph names the input {unused[0]!r}", service=service)
    return changed


def marked(graph: Mapping[str, Json], run_id: str, *, saving: Collection[str]) -> dict[str, Json]:
    """The graph with the run's id at every node that leaves outputs: the last ones, and those of the classes `saving`.

    Else the server would answer a graph that it has run before with the names of that run's files, without looking: by
    then they may be deleted, or be somebody else's. Whatever comes before those nodes still comes out of its cache.
    """
    linked = {value[0] for description in graph.values() for value in description["inputs"].values() if _is_link(value)}
    changed: dict[str, Json] = dict(graph)
    for node, description in graph.items():
        if node not in linked or description["class_type"] in saving:
            changed[node] = {**description, "inputs": {**description["inputs"], _MARK: run_id}}
    return changed


def _is_link(value: Json) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _is_model_file(value: Json) -> bool:
    return isinstance(value, str) and value.lower().endswith(_MODEL_ENDINGS)


def _graph(prompt: Json, *, service: str) -> dict[str, Any]:
    if not isinstance(prompt, dict) or not prompt:
        raise EngineRejected("`prompt` must be a graph in ComfyUI's API format: an object of nodes", service=service)
    if "nodes" in prompt and "links" in prompt:
        raise EngineRejected("`prompt` is a saved workflow; export it for the API instead", service=service)
    if len(prompt) > _MAX_NODES:
        raise EngineRejected(f"the graph has more than {_MAX_NODES} nodes", service=service)
    for node, description in prompt.items():
        if (
            not isinstance(description, dict)
            or not isinstance(description.get("class_type"), str)
            or not isinstance(description.get("inputs"), dict)
        ):
            raise EngineRejected(f"node {node!r} needs `class_type` and `inputs`", service=service)
    return prompt


def _inputs(inputs: Json, *, most: int, service: str) -> dict[str, Mapping[str, Json]]:
    if not isinstance(inputs, dict):
        raise EngineRejected("`inputs` must be an object of files by name", service=service)
    if len(inputs) > most:
        raise EngineRejected(f"more than {most} inputs", service=service)
    for name, description in inputs.items():
        if not name or len(name) > _MAX_NAME or not name.isprintable():
            raise EngineRejected(f"the input name {name[:40]!r} cannot be used", service=service)
        if not isinstance(description, dict) or len(set(description) & {"url", "data"}) != 1 or len(description) != 1:
            raise EngineRejected(f"input {name!r} must be either {{url}} or {{data}}", service=service)
    return inputs
