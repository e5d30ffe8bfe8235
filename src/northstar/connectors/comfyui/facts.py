"""What a ComfyUI server can do: its version, its devices, its node classes and the model files it sees."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from northstar.connectors.comfyui.http import ComfyHttp
from northstar.connectors.errors import EngineRejected
from northstar.domain.engine_facts import EngineFacts
from northstar.domain.models import ADAPTERS, ModelHeld
from northstar.domain.node_sets import digest_of
from northstar.policy.models.folders import kind_of

_MAX_FOLDERS: Final = 200
_MAX_FILES: Final = 20_000
#: Folders of the list that hold no models.
_NO_MODELS: Final = frozenset({"configs", "custom_nodes"})
#: Where ComfyUI says that a node class comes from, if it comes from a pack: the pack's folder, or its file without ending.
_PACK: Final = "custom_nodes."
_NOT_OF_A_WORD: Final = re.compile(r"[^a-z0-9._/:+-]+")
_WORD_CHARS: Final = 64


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
    #: Packs that brought node classes, as words that jobs may ask for.
    node_packs: frozenset[str] = frozenset()
    #: Node classes whose outputs stand in the history.
    output_classes: frozenset[str] = frozenset()

    def described(self) -> EngineFacts:
        """The same as any engine says it. ComfyUI does not tell which models are in memory."""
        named = sorted(self.models.items(), key=lambda item: kind_of(item[0]) in ADAPTERS)
        # A server on Windows writes its own separator; jobs name models with ours.
        names = dict.fromkeys(name.replace("\\", "/") for _, files in named for name in files)
        return EngineFacts(
            kind="comfyui",
            version=self.version,
            node_packs=tuple(sorted(self.node_packs)),
            node_classes=len(self.node_classes),
            node_classes_digest=digest_of(self.node_classes),
            node_class_names=self.node_classes,
            models=tuple(ModelHeld(name, "disk") for name in names),
        )


class _System(msgspec.Struct):
    comfyui_version: str | None = None
    pytorch_version: str | None = None


class _NodeClass(msgspec.Struct):
    python_module: str | None = None
    output_node: bool | None = None


class _SystemStats(msgspec.Struct):
    system: _System
    devices: tuple[ComfyDevice, ...] = ()


async def facts_of(http: ComfyHttp) -> ComfyFacts:
    """Ask the server about itself. Raises `EngineError` if it does not answer as ComfyUI does."""
    stats = await http.ask("GET", "/system_stats", _SystemStats)
    entries = await http.ask("GET", "/object_info", dict[str, msgspec.Raw])
    classes = {name: _node_class(entry) for name, entry in entries.items()}
    return ComfyFacts(
        version=stats.system.comfyui_version or "",
        pytorch_version=stats.system.pytorch_version or "",
        devices=stats.devices,
        node_classes=frozenset(classes),
        models=await _models(http),
        node_packs=frozenset(pack for found in classes.values() if (pack := _pack(found))),
        output_classes=frozenset(name for name, found in classes.items() if found.output_node),
    )


def pack_of(described: msgspec.Raw) -> str:
    """The pack of a node class, from its entry of `/object_info`, as a word; empty for ComfyUI's own classes.

    >>> pack_of(msgspec.Raw(b'{"python_module": "custom_nodes.ComfyUI Impact-Pack"}'))
    'comfyui-impact-pack'
    """
    return _pack(_node_class(described))


def _node_class(described: msgspec.Raw) -> _NodeClass:
    try:
        return msgspec.json.decode(described, type=_NodeClass)
    except msgspec.MsgspecError:  # one odd entry is no reason to know nothing of the others
        return _NodeClass()


def _pack(node_class: _NodeClass) -> str:
    module = node_class.python_module or ""
    if not module.startswith(_PACK):
        return ""
    return _NOT_OF_A_WORD.sub("-", module.removeprefix(_PACK).lower()).strip("._/:+-")[:_WORD_CHARS]


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
