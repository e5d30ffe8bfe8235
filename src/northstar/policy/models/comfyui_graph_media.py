"""Which media a ComfyUI graph makes: what it leaves behind, and what it makes on the way to that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    nodes = [(identity, graph.nodes[identity]) for identity in running]
    traits = {identity: traits_of(node.class_type) for identity, node in nodes}
    made = {one.makes for one in traits.values() if one.makes is not None and one.latent is None}
    made |= _sampled(graph, nodes, traits)
    if any(one.animates for one in traits.values()):
        made.discard("image")
    made |= {one.medium for one in traits.values() if one.saves and one.medium is not None}
    if not made:
        made = set(_left_open(graph, running))
    if not made:
        shown = (_shown(graph, node) for identity, node in nodes if traits[identity].shows)
        made = {medium for medium in shown if medium is not None}
    return tuple(sorted(made))


def _sampled(
    graph: ComfyGraph, nodes: Iterable[tuple[str, GraphNode]], traits: Mapping[str, NodeTraits]
) -> set[Modality]:
    """What samplers work on, by where their latents begin; nothing of those that begin with a picture or a video that was there."""
    begun: dict[str, Modality] = {}
    found: set[Modality] = set()
    for identity, node in nodes:
        medium = traits[identity].latent
        if medium is None:
            source = next((node.links[name].node for name in _LATENT_INPUTS if name in node.links), "")
            medium = begun.get(source)
        elif medium == "video" and graph.count(node, "length") == 1:
            # Models for videos paint single pictures as well.
            medium = "image"
        if medium is not None:
            begun[identity] = medium
            if traits[identity].samples:
                found.add(medium)
    return found


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
