"""Workloads of payloads that were read before: most graphs come again with another seed and another prompt, and mean the same work."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from northstar.domain.workloads import Workload
from northstar.policy.models.workload_of import is_graph, workload_of

#: Workloads that are remembered, and the longest payload whose workload is, bytes of JSON: clients choose what comes, so both are bounded.
MAX_WORKLOADS: Final = 1_024
MAX_BYTES: Final = 65_536
#: Inputs of a node that no reader of graphs looks at, with the type that they then have: prompts and seeds.
_UNREAD: Final[Mapping[str, type]] = {"text": str, "seed": int, "noise_seed": int}


class WorkloadMemory:
    """Reads payloads, those of graphs once for all that differ in nothing but seeds and prompts. Other payloads are read in microseconds.

    >>> memory = WorkloadMemory()
    >>> def graph(seed):
    ...     return {"prompt": {"1": {"class_type": "KSampler", "inputs": {"seed": seed, "steps": 20}}}}
    >>> memory.workload_of("comfy", graph(1), kind="comfyui") is memory.workload_of("comfy", graph(2), kind="comfyui")
    True
    """

    def __init__(self, *, max_workloads: int = MAX_WORKLOADS) -> None:
        self._max_workloads = max_workloads
        self._known: OrderedDict[bytes, Workload] = OrderedDict()

    def workload_of(self, service: str, payload: Mapping[str, Any], *, kind: str = "") -> Workload:
        """What `policy.models.workload_of` says."""
        key = _key(service, payload, kind)
        if key is None:
            return workload_of(service, payload, kind=kind)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        known = self._known[key] = workload_of(service, payload, kind=kind)
        if len(self._known) > self._max_workloads:
            self._known.popitem(last=False)
        return known


def _key(service: str, payload: Mapping[str, Any], kind: str) -> bytes | None:
    """Equal for payloads that are the same work to every reader; None for those that are not worth it, or not JSON."""
    graph = payload.get("prompt")
    if not isinstance(graph, dict) or not is_graph(graph):
        return None
    bare = {**payload, "prompt": {identity: _without_unread(node) for identity, node in graph.items()}}
    try:
        text = msgspec.json.encode((service, kind, bare))
    except (
        TypeError,
        ValueError,
        RecursionError,
    ):  # such a payload cannot be stored either, and whoever stores it says so
        return None
    return hashlib.blake2b(text, digest_size=16).digest() if len(text) <= MAX_BYTES else None


def _without_unread(node: Any) -> Any:
    inputs = node.get("inputs") if isinstance(node, dict) else None
    if not isinstance(inputs, dict) or _UNREAD.keys().isdisjoint(inputs):
        return node
    # A seed of another type, or a text that comes from another node, is read like any other input.
    return {
        **node,
        "inputs": {name: None if type(value) is _UNREAD.get(name) else value for name, value in inputs.items()},
    }
