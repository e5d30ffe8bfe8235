"""Which media a ComfyUI graph makes: what it leaves behind, and what it makes on the way to that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from northstar.domain.workloads import Modality
from northstar.policy.models.comfyui_graph import ComfyGraph, GraphNode
from northstar.policy.models.comfyui_graph_classes import NodeTraits, traits_of

#: Inputs by which a latent comes to a sampler.
_LATENT_INPUTS: Final = (
    "latent_image",
    "samples",
    "latent",
    "latents",
    "latent_samples",
    "video_latent",
    "image_embeds",
)
_MAX_HOPS: Final = 100
_TYPES: Final[dict[str, Modality]] = {
    "IMAGE": "image",
    "SVG": "image",
    "VIDEO": "video",
    "AUDIO": "audio",
    "MESH": "3d",
    "VOXEL": "3d",
    "SPLAT": "3d",
}


def modalities_of(graph: ComfyGraph, running: Sequence[str]) -> tuple[Modality, ...]:
    """The media of a graph, sorted.

    What is saved counts, and what a sampler or a model makes on the way: a picture that is then brought to life is made as well. What
    is only shown counts where nothing else does, since many graphs show a mask or a prompt beside their result.
    """
    nodes = [(graph.nodes[identity], traits_of(graph.nodes[identity].class_type)) for identity in running]
    made = {medium for node, traits in nodes if (medium := _made(graph, node, traits)) is not None}
    if any(traits.animates for _, traits in nodes):
        made.discard("image")
    made |= {traits.medium for _, traits in nodes if traits.saves and traits.medium is not None}
    made |= set(_left_open(graph, running))
    if not made:
        made = {medium for node, traits in nodes if traits.shows and (medium := _shown(graph, node)) is not None}
    return tuple(sorted(made))


def _made(graph: ComfyGraph, node: GraphNode, traits: NodeTraits) -> Modality | None:
    if traits.makes is not None:
        # A node that readies a video for a sampler makes none by itself: with one frame it is a picture.
        return None if traits.latent is not None else traits.makes
    return _sampled(graph, node) if traits.samples else None


def _sampled(graph: ComfyGraph, sampler: GraphNode) -> Modality | None:
    """What a sampler works on, by where its latent comes from; None if that is another picture or video."""
    node = sampler
    for _ in range(_MAX_HOPS):
        link = next((node.links[name] for name in _LATENT_INPUTS if name in node.links), None)
        source = graph.nodes.get(link.node) if link is not None else None
        if source is None:
            return None
        latent = traits_of(source.class_type).latent
        if latent == "video" and graph.count(source, "length") == 1:
            return "image"
        if latent is not None:
            return latent
        node = source
    return None


def _left_open(graph: ComfyGraph, running: Sequence[str]) -> Iterable[Modality]:
    """Media of nodes that leave something although their name does not say that they save."""
    for identity in graph.unused().intersection(running):
        node = graph.nodes[identity]
        traits = traits_of(node.class_type)
        if not traits.leaves and not traits.is_inner:
            yield from (medium for kind in node.output_types if (medium := _medium_of(kind)) is not None)


def _shown(graph: ComfyGraph, node: GraphNode) -> Modality | None:
    """What a node shows, by its name or by what is shown to it."""
    named = traits_of(node.class_type).medium
    if named is not None:
        return named
    for link in node.links.values():
        source = graph.nodes.get(link.node)
        if source is not None and link.slot < len(source.output_types):
            return _medium_of(source.output_types[link.slot]) or "text"
    return None


def _medium_of(kind: str) -> Modality | None:
    return "3d" if kind.startswith(("FILE_3D", "MODEL_3D")) else _TYPES.get(kind)
