"""Models of the catalogue as lists and programs get them, every key there even where its value is the usual one."""

from __future__ import annotations

from typing import Literal

import msgspec

from northstar.domain.workloads import Modality, Speciality


class FileRow(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a version. 0 bytes are not known, and so is a hash that is "unknown"."""

    name: str
    kind: str
    #: Below the models folder; empty: the usual one of its kind.
    folder: str
    size_bytes: int
    sha256: str
    sources: tuple[str, ...]


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a model: its files, and the memory of a run, MB; 0: neither declared nor estimated."""

    version: str
    vram_mb: int
    vram_is_estimated: bool
    files: tuple[FileRow, ...]


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model: its versions, of which `current` is meant by whoever names none, and who changed it last."""

    name: str
    current: str
    aliases: tuple[str, ...]
    modalities: tuple[Modality, ...]
    speciality: Speciality | None
    experimental: bool
    #: Whose jobs alone may use it; empty: everybody's. A key of one tenant sees no other tenant here.
    tenants: tuple[str, ...]
    versions: tuple[VersionRow, ...]
    by: str
    at_ms: int


class ModelSheet(ModelRow, frozen=True, kw_only=True):
    """A model, and where the files of the version that was named are: file -> machine -> `resident` or `disk`."""

    holders: dict[str, dict[str, str]]


class ModelPage(msgspec.Struct, frozen=True, kw_only=True):
    """Models by name."""

    models: tuple[ModelRow, ...]
    #: Where the next page begins; empty: this is the last.
    cursor: str


class ModelDeclared(msgspec.Struct, frozen=True, kw_only=True):
    """What saying it has changed: the model or this version of it is `new` or a new `version`, `changed`, or was known just `same`."""

    model: str
    version: str
    change: Literal["new", "version", "changed", "same"]


class ModelForgotten(msgspec.Struct, frozen=True, kw_only=True):
    """A model, or one version of it, that went out of the catalogue, or with `dry_run` would go. Machines keep the files that they have."""

    model: str
    #: Empty: all of it.
    version: str
    removed: bool
    #: Versions that are left.
    left: tuple[str, ...]
    #: Machines that hold some of its files now.
    held_by: int
