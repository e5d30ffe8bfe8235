"""The catalogue of a cell: what operators say of models, kept as documents, each model one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.broker.catalogue_errors import (
    CatalogueEntryInvalid,
    ModelNameInUse,
    ModelVersionExists,
    NoSuchModel,
)
from northstar.domain.catalogue import MODEL_DOCUMENTS, CatalogueModel
from northstar.policy.models.catalogue_changes import Change, Clash, merged, without_version
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.policy.models.catalogue_rules import problem_of
from northstar.store.documents import (
    MAX_PER_PUT,
    Document,
    NamedDocument,
    WantedDocument,
    drop_documents,
    put_documents,
    read_documents,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.policy.models.catalogue_index import Found
    from northstar.store.cell import Cell

_read_model = msgspec.json.Decoder(CatalogueModel).decode


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What saying something of a model has changed in the catalogue."""

    name: str
    versions: tuple[str, ...]
    change: Change


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A model as it stands in the catalogue: who changed it last, when, and the version of its document."""

    model: CatalogueModel
    document: int
    by: str
    at_ms: int


def read_model(document: Document) -> CatalogueModel:
    """The model that a document describes. Raises a MsgspecError or ValueError for what this version cannot read."""
    return _read_model(document.body)


async def read_catalogue(cell: Cell) -> dict[str, Entry]:
    """All models by name; what this version cannot read is left out, with a line in the log. Raises Unavailable."""
    documents = await read_documents(cell.client, cell.keys, MODEL_DOCUMENTS)
    entries = {}
    for document in sorted(documents.values(), key=lambda document: document.name):
        try:
            model = read_model(document)
        except (msgspec.MsgspecError, ValueError):
            continue  # `CatalogueView` names it in the log of whoever routes
        entries[model.name] = Entry(model=model, document=document.version, by=document.by, at_ms=document.at_ms)
    return entries


async def say(cell: Cell, models: Sequence[CatalogueModel], *, by: str, replace: bool = False) -> list[Said]:
    """Add models, or versions of them, to the catalogue.

    A hundred models at a time are added together or not at all; of more, an error leaves those before it added, and saying all of them
    again goes on from there.

    Raises:
        CatalogueEntryInvalid: one of them can never stand there; nothing is added.
        ModelVersionExists: a version is known and says something else, and `replace` is false; nothing is added.
        ModelNameInUse: a name or an alias means another model; nothing is added.
        DocumentChanged: somebody else changed one of them meanwhile.
        TooManyDocuments, DocumentTooLarge, DocumentsTooLarge: a bound of the cell.
    """
    known = await read_catalogue(cell)
    wanted: dict[str, CatalogueModel] = {name: entry.model for name, entry in known.items()}
    said: list[Said] = []
    for model in models:
        if problem := problem_of(model):
            raise CatalogueEntryInvalid(model.name, reason=problem)
        wanted[model.name], change = _merged(wanted.get(model.name), model, replace=replace)
        said.append(Said(name=model.name, versions=tuple(one.version for one in model.versions), change=change))
    touched = list(dict.fromkeys(one.name for one in said if one.change != "same"))
    _check_names(wanted, touched)
    documents = [
        WantedDocument(
            kind=MODEL_DOCUMENTS,
            name=name,
            body=msgspec.json.encode(wanted[name]).decode(),
            expected=known[name].document if name in known else 0,
        )
        for name in touched
    ]
    for first in range(0, len(documents), MAX_PER_PUT):
        await put_documents(cell, documents[first : first + MAX_PER_PUT], by=by)
    return said


def _merged(known: CatalogueModel | None, model: CatalogueModel, *, replace: bool) -> tuple[CatalogueModel, Change]:
    try:
        result, change = merged(known, model, replace=replace)
    except Clash as exc:
        raise ModelVersionExists(exc.model, exc.version) from exc
    except (msgspec.ValidationError, ValueError) as exc:
        raise CatalogueEntryInvalid(model.name, reason=str(exc)) from exc
    if problem := problem_of(result):
        raise CatalogueEntryInvalid(model.name, reason=problem)
    return result, change


def _check_names(models: dict[str, CatalogueModel], touched: Iterable[str]) -> None:
    """No name or alias of what is said now means another model."""
    owners: dict[str, list[str]] = {}
    for model in models.values():
        for alias in model.aliases:
            owners.setdefault(alias, []).append(model.name)
    for name in touched:
        for said in (name, *models[name].aliases):
            named = [said] if said in models else []
            others = [owner for owner in (*named, *owners.get(said, ())) if owner != name]
            if others:
                raise ModelNameInUse(said, model=name, owner=others[0])


async def look_up(cell: Cell, name: str) -> tuple[Found, Entry]:
    """What a name, an alias, either with `@version`, or the name of a file means. Raises NoSuchModel."""
    entries = await read_catalogue(cell)
    index = CatalogueIndex(entry.model for entry in entries.values())
    found = index.find(name)
    if found is None:
        raise NoSuchModel(name, known=index.names())
    return found, entries[found.model.name]


def version_to_forget(found: Found, name: str) -> str:
    """Which version goes when this is what was named; empty: the whole model. Raises NoSuchModel: a file was named."""
    if found.by == "file":
        raise NoSuchModel(name, file_of=f"{found.model.name}@{found.version.version}")
    return found.version.version if found.is_pinned else ""


async def forget(cell: Cell, entry: Entry, *, version: str = "", by: str) -> CatalogueModel | None:
    """Take a model, or one version of it, out of the catalogue; gives what is left. Machines keep the files that they have.

    Raises:
        NoSuchModel: it has no such version. DocumentChanged: somebody else has changed it meanwhile.
    """
    model = entry.model
    if version and model.version(version) is None:
        raise NoSuchModel(f"{model.name}@{version}", known=(f"{model.name}@{one.version}" for one in model.versions))
    left = without_version(model, version) if version else None
    if left is None:
        gone = NamedDocument(kind=MODEL_DOCUMENTS, name=model.name, expected=entry.document)
        await drop_documents(cell, [gone], by=by)
        return None
    body = msgspec.json.encode(left).decode()
    changed = WantedDocument(kind=MODEL_DOCUMENTS, name=model.name, body=body, expected=entry.document)
    await put_documents(cell, [changed], by=by)
    return left
