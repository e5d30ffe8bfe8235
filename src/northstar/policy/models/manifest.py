"""Manifests: files in which an operator declares many models at once.

```toml
[[models]]
name = "sdxl.safetensors"
version = "1.0"
kind = "checkpoint"
sources = ["hf://stabilityai/stable-diffusion-xl-base-1.0/sd_xl_base_1.0.safetensors"]
sha256 = "unknown"
aliases = ["sdxl"]
```

A model of several files has `files`, each with a name, a kind and its sources.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

import msgspec

from northstar.domain.catalogue import CatalogueFile, CatalogueModel, CatalogueVersion, VersionName
from northstar.domain.jobs import Tenant
from northstar.domain.models import UNKNOWN_HASH, ModelFolder, ModelKind, ModelName, ModelSource
from northstar.domain.workloads import Modality, Speciality
from northstar.policy.models.catalogue_rules import kind_by_address, problem_of
from northstar.policy.models.folders import kind_of
from northstar.policy.models.model_lists import FIRST_VERSION

_Sources = Annotated[tuple[ModelSource, ...], msgspec.Meta(max_length=8)]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64}|unknown)$")]
_Bytes = Annotated[int, msgspec.Meta(ge=0, le=10_000_000_000_000)]


class ManifestFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a model; see `CatalogueFile`. Its kind is that of its folder, or of a folder in its address, unless it is said."""

    name: ModelName
    kind: ModelKind | None = None
    folder: ModelFolder = ""
    sources: _Sources = ()
    sha256: _Sha256 = UNKNOWN_HASH
    size_bytes: _Bytes = 0

    def file(self) -> CatalogueFile:
        """As it stands in the catalogue.

        Raises:
            ValueError: its kind is not said, and cannot be told from where it lies.
        """
        kind = self.kind or (kind_of(self.folder) if self.folder else None)
        for source in self.sources:
            kind = kind or kind_by_address(source)
        if kind is None:
            raise ValueError(
                f"what kind of model {self.name} is cannot be told from its address; say its kind, "
                f"`kind` in a manifest or --kind: {', '.join(get_args(ModelKind))}"
            )
        return CatalogueFile(
            name=self.name,
            kind=kind,
            folder=self.folder,
            sources=self.sources,
            sha256=self.sha256,
            size_bytes=self.size_bytes,
        )


class ManifestModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a model. Without `files` it is one file of its own name, of which the fields here tell."""

    name: ModelName
    version: VersionName = FIRST_VERSION
    kind: ModelKind | None = None
    folder: ModelFolder = ""
    sources: _Sources = ()
    sha256: _Sha256 = UNKNOWN_HASH
    size_bytes: _Bytes = 0
    files: Annotated[tuple[ManifestFile, ...], msgspec.Meta(max_length=16)] = ()
    vram_mb: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    aliases: Annotated[tuple[ModelName, ...], msgspec.Meta(max_length=32)] = ()
    modalities: Annotated[tuple[Modality, ...], msgspec.Meta(max_length=6)] = ()
    speciality: Speciality | None = None
    experimental: bool = False
    tenants: Annotated[tuple[Tenant, ...], msgspec.Meta(max_length=256)] = ()

    def model(self) -> CatalogueModel:
        """As it stands in the catalogue, with this version alone.

        Raises:
            ValueError: it says of one file what belongs to several, or it could not stand there (`catalogue_rules.problem_of`).
        """
        files = self._files()
        version = CatalogueVersion(version=self.version, files=files, vram_mb=self.vram_mb)
        model = CatalogueModel(
            name=self.name,
            versions=(version,),
            current=self.version,
            aliases=self.aliases,
            modalities=self.modalities,
            speciality=self.speciality,
            experimental=self.experimental,
            tenants=self.tenants,
        )
        if problem := problem_of(model):
            raise ValueError(problem)
        return model

    def _files(self) -> tuple[CatalogueFile, ...]:
        alone = ManifestFile(
            name=self.name,
            kind=self.kind,
            folder=self.folder,
            sources=self.sources,
            sha256=self.sha256,
            size_bytes=self.size_bytes,
        )
        if not self.files:
            return (alone.file(),)
        if alone != ManifestFile(name=self.name):
            raise ValueError(
                "it has `files`, so each of them says its kind, folder, sources, sha256 and size_bytes itself"
            )
        return tuple(file.file() for file in self.files)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of models."""

    models: Annotated[tuple[dict[str, Any], ...], msgspec.Meta(min_length=1, max_length=20_000)]


def models_of_manifest(document: Any) -> tuple[CatalogueModel, ...]:
    """The models of a manifest that was read from TOML or JSON.

    Raises:
        ValueError: with the number and name of the first model that is wrong, and what is wrong.
    """
    try:
        manifest = msgspec.convert(document, Manifest)
    except msgspec.ValidationError as exc:
        raise ValueError(f"it is no manifest of models: {exc}") from exc
    models = []
    for number, entry in enumerate(manifest.models, start=1):
        try:
            models.append(msgspec.convert(entry, ManifestModel).model())
        except (msgspec.ValidationError, ValueError) as exc:
            named = f" ({entry['name'][:80]})" if isinstance(entry.get("name"), str) else ""
            raise ValueError(f"model {number}{named}: {exc}") from exc
    return tuple(models)
