"""Workflows as ComfyUI's editor saves them, put together from few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Saved = dict[str, Any]
MUTED, BYPASSED = 2, 4
ENTRY, EXIT = -10, -20


class Draft:
    """A workflow or a subgraph in the making."""

    def __init__(self) -> None:
        self.nodes: list[Saved] = []
        self.links: list[tuple[int, int, int, int, int, str]] = []

    def add(
        self,
        identity: int,
        class_type: str,
        values: Sequence[Any] | Mapping[str, Any] = (),
        *,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        widgets: Sequence[str] = (),
        mode: int = 0,
        properties: Mapping[str, Any] | None = None,
    ) -> Draft:
        """A node. `inputs` and `outputs` are `name:TYPE` or `TYPE`; `widgets` are inputs that can be set as well."""
        listed = [_input(entry) for entry in inputs] + [{**_input(name), "widget": {"name": name}} for name in widgets]
        self.nodes.append(
            {
                "id": identity,
                "type": class_type,
                "mode": mode,
                "inputs": listed,
                "outputs": [{"name": entry.rpartition(":")[2], "type": entry.rpartition(":")[2]} for entry in outputs],
                "widgets_values": dict(values) if isinstance(values, Mapping) else list(values),
                "properties": dict(properties or {}),
            }
        )
        return self

    def link(self, origin: tuple[int, int], target: tuple[int, str]) -> Draft:
        """From an output of a node to an input, by its name."""
        number = len(self.links) + 1
        identity, name = target
        entries: list[Saved] = next((node["inputs"] for node in self.nodes if node["id"] == identity), [])
        slot = next(
            (at for at, entry in enumerate(entries) if entry["name"] == name), int(name) if name.isdigit() else 0
        )
        if entries:
            entries[slot]["link"] = number
        self.links.append((number, *origin, identity, slot, "*"))
        return self

    def workflow(self, *subgraphs: Saved, extra: Mapping[str, Any] | None = None) -> Saved:
        return {
            "version": 0.4,
            "nodes": self.nodes,
            "links": [list(link) for link in self.links],
            "definitions": {"subgraphs": list(subgraphs)},
            "extra": dict(extra or {}),
        }

    def subgraph(self, identity: str, *, inputs: Sequence[str] = (), inner: Sequence[Saved] = ()) -> Saved:
        names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        return {
            "id": identity,
            "name": identity,
            "inputNode": {"id": ENTRY},
            "outputNode": {"id": EXIT},
            "inputs": [{"name": name, "type": "*"} for name in inputs],
            "outputs": [],
            "nodes": self.nodes,
            "links": [dict(zip(names, link, strict=True)) for link in self.links],
            "definitions": {"subgraphs": list(inner)},
        }


def _input(entry: str) -> Saved:
    name, _, kind = entry.partition(":")
    return {"name": name, "type": kind or "*", "link": None}


def painting() -> Draft:
    """A picture, without what gives it a latent: nodes 1 (checkpoint), 3 (text), 6 (sampler), 7 and 8 (decode, save)."""
    return (
        Draft()
        .add(1, "CheckpointLoaderSimple", ["sdxl.safetensors"], outputs=["MODEL", "CLIP", "VAE"])
        .add(3, "CLIPTextEncode", ["a hare"], inputs=["clip:CLIP"], outputs=["CONDITIONING"])
        .add(
            6,
            "KSampler",
            [7, "randomize", 25, 5.5, "euler", "normal", 1],
            inputs=["model:MODEL", "positive:CONDITIONING", "latent_image:LATENT"],
            outputs=["LATENT"],
            widgets=["steps"],
        )
        .add(7, "VAEDecode", inputs=["samples:LATENT", "vae:VAE"], outputs=["IMAGE"])
        .add(8, "SaveImage", ["hare"], inputs=["images:IMAGE"])
        .link((1, 0), (6, "model"))
        .link((1, 1), (3, "clip"))
        .link((3, 0), (6, "positive"))
        .link((6, 0), (7, "samples"))
        .link((1, 2), (7, "vae"))
        .link((7, 0), (8, "images"))
    )


def picture() -> Draft:
    """The same with an empty latent, node 5, of 1024 x 768."""
    return painting().add(5, "EmptyLatentImage", [1024, 768, 2], outputs=["LATENT"]).link((5, 0), (6, "latent_image"))
