"""What the catalogue says of a model, as explanations tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.domain.explanations import KnownModel
from northstar.policy.models.addresses import shown
from northstar.policy.models.vram import vram_mb_of

if TYPE_CHECKING:
    from northstar.broker.catalogue_view import CatalogueView
    from northstar.broker.explained_jobs import KnownOf
    from northstar.policy.models.catalogue_index import Found


def known_in(view: CatalogueView) -> KnownOf:
    """What answers for the catalogue of a cell."""

    async def known_of(name: str) -> KnownModel | None:
        found = (await view.current()).find(name)
        return None if found is None else _told(name, found)

    return known_of


def _told(name: str, found: Found) -> KnownModel:
    """Of a model of several files the first stands for its kind and hash, which is the one that engines are told by."""
    first, *_ = found.files
    return KnownModel(
        name=name,
        entry=found.model.name if found.model.name != name else "",
        kind=first.kind,
        size_bytes=sum(file.size_bytes for file in found.files),
        sha256=first.sha256,
        sources=tuple(shown(source) for source in first.sources),
        vram_mb=vram_mb_of(found.version),
        aliases=found.model.aliases,
    )
