"""Models of a small catalogue, for tests."""

from __future__ import annotations

from typing import Any

from northstar.domain.catalogue import CatalogueFile, CatalogueModel, CatalogueVersion
from northstar.domain.models import ModelKind

HASH_A, HASH_B = "a" * 64, "b" * 64


def a_file(name: str, kind: ModelKind = "checkpoint", **changes: Any) -> CatalogueFile:
    said: dict[str, Any] = {"sources": (f"https://models.test/{name}",), "sha256": HASH_A, "size_bytes": 5_000_000_000}
    return CatalogueFile(name=name, kind=kind, **said | changes)


def a_model(name: str, *files: CatalogueFile, version: str = "1", **changes: Any) -> CatalogueModel:
    whole = CatalogueVersion(version=version, files=files or (a_file(name),))
    return CatalogueModel(**{"name": name, "versions": (whole,), "current": version} | changes)
