"""What clients ask of the catalogue by HTTP.

A key of one tenant finds the models that its jobs may use, and no others are there for it, not even as names that come close.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from northstar.broker.catalogue import forget, read_catalogue, say, version_to_forget
from northstar.broker.catalogue_errors import CatalogueEntryInvalid, NoSuchModel
from northstar.broker.model_rows import holders_of, row_of, sheet_of
from northstar.broker.pages import page_of
from northstar.domain.misfits import misfit_told
from northstar.domain.model_rows import ModelDeclared, ModelForgotten, ModelPage, ModelRow, ModelSheet
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.policy.models.manifest import ManifestModel

if TYPE_CHECKING:
    from northstar.broker.catalogue import Entry
    from northstar.domain.api_keys import Caller
    from northstar.domain.catalogue import CatalogueModel
    from northstar.policy.models.catalogue_index import Found
    from northstar.store.cell import Cell
    from northstar.store.snapshots import CellReader


class WantedModel(ManifestModel, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of a model: one version of it, as in a manifest. Its name is that of the address."""

    name: Annotated[str, msgspec.Meta(max_length=512)] = ""

    def named(self, name: str) -> CatalogueModel:
        """As it stands in the catalogue. Raises CatalogueEntryInvalid."""
        if self.name not in {"", name}:
            raise CatalogueEntryInvalid(name, reason=f"the body calls it {self.name!r}; leave the name out")
        given = {field: getattr(self, field) for field in ManifestModel.__struct_fields__}
        try:
            return msgspec.convert(msgspec.to_builtins(given) | {"name": name}, ManifestModel).model()
        except msgspec.ValidationError as exc:
            raise CatalogueEntryInvalid(name, reason=misfit_told(exc, ManifestModel)) from exc
        except ValueError as exc:
            raise CatalogueEntryInvalid(name, reason=str(exc)) from exc


class ModelDesk:
    """The catalogue of one cell as keys see it."""

    def __init__(self, cell: Cell, *, reader: CellReader) -> None:
        self._cell = cell
        self._reader = reader

    async def page(self, caller: Caller, *, limit: int, cursor: str) -> ModelPage:
        """Models by name. Raises Unavailable."""
        entries, after = page_of(
            (await self._entries(caller)).values(), name=lambda entry: entry.model.name, limit=limit, cursor=cursor
        )
        return ModelPage(models=tuple(_row(caller, entry) for entry in entries), cursor=after)

    async def sheet(self, caller: Caller, name: str) -> ModelSheet:
        """What a name, an alias, either with `@version`, or the name of a file means, and where it is. Raises NoSuchModel, Unavailable."""
        found, entry = await self._found(caller, name)
        return sheet_of(_row(caller, entry), holders_of(found, await self._reader.snapshot()))

    async def declare(self, caller: Caller, name: str, wanted: WantedModel, *, replace: bool) -> ModelDeclared:
        """Add a model, or a version of it, which becomes current.

        Raises:
            CatalogueEntryInvalid, ModelVersionExists, ModelNameInUse, DocumentChanged: nothing is added.
            TooManyDocuments, DocumentTooLarge, DocumentsTooLarge: a bound of the cell. Unavailable.
        """
        (done,) = await say(self._cell, [wanted.named(name)], by=caller.by, replace=replace)
        return ModelDeclared(model=done.name, version=wanted.version, change=done.change)

    async def forget(self, caller: Caller, name: str, *, dry_run: bool) -> ModelForgotten:
        """Take a model, or with `NAME@VERSION` one version of it, out of the catalogue. Raises NoSuchModel, DocumentChanged, Unavailable."""
        found, entry = await self._found(caller, name)
        version = version_to_forget(found, name)
        holders = holders_of(found, await self._reader.snapshot())
        held_by = len({machine for machines in holders.values() for machine in machines})
        left = tuple(one.version for one in entry.model.versions if version and one.version != version)
        if not dry_run:
            await forget(self._cell, entry, version=version, by=caller.by)
        return ModelForgotten(model=entry.model.name, version=version, removed=not dry_run, left=left, held_by=held_by)

    async def _found(self, caller: Caller, name: str) -> tuple[Found, Entry]:
        entries = await self._entries(caller)
        index = CatalogueIndex(entry.model for entry in entries.values())
        found = index.find(name)
        if found is None:
            raise NoSuchModel(name, known=index.names())
        return found, entries[found.model.name]

    async def _entries(self, caller: Caller) -> dict[str, Entry]:
        entries = await read_catalogue(self._cell)
        if caller.tenant is None:
            return entries
        return {name: entry for name, entry in entries.items() if entry.model.is_for(caller.tenant)}


def _row(caller: Caller, entry: Entry) -> ModelRow:
    """The row as the key may see it."""
    row = row_of(entry)
    if caller.tenant is None or not row.tenants:
        return row
    return msgspec.structs.replace(row, tenants=(caller.tenant,))
