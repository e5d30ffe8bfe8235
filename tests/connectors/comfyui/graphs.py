"""Graphs that the fake and a real ComfyUI both run, with nodes that every installation has."""

from __future__ import annotations

from typing import Any


def picture(
    *, colour: int = 255, size: int = 64, batch: int = 1, blurs: int = 1, leaf: str = "SaveImage", leaves: int = 1
) -> dict[str, Any]:
    """A picture of one colour, blurred so many times on the way to each leaf."""
    empty = {"width": size, "height": size, "batch_size": batch, "color": colour}
    graph: dict[str, Any] = {"1": {"class_type": "EmptyImage", "inputs": empty}}
    for number in range(1, leaves + 1):
        at = "1"
        for blur in range(1, blurs + 1):
            inputs = {"image": [at, 0], "blur_radius": blur % 30 + 1, "sigma": 1.0 + number / 100}
            at = str(number * 1_000 + blur)
            graph[at] = {"class_type": "ImageBlur", "inputs": inputs}
        last: dict[str, Any] = {"images": [at, 0]}
        if leaf == "SaveImage":
            last["filename_prefix"] = "northstar-test"
        graph[str(number * 1_000)] = {"class_type": leaf, "inputs": last}
    return {"prompt": graph}


def sampled(*, steps: int = 4, seed: int = 1) -> dict[str, Any]:
    """A picture out of the checkpoint `tiny.safetensors`, which only the fake has."""
    return {
        "prompt": {
            "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny.safetensors"}},
            "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a comet", "clip": ["1", 1]}},
            "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
            "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
            "4": {
                "class_type": "KSampler",
                "inputs": {
                    "model": ["1", 0],
                    "seed": seed,
                    "steps": steps,
                    "cfg": 7.0,
                    "sampler_name": "euler",
                    "scheduler": "normal",
                    "positive": ["2", 0],
                    "negative": ["3", 0],
                    "latent_image": ["5", 0],
                    "denoise": 1.0,
                },
            },
            "6": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
            "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "tiny"}},
        }
    }


def names_outputs(ui: dict[str, Any]) -> dict[str, Any]:
    """A graph of the fake's whose one node names the given outputs."""
    return {"prompt": {"9": {"class_type": "TestOutputs", "inputs": {"ui": ui}}}}


def failing(exception_type: str, message: str) -> dict[str, Any]:
    """A graph of the fake's whose last node raises."""
    empty = {"width": 64, "height": 64, "batch_size": 1, "color": 0}
    failure = {"images": ["1", 0], "exception_type": exception_type, "message": message}
    return {
        "prompt": {
            "1": {"class_type": "EmptyImage", "inputs": empty},
            "2": {"class_type": "TestFailure", "inputs": failure},
        }
    }
