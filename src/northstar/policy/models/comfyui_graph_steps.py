"""How many steps a ComfyUI graph takes: the sum over its samplers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from northstar.policy.models.comfyui_graph import MAX_NUMBER, ComfyGraph, GraphNode, Link
from northstar.policy.models.comfyui_graph_classes import traits_of

_MAX_HOPS: Final = 32
#: Nodes that say what steps a sampler shall take, and take none.
_SCHEDULES: Final = re.compile(r"Schedule|Sigma")
_NUMBER: Final = re.compile(r"[0-9]*\.?[0-9]+")
_MAX_SIGMAS_CHARS: Final = 20_000


class Steps(msgspec.Struct, frozen=True):
    """Steps that are known, and samplers of which they are not."""

    known: int = 0
    unknown: int = 0


def steps_of(graph: ComfyGraph, running: Sequence[str]) -> Steps:
    """Add up what the samplers that run will do."""
    known = unknown = 0
    for identity in running:
        node = graph.nodes[identity]
        if _SCHEDULES.search(node.class_type):
            continue
        if "sigmas" in node.links and traits_of(node.class_type).samples:
            steps = _of_schedule(graph, node.links["sigmas"])
        elif "steps" in node.values or "steps" in node.links:
            steps = _of_sampler(graph, node)
        else:
            continue
        known, unknown = known + (steps or 0), unknown + (steps is None)
    return Steps(min(known, MAX_NUMBER), unknown)


def _of_sampler(graph: ComfyGraph, sampler: GraphNode) -> int | None:
    """Steps of a sampler that counts them itself. ComfyUI's take all of them whatever `denoise` is, from a part of the noise."""
    steps = graph.count(sampler, "steps")
    first, last = (graph.count(sampler, name) for name in ("start_at_step", "end_at_step"))
    if steps is None:
        return None
    return max(0, min(steps, steps if last is None else last) - (first or 0))


def _of_schedule(graph: ComfyGraph, link: Link) -> int | None:
    """Steps of the noise levels that an output gives: one less than there are levels."""
    cuts: list[tuple[int, int | None]] = []
    for _ in range(_MAX_HOPS):
        node = graph.nodes.get(link.node)
        if node is None:
            return None
        if "sigmas" in node.links:
            if node.class_type == "SplitSigmas":
                cuts.append((link.slot, graph.count(node, "step")))
            elif node.class_type == "SplitSigmasDenoise":
                cuts.append((link.slot, None))
            link = node.links["sigmas"]
            continue
        return _cut(_whole(graph, node), cuts)
    return None


def _whole(graph: ComfyGraph, node: GraphNode) -> int | None:
    if "steps" in node.values or "steps" in node.links:
        return graph.count(node, "steps")
    listed = graph.value(node, "sigmas")
    if isinstance(listed, str):
        return max(0, len(_NUMBER.findall(listed[:_MAX_SIGMAS_CHARS])) - 1)
    return None


def _cut(steps: int | None, cuts: Sequence[tuple[int, int | None]]) -> int | None:
    """What is left of a schedule after it was split, the last split first: output 0 has the steps before it, 1 the others."""
    for slot, at in reversed(cuts):
        if steps is None or at is None:
            return None
        steps = min(at, steps) if slot == 0 else max(0, steps - at)
    return steps
