"""Several workloads as one, and the tenants for whom it is done."""

from __future__ import annotations

import heapq
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from northstar.domain.jobs import Tenant
from northstar.domain.tenancy import NO_TERMS, Tenants, TenantTerms
from northstar.simulation.workload.draws import Choice, share_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from northstar.simulation.inputs import SimulatedJob


_USERS_KEPT: Final = 16_384


class TenantShare(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tenant of a simulated fleet: how many of the users are its own, beside the others' shares, and what was agreed with it."""

    name: Tenant
    share: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    terms: TenantTerms = NO_TERMS


def mixed(workloads: Sequence[Iterable[SimulatedJob]]) -> Iterator[SimulatedJob]:
    """All of them, in the order of their times; of one moment in the order in which they are given. One job of each is held in memory."""
    return heapq.merge(*workloads, key=attrgetter("at_ms"))


def with_tenants(jobs: Iterable[SimulatedJob], tenants: Sequence[TenantShare], *, seed: int) -> Iterator[SimulatedJob]:
    """Give every user a tenant by the seed, and all its jobs with it. Jobs without a user belong to the first.

    Raises:
        ValueError: there is no tenant, or all shares are 0.
    """
    choice = Choice([(one.name, one.share) for one in tenants])

    @lru_cache(maxsize=_USERS_KEPT)
    def tenant_of(user: str) -> str:
        return choice.at(share_of(seed, "tenant", user)) if user else tenants[0].name

    for job in jobs:
        tenant = tenant_of(job.request.user)
        yield msgspec.structs.replace(job, request=msgspec.structs.replace(job.request, tenant=tenant))


def terms_of(tenants: Sequence[TenantShare]) -> Tenants:
    """What a broker is told of them."""
    return Tenants(tenants={one.name: one.terms for one in tenants})
