"""Records: attempts, costs, dead letters, and who did what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, get
from litestar.params import QueryParameter

from northstar.broker.dead_letters import DeadLetterPage, Filter
from northstar.broker.record_desk import AttemptsPage, CostTime
from northstar.domain.api_keys import Scope
from northstar.domain.audit import AuditPage
from northstar.domain.costs import CostReport
from northstar.store.history import AttemptFilter
from northstar.store.history.cost_reader import CostsBy
from northstar.surfaces.http.v1.access import caller_of
from northstar.surfaces.http.v1.bodies import read_query
from northstar.surfaces.http.v1.paging import Cursor, Limit, Moment, Text

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from northstar.broker.record_desk import RecordDesk

_Asked = Request[Any, Any, Any]
_By = Annotated[CostsBy, QueryParameter()]


def record_routes(desk: RecordDesk) -> list[HTTPRouteHandler]:
    """All of them."""
    return [*_history_routes(desk), *_letter_routes(desk)]


def _history_routes(desk: RecordDesk) -> list[HTTPRouteHandler]:
    @get("/v1/history", opt={"scope": Scope.READ, "history": True})
    async def list_attempts(
        *,
        request: _Asked,
        job: Text = None,
        tenant: Text = None,
        user: Text = None,
        pool: Text = None,
        machine: Text = None,
        model: Text = None,
        outcome: Text = None,
        since_ms: Moment = None,
        until_ms: Moment = None,
        limit: Limit = 50,
        cursor: Cursor = "",
    ) -> AttemptsPage:
        """Attempts that have ended, the latest first: every run of a job on a machine, with what it took and how it ended.

        For everybody: a key of one tenant is told of that tenant's. NS_TENANT_FOREIGN: it names another. NS_HISTORY_QUERY_INVALID: the cursor is none.
        503 with the code of what is wrong while the history cannot be read.
        """
        wanted = read_query(
            {
                "job": job,
                "tenant": tenant,
                "user": user,
                "pool": pool,
                "machine": machine,
                "model": model,
                "outcome": outcome,
                "since_ms": since_ms,
                "until_ms": until_ms,
            },
            AttemptFilter,
        )
        return await desk.attempts(caller_of(request), wanted, limit=limit, cursor=cursor)

    @get("/v1/costs", opt={"scope": Scope.READ, "history": True})
    async def get_costs(
        *,
        request: _Asked,
        by: _By = "tenant",
        tenant: Text = None,
        since_ms: Moment = None,
        until_ms: Moment = None,
        limit: Limit = 50,
    ) -> CostReport:
        """What machine time cost, by job, tenant, user, pool, model, machine or gpu_class, and apart from it what machines cost that did nothing.

        Without `since_ms`: the last 7 days. For everybody: a key of one tenant is told of that tenant's runs, and nothing of idle time.
        NS_TENANT_FOREIGN: it names another. NS_HISTORY_QUERY_INVALID: the time ends before it begins. 503 while the history cannot be read.
        """
        time = read_query({"since_ms": since_ms, "until_ms": until_ms}, CostTime)
        return await desk.costs(caller_of(request), time, by=by, tenant=tenant, limit=limit)

    return [list_attempts, get_costs]


def _letter_routes(desk: RecordDesk) -> list[HTTPRouteHandler]:
    @get("/v1/dead-letters", opt={"scope": Scope.READ})
    async def list_dead_letters(
        *,
        request: _Asked,
        code: Text = None,
        pool: Text = None,
        service: Text = None,
        tenant: Text = None,
        limit: Limit = 50,
        cursor: Cursor = "",
    ) -> DeadLetterPage:
        """Jobs that failed for good, the last first; they go back to work by `retry`, one by one at the job or many at `/v1/jobs/changes`.

        For everybody: a key of one tenant is told of that tenant's. NS_TENANT_FOREIGN: it names another. NS_CURSOR_INVALID: the cursor is none.
        """
        wanted = read_query({"code": code, "pool": pool, "service": service, "tenant": tenant}, Filter)
        return await desk.dead_letters(caller_of(request), wanted, limit=limit, cursor=cursor)

    @get("/v1/audit", opt={"scope": Scope.ADMIN, "history": True})
    async def list_acts(limit: Limit = 50, cursor: Cursor = "") -> AuditPage:
        """Who did what, the latest first, whether by a key of this interface or from the command line.

        Told are keys, models, pools and terms that were put or dropped, machines that were drained, removed, approved, revoked or ordered about,
        invites and pauses. For `admin`. NS_CURSOR_INVALID: the cursor is none. 503 with the code of what is wrong while the history cannot be read.
        """
        return await desk.audit(limit=limit, cursor=cursor)

    return [list_dead_letters, list_acts]
