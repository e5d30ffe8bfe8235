"""From the bytes of a manifest, of whichever form, to models of the catalogue."""

from __future__ import annotations

import tomllib
from typing import Any, ClassVar, Final

import msgspec

from northstar.domain.amounts import exactly
from northstar.domain.errors import InvalidRequest
from northstar.policy.models.manifest import models_of_manifest
from northstar.policy.models.model_lists import (
    ReadList,
    is_comfyui_api_manifest,
    is_executed_graph,
    is_saved_graph,
    models_of_comfyui_api,
    models_of_graph,
)

MAX_MANIFEST_BYTES: Final = 32_000_000


class ManifestInvalid(InvalidRequest):
    """A file holds no models that could be read."""

    code: ClassVar[str] = "NS_MANIFEST_INVALID"

    def __init__(self, source: str, *, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


def read_manifest(text: bytes, *, source: str) -> ReadList:
    """The models of a manifest (TOML or JSON), of a graph as ComfyUI saves it, or of a comfyui-api manifest.

    What somebody else's list says unusably is left out and named; in a manifest of our own it is an error. `source` is what errors call it.

    Raises:
        ManifestInvalid: it is none of these, or a model in it is wrong.
    """
    if len(text) > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(
            source, reason=f"it has {exactly(len(text))}, more than {exactly(MAX_MANIFEST_BYTES)}; split it"
        )
    document = _decoded(text, source)
    if is_saved_graph(document):
        return models_of_graph(document)
    if is_comfyui_api_manifest(document):
        return models_of_comfyui_api(document)
    if is_executed_graph(document):
        reason = "it is a graph in API format, which names models and not where they can be had; save it in the usual format (Workflow > Save)"
        raise ManifestInvalid(source, reason=reason)
    try:
        return ReadList(models=models_of_manifest(document))
    except ValueError as exc:
        raise ManifestInvalid(source, reason=str(exc)) from exc


def _decoded(text: bytes, source: str) -> Any:
    try:
        if text.lstrip()[:1] in {b"{", b"["}:
            return _as_document(text)
        return tomllib.loads(text.decode())
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ManifestInvalid(source, reason=f"it is neither valid JSON nor valid TOML: {exc}") from exc


def _as_document(text: bytes) -> Any:
    """JSON, or TOML that begins with a table's brackets."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        if text.lstrip()[:1] == b"[":
            return tomllib.loads(text.decode())
        raise
