"""The node classes that the fake knows: what they take, what they give, how long they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

SAMPLERS = ["euler", "euler_ancestral", "heun", "dpmpp_2m", "ddim", "uni_pc"]
SCHEDULERS = ["simple", "karras", "normal", "beta"]


class NodeClass(msgspec.Struct, frozen=True, kw_only=True):
    """`inputs` are (type or choices, bounds) by name; `pace_s` is how long one node, or one step of it, takes."""

    inputs: Mapping[str, tuple[Any, dict[str, Any]]]
    outputs: tuple[str, ...] = ()
    is_output: bool = False
    category: str = "image"
    module: str = "nodes"
    pace_s: float = 0.0

    def described(self, name: str) -> dict[str, Any]:
        """As `/object_info` describes it."""
        return {
            "input": {"required": {key: [kind, bounds] for key, (kind, bounds) in self.inputs.items()}},
            "input_order": {"required": list(self.inputs)},
            "output": list(self.outputs),
            "output_is_list": [False] * len(self.outputs),
            "output_name": list(self.outputs),
            "name": name,
            "display_name": name,
            "description": "",
            "python_module": self.module,
            "category": self.category,
            "output_node": self.is_output,
        }


def whole(low: int, high: int, default: int = 0) -> tuple[str, dict[str, Any]]:
    return "INT", {"default": default, "min": low, "max": high, "step": 1}


def number(low: float, high: float, default: float = 1.0) -> tuple[str, dict[str, Any]]:
    return "FLOAT", {"default": default, "min": low, "max": high, "step": 0.1}


def link(kind: str) -> tuple[str, dict[str, Any]]:
    return kind, {}


def node_classes(*, checkpoints: tuple[str, ...], uploads: tuple[str, ...], pace_s: float) -> dict[str, NodeClass]:
    """All classes, with the files that are there at present. `pace_s` is how long a blur or a step takes."""
    picture = {"images": link("IMAGE")}
    prefix = ("STRING", {"default": "ComfyUI"})
    return {
        "CheckpointLoaderSimple": NodeClass(
            inputs={"ckpt_name": (list(checkpoints), {"tooltip": "The name of the checkpoint (model) to load."})},
            outputs=("MODEL", "CLIP", "VAE"),
            category="loaders",
            pace_s=pace_s * 20,
        ),
        "CLIPTextEncode": NodeClass(
            inputs={"text": ("STRING", {"multiline": True}), "clip": link("CLIP")}, outputs=("CONDITIONING",)
        ),
        "EmptyImage": NodeClass(
            inputs={
                "width": whole(1, 16_384, 512),
                "height": whole(1, 16_384, 512),
                "batch_size": whole(1, 4_096, 1),
                "color": whole(0, 0xFFFFFF),
            },
            outputs=("IMAGE",),
        ),
        "EmptyLatentImage": NodeClass(
            inputs={"width": whole(16, 16_384), "height": whole(16, 16_384), "batch_size": whole(1, 4_096, 1)},
            outputs=("LATENT",),
        ),
        "ImageBlur": NodeClass(
            inputs={"image": link("IMAGE"), "blur_radius": whole(1, 31, 1), "sigma": number(0.1, 10.0)},
            outputs=("IMAGE",),
            pace_s=pace_s,
        ),
        "ImageScale": NodeClass(
            inputs={
                "image": link("IMAGE"),
                "upscale_method": (["nearest-exact", "bilinear", "area", "bicubic", "lanczos"], {}),
                "width": whole(0, 16_384, 512),
                "height": whole(0, 16_384, 512),
                "crop": (["disabled", "center"], {}),
            },
            outputs=("IMAGE",),
        ),
        "KSampler": NodeClass(
            inputs={
                "model": link("MODEL"),
                "seed": whole(0, 2**64 - 1),
                "steps": whole(1, 10_000, 20),
                "cfg": number(0.0, 100.0, 8.0),
                "sampler_name": (SAMPLERS, {}),
                "scheduler": (SCHEDULERS, {}),
                "positive": link("CONDITIONING"),
                "negative": link("CONDITIONING"),
                "latent_image": link("LATENT"),
                "denoise": number(0.0, 1.0),
            },
            outputs=("LATENT",),
            category="sampling",
            pace_s=pace_s,
        ),
        "LoadImage": NodeClass(inputs={"image": (list(uploads), {"image_upload": True})}, outputs=("IMAGE", "MASK")),
        "PreviewImage": NodeClass(inputs=picture, is_output=True),
        "SaveImage": NodeClass(inputs=picture | {"filename_prefix": prefix}, is_output=True),
        # Nodes of the tests' own: one needs no text encoder, one fails as it is told, one names whatever outputs it is told.
        "TestConditioning": NodeClass(inputs={}, outputs=("CONDITIONING",)),
        "TestFailure": NodeClass(
            inputs={"images": link("IMAGE"), "exception_type": ("STRING", {}), "message": ("STRING", {})},
            is_output=True,
        ),
        "TestOutputs": NodeClass(inputs={"ui": ("ANY", {})}, is_output=True),
        "VAEDecode": NodeClass(inputs={"samples": link("LATENT"), "vae": link("VAE")}, outputs=("IMAGE",)),
    }
