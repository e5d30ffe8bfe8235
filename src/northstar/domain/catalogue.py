"""The catalogue: models that an operator has declared, with their versions, their files and where these can be had."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from northstar.domain.jobs import Tenant
from northstar.domain.models import (
    UNKNOWN_HASH,
    ModelFolder,
    ModelKind,
    ModelName,
    ModelNeed,
    ModelOrder,
    ModelSource,
)
from northstar.domain.workloads import Modality, Speciality

#: The kind of documents in which a cell keeps the catalogue.
MODEL_DOCUMENTS: Final = "model"

#: What versions of a model are told apart by: whatever its maker calls them.
VersionName = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
_Bytes = Annotated[int, msgspec.Meta(ge=0, le=10_000_000_000_000)]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64}|unknown)$")]


class CatalogueFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of a model. Without sources it can only be found on machines, not fetched."""

    #: Path below the folder of its kind, with `/` between folders: what an engine calls it.
    name: ModelName
    kind: ModelKind
    #: Folder below the models folder; empty: the usual one of its kind.
    folder: ModelFolder = ""
    #: Addresses to try, one after the other: https, http, hf, civitai, s3 or file.
    sources: Annotated[tuple[ModelSource, ...], msgspec.Meta(max_length=8)] = ()
    #: Its SHA-256 in hexadecimal, or "unknown" on purpose: then whatever the source sends is taken.
    sha256: _Sha256 = UNKNOWN_HASH
    #: Its size; 0 if it is not known.
    size_bytes: _Bytes = 0

    def need(self) -> ModelNeed:
        """What a job that cannot run without this file asks for."""
        hash_ = self.sha256 if self.sources or self.sha256 != UNKNOWN_HASH else ""
        return ModelNeed(
            name=self.name,
            kind=self.kind,
            size_bytes=self.size_bytes,
            sources=self.sources,
            sha256=hash_,
            folder=self.folder,
        )

    def order(self) -> ModelOrder | None:
        """What a machine that shall have it is told; None if nobody said from where."""
        if not self.sources:
            return None
        return ModelOrder(
            name=self.name,
            kind=self.kind,
            folder=self.folder,
            sources=self.sources,
            sha256=self.sha256,
            size_bytes=self.size_bytes,
        )


class CatalogueVersion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version of a model: its files, all of which are needed to run it."""

    version: VersionName
    files: Annotated[tuple[CatalogueFile, ...], msgspec.Meta(min_length=1, max_length=16)]
    #: GPU memory that a run needs, MB, as the operator knows it; 0: as `policy.models.vram` estimates it.
    vram_mb: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of all its files whose size is known."""
        return sum(file.size_bytes for file in self.files)


class CatalogueModel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model by the name under which jobs ask for it: usually what engines call its file, or a word for several files."""

    name: ModelName
    versions: Annotated[tuple[CatalogueVersion, ...], msgspec.Meta(min_length=1, max_length=32)]
    #: Which version is meant by whoever names none.
    current: VersionName
    #: Other names of it.
    aliases: Annotated[tuple[ModelName, ...], msgspec.Meta(max_length=32)] = ()
    #: What it makes, where its owner says it.
    modalities: Annotated[tuple[Modality, ...], msgspec.Meta(max_length=6)] = ()
    speciality: Speciality | None = None
    #: Its owner calls it experimental: work with it belongs where failures are expected.
    experimental: bool = False
    #: Only jobs of these tenants may use it; empty: everybody's.
    tenants: Annotated[tuple[Tenant, ...], msgspec.Meta(max_length=256)] = ()

    def __post_init__(self) -> None:
        """Versions have names of their own, and one of them is current.

        Raises:
            ValueError: two have the same, or the current one is not there.
        """
        names = [version.version for version in self.versions]
        if len(set(names)) < len(names):
            raise ValueError("two versions of a model have the same name")
        if self.current not in names:
            raise ValueError(f"the current version {self.current!r} is none of {', '.join(names)}")

    def version(self, name: str = "") -> CatalogueVersion | None:
        """The version of this name, the current one if none is named; None where there is no such version."""
        wanted = name or self.current
        return next((version for version in self.versions if version.version == wanted), None)

    @property
    def current_version(self) -> CatalogueVersion:
        """The version that is meant by whoever names none."""
        return next(version for version in self.versions if version.version == self.current)

    def is_for(self, tenant: str) -> bool:
        """Whether this tenant's jobs may use it."""
        return not self.tenants or tenant in self.tenants
