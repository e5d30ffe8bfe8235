"""What a ComfyUI server can do: its version, its devices, its node classes and the model files it sees."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from northstar.connectors.comfyui.http import ComfyHttp
from northstar.connectors.errors import EngineRejected

_MAX_FOLDERS: Final = 200
_MAX_FILES: Final = 20_000
#: Folders of the list that hold no models.
_NO_MODELS: Final = frozenset({"configs", "custom_nodes"})


class ComfyDevice(msgspec.Struct, frozen=True, kw_only=True):
    """One device as torch sees it; sizes are in bytes, None where the server does not say."""

    name: str | None = None
    type: str | None = None
    vram_total: int | None = None
    vram_free: int | None = None


class ComfyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An engine at one moment. `models` are names of files by folder, as loaders take them."""

    version: str
    pytorch_version: str
    devices: tuple[ComfyDevice, ...]
    node_classes: frozenset[str]
    models: Mapping[str, tuple[str, ...]]


class _System(msgspec.Struct):
    comfyui_version: str | None = None
    pytorch_version: str | None = None


class _SystemStats(msgspec.Struct):
    system: _System
    devices: tuple[ComfyDevice, ...] = ()


async def facts_of(http: ComfyHttp) -> ComfyFacts:
    """Ask the server about itself. Raises `EngineError` if it does not answer as ComfyUI does."""
    stats = await http.ask("GET", "/system_stats", _SystemStats)
    classes = await http.ask("GET", "/object_info", dict[str, msgspec.Raw])
    return ComfyFacts(
        version=stats.system.comfyui_version or "",
        pytorch_version=stats.system.pytorch_version or "",
        devices=stats.devices,
        node_classes=frozenset(classes),
        models=await _models(http),
    )


async def _models(http: ComfyHttp) -> dict[str, tuple[str, ...]]:
    """The model files by folder; nothing of servers that are too old to be asked."""
    try:
        folders = await http.ask("GET", "/models", list[str])
    except EngineRejected:
        return {}
    asked = [folder for folder in folders[:_MAX_FOLDERS] if folder not in _NO_MODELS and "/" not in folder]
    limit = asyncio.Semaphore(4)

    async def files(folder: str) -> list[Any]:
        async with limit:
            try:
                return await http.ask("GET", f"/models/{folder}", list[Any])
            except EngineRejected:
                return []

    found = await asyncio.gather(*(files(folder) for folder in asked))
    return {
        folder: tuple(name for name in names[:_MAX_FILES] if isinstance(name, str))
        for folder, names in zip(asked, found, strict=True)
        if names
    }
