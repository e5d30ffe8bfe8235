"""From the models that a job names to files that a machine can fetch, by the catalogue.

What comes from the catalogue is the word of the operator, who owns the machines, and not of the job's sender: its sources may need a
machine's tokens, buckets and folders, which `models.jobs_may_fetch` keeps from jobs. So whoever resolves also says which needs are
*declared*, and only the broker can write that down: a submission has no field for it (`domain.jobs.JobBody.declared`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from northstar.domain.models import UNKNOWN_HASH, ModelName, ModelNeed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.policy.models.catalogue_index import CatalogueIndex, Found

#: Models of one job; as `Requirements` bounds them.
MAX_NEEDS: Final = 32

Outcome = Literal["resolved", "declared", "own", "unknown", "not-fetchable", "restricted"]
_OPERATORS_WORD: Final = frozenset({"resolved", "declared", "not-fetchable"})


class NeedNote(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one model that a job names.

    `resolved`: the catalogue has said what it is. `declared`: the job said the same as the catalogue. `own`: the job says for itself
    where it can be had. `unknown`: the catalogue does not have it. `not-fetchable`: it has it, and does not say from where.
    `restricted`: it is kept for other tenants.
    """

    need: ModelName
    outcome: Outcome
    sentence: str
    #: The model of the catalogue and its version; empty where it has none.
    model: str = ""
    version: str = ""


class ResolvedNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """What a job needs, as far as the catalogue knows it."""

    needs: tuple[ModelNeed, ...]
    #: Names of those whose sources are the operator's word.
    declared: tuple[ModelName, ...]
    notes: tuple[NeedNote, ...]

    @property
    def restricted(self) -> tuple[NeedNote, ...]:
        """Models that the job may not use."""
        return tuple(note for note in self.notes if note.outcome == "restricted")


def resolve(needs: Iterable[ModelNeed], catalogue: CatalogueIndex, *, tenant: str) -> ResolvedNeeds:
    """What a job of this tenant needs, with sources, hash, size and kind from the catalogue where it names nothing but the model.

    A need that has sources of its own stays as it is, and is the operator's word only if it says just what the catalogue says. One with a
    hash and no sources means the version that has this hash. A model of several files becomes as many needs. The result may be longer
    than a job's needs may be (`MAX_NEEDS`); whoever submits refuses that.
    """
    found: dict[tuple[str, str], ModelNeed] = {}
    declared: dict[str, None] = {}
    notes = []
    for need in needs:
        note, files = _judged(need, catalogue, tenant)
        notes.append(note)
        for one in files:
            found.setdefault((one.name, one.kind), one)
            if note.outcome in _OPERATORS_WORD and one.sources:
                declared[one.name] = None
    # Of a name for which a job has words of its own as well, nothing is taken for the operator's word.
    own = {note.need for note in notes if note.outcome == "own"}
    trusted = tuple(name for name in declared if name not in own)
    return ResolvedNeeds(needs=tuple(found.values()), declared=trusted, notes=tuple(notes))


def _judged(need: ModelNeed, catalogue: CatalogueIndex, tenant: str) -> tuple[NeedNote, tuple[ModelNeed, ...]]:
    """What is to be said of one need, and what it becomes."""
    pin = "" if need.sources or need.sha256 == UNKNOWN_HASH else need.sha256
    entry = catalogue.find(need.name, kind=need.kind, sha256=pin, tenant=tenant)
    if entry is None and _is_restricted(need, catalogue, tenant):
        # Whatever it says of itself: a machine that holds the file would serve it by its name.
        sentence = f"{need.name} is kept for other tenants than {tenant}"
        return NeedNote(need=need.name, outcome="restricted", sentence=sentence), (need,)
    if need.sources:
        return _own_word(need, entry)
    if entry is None:
        hashed = f" with the hash {pin[:12]}…" if pin else ""
        return NeedNote(need=need.name, outcome="unknown", sentence=f"the catalogue has no {need.name}{hashed}"), (
            need,
        )
    return _from_catalogue(need, entry)


def _is_restricted(need: ModelNeed, catalogue: CatalogueIndex, tenant: str) -> bool:
    has_any = catalogue.find(need.name, kind=need.kind) is not None
    return has_any and catalogue.find(need.name, kind=need.kind, tenant=tenant) is None


def _own_word(need: ModelNeed, entry: Found | None) -> tuple[NeedNote, tuple[ModelNeed, ...]]:
    files = () if entry is None else tuple(file.need() for file in entry.files)
    if entry is not None and len(files) == 1 and _said(need) == _said(files[0]):
        sentence = f"the job says of {need.name} what the catalogue says"
        return _note(need, "declared", sentence, entry), files
    sentence = f"the job says itself where {need.name} can be had"
    return NeedNote(need=need.name, outcome="own", sentence=sentence), (need,)


def _said(need: ModelNeed) -> tuple[object, ...]:
    return need.name, need.kind, need.folder, need.sources, need.sha256


def _from_catalogue(need: ModelNeed, entry: Found) -> tuple[NeedNote, tuple[ModelNeed, ...]]:
    files = tuple(file.need() for file in entry.files)
    if len(files) == 1 and not files[0].size_bytes:
        files = (msgspec.structs.replace(files[0], size_bytes=need.size_bytes),)
    which = f"{entry.model.name} version {entry.version.version}"
    if not all(file.sources for file in files):
        sentence = f"the catalogue has {which} and does not say from where all of it can be had"
        return _note(need, "not-fetchable", sentence, entry), files
    counted = "1 file" if len(files) == 1 else f"{len(files)} files"
    return _note(need, "resolved", f"the catalogue has {which}, {counted}", entry), files


def _note(need: ModelNeed, outcome: Outcome, sentence: str, entry: Found) -> NeedNote:
    model, version = entry.model.name, entry.version.version
    return NeedNote(need=need.name, outcome=outcome, sentence=sentence, model=model, version=version)
