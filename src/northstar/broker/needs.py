"""Submissions with what the catalogue knows of the models that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.broker.catalogue_errors import ModelNotForTenant
from northstar.broker.requests import InvalidJob
from northstar.domain.jobs import JobRequest
from northstar.domain.models import ModelName
from northstar.policy.models.resolve import MAX_NEEDS, NeedNote, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.broker.catalogue_view import CatalogueView
    from northstar.policy.models.catalogue_index import CatalogueIndex


class ResolvedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as its machine shall get it, and what was said of the models that it names."""

    request: JobRequest
    #: Models whose sources are the operator's word (`domain.jobs.JobBody.declared`).
    declared: tuple[ModelName, ...] = ()
    notes: tuple[NeedNote, ...] = ()


async def resolve_requests(requests: Sequence[JobRequest], view: CatalogueView | None) -> list[ResolvedRequest]:
    """All of them, in order; the catalogue is looked at only if one of them names a model.

    Raises:
        ModelNotForTenant: one names a model that is kept for other tenants.
        InvalidJob: the models that one names are more files than a job may need.
        Unavailable: the catalogue cannot be read.
    """
    if view is None or not any(request.requires.models for request in requests):
        return [ResolvedRequest(request=request) for request in requests]
    catalogue = await view.current()
    return [resolve_request(request, catalogue) for request in requests]


def resolve_request(request: JobRequest, catalogue: CatalogueIndex) -> ResolvedRequest:
    """One request by this catalogue. Raises as `resolve_requests`."""
    if not request.requires.models:
        return ResolvedRequest(request=request)
    found = resolve(request.requires.models, catalogue, tenant=request.tenant)
    for note in found.restricted:
        raise ModelNotForTenant(note.need, tenant=request.tenant)
    if len(found.needs) > MAX_NEEDS:
        detail = f"its models are {len(found.needs)} files by the catalogue, more than {MAX_NEEDS}"
        raise InvalidJob(request.id or "the job", detail=detail)
    requires = msgspec.structs.replace(request.requires, models=found.needs)
    whole = msgspec.structs.replace(request, requires=requires)
    return ResolvedRequest(request=whole, declared=found.declared, notes=found.notes)
