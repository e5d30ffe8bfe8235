"""Tenants: whom work is done for, and what they were promised."""

from __future__ import annotations

from typing import Annotated

import msgspec

from northstar.domain.budgets import Budget, Usd
from northstar.domain.jobs import Tenant
from northstar.domain.requirements import Region, Word

__all__ = ["NO_TERMS", "Region", "TenantTerms", "Tenants"]


class TenantTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for a tenant's jobs whatever they ask for themselves. The empty terms are everybody's."""

    #: Enterprise terms: its jobs go to the Enterprise pool whatever they are, and nowhere else.
    enterprise: bool = False
    #: Sovereignty: the only regions whose machines may run its jobs; empty: anywhere.
    regions: Annotated[tuple[Region, ...], msgspec.Meta(max_length=64)] = ()
    #: Set: its jobs run only on machines dedicated to this name, and jobs of tenants whose terms do not name it may not ask for these.
    isolation: Word | None = None
    #: Its part of a fair share, beside others' 1.
    weight: Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000)] = 1.0
    #: Its jobs get at least this priority, 0 to 100.
    priority_at_least: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    #: What its jobs may cost in a day (UTC), in US dollars; once that is spent none of them begins until the next day. 0: no limit.
    budget_usd_per_day: Usd = 0.0
    #: The same for a month.
    budget_usd_per_month: Usd = 0.0

    @property
    def budget(self) -> Budget:
        """What may be spent for it."""
        return Budget(usd_per_day=self.budget_usd_per_day, usd_per_month=self.budget_usd_per_month)


#: Of a tenant that nobody has agreed anything with.
NO_TERMS = TenantTerms()


class Tenants(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With whom something was agreed, by name, and what. Of a file it is the whole, so `[tenants]` must stand in it, be it empty."""

    tenants: dict[Tenant, TenantTerms]

    def terms(self, tenant: str) -> TenantTerms:
        """What was agreed with a tenant; nothing with one that is not named."""
        return self.tenants.get(tenant, NO_TERMS)

    def isolates(self, name: str | None) -> bool:
        """Whether somebody's terms keep the machines dedicated to this name for its own jobs."""
        return name is not None and any(terms.isolation == name for terms in self.tenants.values())

    def words(self) -> list[str]:
        """What jobs may ask for because some terms say it: regions and isolations, as the cell's vocabulary names them; sorted."""
        regions = {f"region:{region}" for terms in self.tenants.values() for region in terms.regions}
        isolations = {f"isolation:{terms.isolation}" for terms in self.tenants.values() if terms.isolation}
        return sorted(regions | isolations)


#: Nothing was agreed with anybody.
NO_TENANTS = Tenants(tenants={})
