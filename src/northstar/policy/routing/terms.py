"""What a tenant's terms make of what its job asks for: limits that nothing the job says can widen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

import msgspec

from northstar.domain.errors import InvalidRequest
from northstar.domain.pools import ENTERPRISE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.requirements import RequirementClass, Requirements
    from northstar.domain.tenancy import Tenants


class RegionNotAllowed(InvalidRequest):
    """The job asks for regions in which its tenant's work may not run."""

    code: ClassVar[str] = "NS_REGION_NOT_ALLOWED"

    def __init__(self, tenant: str, *, asked: Sequence[str], allowed: Sequence[str]) -> None:
        super().__init__(
            f"tenant {tenant} may run its jobs in {', '.join(allowed)} only, and this one asks for {', '.join(asked)}: "
            "leave the regions out, or have the tenant's terms changed"
        )
        self.tenant, self.asked, self.allowed = tenant, tuple(asked), tuple(allowed)


class IsolationNotAllowed(InvalidRequest):
    """The job asks for machines that are dedicated to somebody else."""

    code: ClassVar[str] = "NS_ISOLATION_NOT_ALLOWED"

    def __init__(self, tenant: str, *, asked: str, agreed: str | None) -> None:
        """`agreed` is the isolation of the tenant's own terms; None: they name none."""
        whose = f"those dedicated to {agreed} only" if agreed else "no machines that others' terms keep for them"
        super().__init__(
            f"the jobs of tenant {tenant} may have {whose}, and this one asks for those of {asked}: "
            "leave the isolation out, or have the tenant's terms changed"
        )
        self.tenant, self.asked, self.agreed = tenant, asked, agreed


#: What names regions and an isolation.
Limited = TypeVar("Limited", "Requirements", "RequirementClass")


def within_terms(requires: Limited, tenants: Tenants, *, tenant: str) -> Limited:
    """The requirements with the tenant's limits in them, and those that others' terms set it: what is isolated for one is nobody else's.

    An isolation that no terms name is only a word by which machines are chosen, and whoever has no isolation agreed may ask for it.

    Raises:
        RegionNotAllowed, IsolationNotAllowed: the job asks for what its tenant may not have.
    """
    changed, terms = requires, tenants.terms(tenant)
    if terms.regions:
        allowed = [region for region in requires.regions if region in terms.regions] or list(terms.regions)
        if requires.regions and not set(requires.regions) & set(terms.regions):
            raise RegionNotAllowed(tenant, asked=requires.regions, allowed=terms.regions)
        changed = msgspec.structs.replace(changed, regions=tuple(allowed))
    if terms.isolation is not None:
        changed = msgspec.structs.replace(changed, isolation=terms.isolation)
    if requires.isolation not in {None, terms.isolation} and (
        terms.isolation is not None or tenants.isolates(requires.isolation)
    ):
        raise IsolationNotAllowed(tenant, asked=str(requires.isolation), agreed=terms.isolation)
    return changed


def forbids(wanted: RequirementClass, tenants: Tenants, *, tenant: str) -> bool:
    """Whether a tenant's jobs may not wait in lanes of this class: some machine that serves it is none for them, or they were promised another pool."""
    terms = tenants.terms(tenant)
    if terms.enterprise and wanted.pool != ENTERPRISE:
        return True
    if terms.regions and not (wanted.regions and set(wanted.regions) <= set(terms.regions)):
        return True
    if terms.isolation is not None:
        return wanted.isolation != terms.isolation
    return tenants.isolates(wanted.isolation)
