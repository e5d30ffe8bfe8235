"""How much a ComfyUI graph makes: pixels, frames, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from northstar.policy.models.comfyui_graph import MAX_NUMBER, ComfyGraph, GraphNode
from northstar.policy.models.comfyui_graph_classes import NodeTraits, traits_of

_FRAMES: Final = frozenset({"length", "num_frames", "video_frames", "frame_count"})
_SIDES: Final = frozenset({"width", "height"})
_ALL: Final = _FRAMES | _SIDES
_MEGAPIXEL: Final = 1_024 * 1_024


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Zero is unknown, or none. `unknown` names what other nodes find out while the graph runs."""

    pixels: int = 0
    frames: int = 0
    images: int = 0
    unknown: tuple[str, ...] = ()


class _Made(msgspec.Struct, frozen=True):
    """What comes out of a node: pixels of a picture, and how many pictures at once."""

    pixels: float = 0.0
    batch: int = 0


_NOTHING: Final = _Made()


def sizes_of(graph: ComfyGraph, running: Sequence[str]) -> Sizes:
    """Follow sizes from where they are set to where something is saved. `running` has sources before what uses them."""
    made: dict[str, _Made] = {}
    frames = images = 0
    unknown: set[str] = set()
    nodes = [(identity, graph.nodes[identity], traits_of(graph.nodes[identity].class_type)) for identity in running]
    animates = any(traits.animates for _, _, traits in nodes)
    for identity, node, traits in nodes:
        made[identity] = _made(graph, node, traits, made)
        if traits.is_framed and not (_FRAMES.isdisjoint(node.values) and _FRAMES.isdisjoint(node.links)):
            frames = max(frames, _frames(graph, node))
        if (traits.is_sized or traits.is_framed) and not _ALL.isdisjoint(node.links):
            unknown.update(_worked_out(graph, node, traits))
        images += _saved(traits, made[identity], is_animation=animates)
    if animates:
        frames = max(frames, *(one.batch for one in made.values()))
    pixels = max((one.pixels for one in made.values()), default=0.0)
    return Sizes(pixels=int(pixels), frames=frames, images=min(images, MAX_NUMBER), unknown=tuple(sorted(unknown)))


def _made(graph: ComfyGraph, node: GraphNode, traits: NodeTraits, made: dict[str, _Made]) -> _Made:
    pixels, batch = 0.0, 0
    for link in node.links.values():
        before = made.get(link.node, _NOTHING)
        if before is not _NOTHING:
            pixels, batch = max(pixels, before.pixels), max(batch, before.batch)
    if traits.is_sized:
        pixels = _resized(graph, node, pixels)
    if "batch_size" in node.values or "batch_size" in node.links:
        batch = max(batch, graph.count(node, "batch_size") or 0)
    if node.class_type.startswith("Repeat"):
        batch = max(1, batch) * (graph.count(node, "amount") or 1)
    return _Made(min(pixels, float(MAX_NUMBER)), min(batch, MAX_NUMBER)) if pixels or batch else _NOTHING


def _resized(graph: ComfyGraph, node: GraphNode, pixels: float) -> float:
    width, height = graph.number(node, "width"), graph.number(node, "height")
    if width and height:
        return width * height
    if megapixels := graph.number(node, "megapixels"):
        return megapixels * _MEGAPIXEL
    if scale := graph.number(node, "scale_by"):
        return pixels * scale * scale
    return pixels


def _frames(graph: ComfyGraph, node: GraphNode) -> int:
    return max(graph.count(node, name) or 0 for name in _FRAMES)


def _worked_out(graph: ComfyGraph, node: GraphNode, traits: NodeTraits) -> list[str]:
    """What a node takes from others that the graph does not tell."""
    named = {
        "pixels": _SIDES if traits.is_sized else frozenset(),
        "frames": _FRAMES if traits.is_framed else frozenset(),
    }
    return [
        what
        for what, inputs in named.items()
        if any(graph.number(node, name) is None for name in inputs.intersection(node.links))
    ]


def _saved(traits: NodeTraits, made: _Made, *, is_animation: bool) -> int:
    """Pictures or videos that a node leaves; frames of one animation are one."""
    if not traits.saves or traits.medium not in {"image", "video"}:
        return 0
    return 1 if is_animation or traits.medium == "video" else max(1, made.batch)
