"""Finding a model of the catalogue by whatever somebody calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from northstar.domain.catalogue import CatalogueFile, CatalogueModel, CatalogueVersion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.domain.models import ModelKind


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the catalogue, the version that is meant, and how it was named."""

    model: CatalogueModel
    version: CatalogueVersion
    #: All files of the version; only the one that was named where a file was named.
    files: tuple[CatalogueFile, ...]
    by: Literal["name", "alias", "file"]
    #: Whether a version was named, and not just the current one meant.
    is_pinned: bool = False


class CatalogueIndex:
    """The catalogue as it is at one moment. A look-up is one to three reads of a dictionary, however many models there are.

    A name goes before an alias, an alias before a file. Where two models have the same alias or file, the one whose name comes first by
    text is found.
    """

    def __init__(self, models: Iterable[CatalogueModel] = ()) -> None:
        self.models = {model.name: model for model in sorted(models, key=lambda model: model.name)}
        #: Whether some model is kept for some tenants, so that it matters who asks.
        self.is_restricted = any(model.tenants for model in self.models.values())
        self._aliases: dict[str, CatalogueModel] = {}
        self._current: dict[str, Found] = {}
        self._files: dict[str, list[Found]] = {}
        for model in self.models.values():
            for alias in model.aliases:
                self._aliases.setdefault(alias, model)
            for version in model.versions:
                for file in version.files:
                    found = Found(model=model, version=version, files=(file,), by="file")
                    self._files.setdefault(file.name, []).append(found)
        for name, model in (self._aliases | self.models).items():
            current = model.current_version
            by: Literal["name", "alias"] = "name" if name == model.name else "alias"
            self._current[name] = Found(model=model, version=current, files=current.files, by=by)

    def __len__(self) -> int:
        return len(self.models)

    def find(
        self, name: str, *, kind: ModelKind | None = None, sha256: str = "", tenant: str | None = None
    ) -> Found | None:
        """What is meant by a name, an alias, either with `@version` behind it, or the name of a file; None if nothing is.

        Of files of one name, that of this `kind` is preferred, then that of a current version. With `sha256`, only what has a file of
        this hash, in whichever version. With `tenant`, only what its jobs may use.
        """
        found = self._named(name, sha256=sha256, tenant=tenant)
        found = found or self._file(name, kind=kind, sha256=sha256, tenant=tenant)
        if found is None and "@" in name:
            bare, _, version = name.rpartition("@")
            found = self._named(bare, version=version, sha256=sha256, tenant=tenant)
        return found

    def names(self) -> list[str]:
        """Everything that can be found: names, aliases and files."""
        return [*self.models, *self._aliases, *self._files]

    def _named(self, name: str, *, version: str = "", sha256: str, tenant: str | None) -> Found | None:
        current = self._current.get(name)
        if current is None or not _may_use(current.model, tenant):
            return None
        if not (version or sha256):
            return current
        chosen = current.model.version(version) if version else _with_hash(current.model, sha256)
        if chosen is None or (sha256 and not _has(chosen, sha256)):
            return None
        return msgspec.structs.replace(current, version=chosen, files=chosen.files, is_pinned=bool(version))

    def _file(self, name: str, *, kind: ModelKind | None, sha256: str, tenant: str | None) -> Found | None:
        candidates = [
            found
            for found in self._files.get(name, ())
            if _may_use(found.model, tenant) and sha256 in {"", found.files[0].sha256}
        ]

        def rank(found: Found) -> tuple[bool, bool]:
            is_other_kind = kind is not None and found.files[0].kind != kind
            return is_other_kind, found.version.version != found.model.current

        return min(candidates, key=rank, default=None)


def _may_use(model: CatalogueModel, tenant: str | None) -> bool:
    return tenant is None or model.is_for(tenant)


def _with_hash(model: CatalogueModel, sha256: str) -> CatalogueVersion | None:
    """The version with a file of this hash, the current one before others."""
    versions = sorted(model.versions, key=lambda version: version.version != model.current)
    return next((version for version in versions if _has(version, sha256)), None)


def _has(version: CatalogueVersion, sha256: str) -> bool:
    return any(file.sha256 == sha256 for file in version.files)
