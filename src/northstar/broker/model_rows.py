"""Entries of the catalogue as lists and sheets show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.model_rows import FileRow, ModelRow, ModelSheet, VersionRow
from northstar.policy.models.vram import vram_mb_of

if TYPE_CHECKING:
    from northstar.broker.catalogue import Entry
    from northstar.domain.catalogue import CatalogueVersion
    from northstar.policy.models.catalogue_index import Found
    from northstar.policy.routing.snapshot import CellSnapshot


def row_of(entry: Entry) -> ModelRow:
    """The row of a model."""
    model = entry.model
    return ModelRow(
        name=model.name,
        current=model.current,
        aliases=model.aliases,
        modalities=model.modalities,
        speciality=model.speciality,
        experimental=model.experimental,
        tenants=model.tenants,
        versions=tuple(_version(version) for version in model.versions),
        by=entry.by,
        at_ms=entry.at_ms,
    )


def sheet_of(row: ModelRow, holders: dict[str, dict[str, str]]) -> ModelSheet:
    """The row with where its files are."""
    return ModelSheet(**msgspec.structs.asdict(row), holders=holders)


def holders_of(found: Found, view: CellSnapshot) -> dict[str, dict[str, str]]:
    """For each file of what was found, which machines hold it, and where."""
    machines = [view.machines[name] for name in sorted(view.machines)]
    return {
        file.name: {machine.id: machine.held[file.name] for machine in machines if file.name in machine.held}
        for file in found.files
    }


def _version(version: CatalogueVersion) -> VersionRow:
    return VersionRow(
        version=version.version,
        vram_mb=vram_mb_of(version),
        vram_is_estimated=not version.vram_mb,
        files=tuple(
            FileRow(
                name=file.name,
                kind=file.kind,
                folder=file.folder,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                sources=file.sources,
            )
            for file in version.files
        ),
    )
