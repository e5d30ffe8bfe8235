"""What the fake says about itself."""

from __future__ import annotations

from typing import Any

_NAMES = (
    *("checkpoints", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision", "style_models", "embeddings"),
    *("diffusers", "vae_approx", "controlnet", "gligen", "upscale_models", "hypernetworks", "photomaker"),
    *("classifiers", "model_patches", "audio_encoders"),
)
#: Folders of models, and where each looks for them.
FOLDERS: dict[str, list[str]] = {name: [f"/fake/models/{name}", f"/fake/output/{name}"] for name in _NAMES}

SYSTEM_STATS: dict[str, Any] = {
    "system": {
        "os": "posix",
        "ram_total": 32 * 1024**3,
        "ram_free": 16 * 1024**3,
        "comfyui_version": "0.3.64",
        "required_frontend_version": "1.27.10",
        "installed_templates_version": None,
        "required_templates_version": "0.1.95",
        "python_version": "3.11",
        "pytorch_version": "2.13.0+cpu",
        "embedded_python": False,
        "argv": ["main.py", "--cpu"],
    },
    "devices": [
        {
            "name": "cpu",
            "type": "cpu",
            "index": None,
            "vram_total": 32 * 1024**3,
            "vram_free": 16 * 1024**3,
            "torch_vram_total": 32 * 1024**3,
            "torch_vram_free": 16 * 1024**3,
        }
    ],
}


def system_stats(*, is_newer: bool) -> dict[str, Any]:
    """What `/system_stats` answers; newer servers say more of how they were installed."""
    if not is_newer:
        return SYSTEM_STATS
    packages = [{"name": "comfyui-frontend-package", "installed": None, "required": "1.45.20"}]
    newer = {
        "os": "linux",
        "comfyui_version": "0.27.0",
        "comfy_package_versions": packages,
        "deploy_environment": "local-git",
    }
    return SYSTEM_STATS | {"system": SYSTEM_STATS["system"] | newer}
