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


def _told(asked: str, found: Found) -> KnownModel:
    """Of a model of several files the first stands for its name, kind and hash: it is the one that engines are told by."""
    first, *others = found.files
    entry = found.model.name
    return KnownModel(
        name=first.name,
        entry="" if entry == first.name else entry,
        asked="" if asked == first.name else asked,
        more_files=len(others),
        # A file, or a version that was pinned, is meant as it was said; whoever said an alias means the entry.
        fetch_by="" if not all(file.sources for file in found.files) else asked if _is_exact(found) else entry,
        kind=first.kind,
        size_bytes=sum(file.size_bytes for file in found.files),
        sha256=first.sha256,
        sources=tuple(shown(source) for source in first.sources),
        vram_mb=vram_mb_of(found.version),
        aliases=found.model.aliases,
    )


def _is_exact(found: Found) -> bool:
    return found.by == "file" or found.is_pinned
