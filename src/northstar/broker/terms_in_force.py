"""What was agreed with the tenants of a cell, as it holds now: what an operator has applied, and nothing beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from northstar.broker.applied_files import AppliedFile, AppliedFiles
from northstar.broker.in_force import InForce
from northstar.config.tenants import read_tenants_text
from northstar.domain.errors import Refused, Unavailable
from northstar.domain.tenancy import NO_TENANTS, Tenants
from northstar.store.documents import DocumentUnreadable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from northstar.domain.tenancy import TenantTerms
    from northstar.store.cell import Cell

_KIND: Final = "tenants"


class TermsUnreadable(Unavailable):
    """What was agreed with the cell's tenants cannot be known, so no job is routed: none shall leave its tenant's limits. Others can be put in their place (`northstar tenants apply FILE`), unless the sentence says otherwise."""

    code: ClassVar[str] = "NS_TERMS_UNREADABLE"
    retryable = False

    def __init__(self, reason: str, *, is_replaceable: bool = True) -> None:
        """`is_replaceable`: whether this version can put others in their place."""
        remedy = (
            ", or put others in force: northstar tenants apply FILE"
            if is_replaceable
            else "; this version cannot put others in their place"
        )
        super().__init__(
            f"the terms of tenants that hold in this cell cannot be used ({reason}), and no job is routed without them: use the "
            f"version of North Star that wrote them{remedy}"
        )
        self.reason = reason


class NoTermsApplied(Refused):
    """No terms of tenants were applied to the cell, so there are none to take back."""

    code: ClassVar[str] = "NS_NO_TERMS_APPLIED"

    def __init__(self) -> None:
        super().__init__(
            "no terms of tenants were applied to this cell, and none hold; to put some in force: northstar tenants apply FILE"
        )


class NoSuchTerms(Refused):
    """The cell has no terms of tenants of this version any more."""

    code: ClassVar[str] = "NS_NO_SUCH_TERMS"

    def __init__(self, version: int, *, kept: tuple[int, ...] = ()) -> None:
        numbers = ", ".join(map(str, kept)) or "none"
        super().__init__(
            f"the cell keeps no terms of tenants of version {version}; versions that it keeps: {numbers} (northstar tenants history)"
        )
        self.version = version


def applied_tenants(cell: Cell) -> AppliedFiles[Tenants]:
    """The files of tenants that were applied to the cell."""
    return AppliedFiles(cell, _KIND, read=_tenants_of)


def _tenants_of(applied: AppliedFile) -> Tenants:
    return read_tenants_text(applied.text, source=applied.source)


class TermsInForce(InForce[Tenants]):
    """The terms that hold for one process. Where none are applied, nothing was agreed with anybody.

    Terms that this process cannot use, because a newer version wrote them, are not passed over, and those before do not go on: they may
    be wider. Until they can be read, nothing is routed.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        look_every_s: float = 5.0,
        changed: Callable[[Tenants], Awaitable[None]] | None = None,
    ) -> None:
        """`changed` is told by `run` of others."""
        super().__init__(
            applied_tenants(cell),
            otherwise=NO_TENANTS,
            if_unusable="nothing is routed",
            look_every_s=look_every_s,
            changed=changed,
        )

    @property
    def latest(self) -> Tenants:
        """As of the last look. Raises TermsUnreadable when they cannot be used, or nobody has looked yet."""
        if self._fault is not None:
            # A document that is not even a record to this version is none to its library either, which then changes nothing about it.
            stuck = isinstance(self._fault, DocumentUnreadable) and not self._fault.is_replaceable
            raise TermsUnreadable(str(self._fault), is_replaceable=not stuck) from self._fault
        if self._seen is None:
            raise TermsUnreadable("they have not been read yet")
        return self._value

    def of(self, tenant: str) -> TenantTerms:
        """What was agreed with a tenant. Raises TermsUnreadable."""
        return self.latest.terms(tenant)
