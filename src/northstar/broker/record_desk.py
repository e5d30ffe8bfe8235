"""What clients ask of the records by HTTP: attempts, costs, dead letters, and who did what.

A key of one tenant is told of that tenant's work alone. What its runs cost is its share of the machines' time; idle time is the operator's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from northstar.broker.budgets import BudgetsSeen
from northstar.broker.cost_reports import report_of
from northstar.store.history.attempts import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.broker.audit import Audit
    from northstar.broker.dead_letters import DeadLetterPage, DeadLetters, Filter
    from northstar.broker.sealed_cursors import SealedCursors
    from northstar.domain.api_keys import Caller
    from northstar.domain.audit import AuditPage
    from northstar.domain.costs import CostReport
    from northstar.store.cell import Cell
    from northstar.store.history import AttemptFilter, AttemptReader, CostReader
    from northstar.store.history.cost_reader import CostsBy

_DEAD: Final = "dead letters"
_WEEK_MS: Final = 7 * 86_400_000


class AttemptsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts that have ended, the latest first."""

    attempts: tuple[Attempt, ...]
    #: Where the next page begins; empty: this is the last.
    cursor: str


class CostTime(msgspec.Struct, frozen=True, kw_only=True):
    """Of which time costs are told, ms since the epoch; left out: the last 7 days, until now."""

    since_ms: Annotated[int, msgspec.Meta(ge=0)] | None = None
    until_ms: Annotated[int, msgspec.Meta(ge=0)] | None = None


class RecordDesk:
    """The records of one cell as keys see them."""

    def __init__(
        self,
        cell: Cell,
        *,
        attempts: AttemptReader,
        costs: CostReader,
        dead_letters: DeadLetters,
        audit: Audit,
        cursors: SealedCursors,
        budgets: Callable[[], BudgetsSeen] = BudgetsSeen,
    ) -> None:
        """`budgets` are as they were looked at last, a few seconds ago."""
        self._budgets = budgets
        self._cell = cell
        self._attempts = attempts
        self._costs = costs
        self._dead_letters = dead_letters
        self._audit = audit
        self._cursors = cursors
        #: A question reads all runs of its time, so however many ask, one is answered at a time.
        self._adding_up = asyncio.Lock()

    async def attempts(self, caller: Caller, wanted: AttemptFilter, *, limit: int, cursor: str) -> AttemptsPage:
        """A page of attempts, the latest first. Raises TenantForeign, HistoryQueryInvalid: the cursor is none; Unavailable."""
        theirs = msgspec.structs.replace(wanted, tenant=caller.tenant_for(wanted.tenant))
        page = await self._attempts.latest(theirs, after=cursor, count=limit)
        return AttemptsPage(attempts=tuple(page.attempts), cursor=page.after)

    async def costs(self, caller: Caller, time: CostTime, *, by: CostsBy, tenant: str | None, limit: int) -> CostReport:
        """What machine time cost, the dearest names first. Raises TenantForeign, HistoryQueryInvalid: it ends before it begins; Unavailable."""
        whose = caller.tenant_for(tenant)
        now_ms = (await self._cell.inspect(())).now_ms
        until_ms = now_ms if time.until_ms is None else min(time.until_ms, now_ms)
        since_ms = max(0, until_ms - _WEEK_MS) if time.since_ms is None else time.since_ms
        async with self._adding_up:
            told = await self._costs.costs(since_ms=since_ms, until_ms=until_ms, by=by, count=limit, tenant=whose)
        seen = self._budgets()
        return report_of(
            told,
            by=by,
            of_one_tenant=whose is not None,
            budgets=seen.budgets if whose is None else seen.of(whose),
        )

    async def dead_letters(self, caller: Caller, wanted: Filter, *, limit: int, cursor: str) -> DeadLetterPage:
        """A page of jobs that failed for good, the last first. Raises TenantForeign, CursorInvalid, Unavailable."""
        whose = caller.tenant_for(wanted.tenant or None)
        theirs = msgspec.structs.replace(wanted, tenant=whose or "")
        opened = await self._cursors.opened(cursor, of=_DEAD)
        page = await self._dead_letters.page(theirs, limit=limit, cursor=opened)
        return msgspec.structs.replace(page, cursor=await self._cursors.sealed(page.cursor, of=_DEAD))

    async def audit(self, *, limit: int, cursor: str) -> AuditPage:
        """A page of what people did, the latest first. Raises CursorInvalid, Unavailable."""
        return await self._audit.page(limit=limit, cursor=cursor)
