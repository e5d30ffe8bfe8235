"""Why: a job's decision and place, a machine's idleness, a model's whereabouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Request, get
from litestar.params import FromPath

from northstar.domain.api_keys import Scope
from northstar.domain.explained import ExplainedJob, ExplainedMachine, ExplainedModel
from northstar.surfaces.http.v1.access import caller_of
from northstar.surfaces.http.v1.jobs import JOBS

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from northstar.broker.explain_desk import ExplainDesk

_Asked = Request[Any, Any, Any]
_OF_JOBS: Final = ("NS_JOB_UNREADABLE",)


def explain_routes(desk: ExplainDesk) -> list[HTTPRouteHandler]:
    """Explanations: the same facts and lines as `northstar explain --json`."""

    @get(f"{JOBS}/{{job:str}}/decision", opt={"scope": Scope.READ, "codes": _OF_JOBS})
    async def job_decision(request: _Asked, job: FromPath[str]) -> ExplainedJob:
        """Why a job is where it is: estimate, row of the matrix, rejected pools and machines, patience, steps, and what would help.

        For whoever reaches the job. NS_NO_SUCH_JOB: it is none, or one of another tenant.
        """
        return await desk.job(caller_of(request), job)

    @get("/v1/explain/job/{name:str}", opt={"scope": Scope.READ, "codes": _OF_JOBS})
    async def explain_job(request: _Asked, name: FromPath[str]) -> ExplainedJob:
        """The same as the decision of the job, by the words of `northstar explain`.

        For whoever reaches the job. NS_NO_SUCH_JOB: it is none, or one of another tenant.
        """
        return await desk.job(caller_of(request), name)

    @get("/v1/explain/machine/{name:str}", opt={"scope": Scope.READ})
    async def explain_machine(request: _Asked, name: FromPath[str]) -> ExplainedMachine:
        """What a machine does, or why it does nothing, or is not here: what waits that it may not take, and why.

        For keys of all tenants, since it counts everybody's jobs: else NS_KEY_OF_ONE_TENANT. NS_NO_SUCH_MACHINE: none of the name ever came.
        """
        return await desk.machine(caller_of(request), name)

    @get("/v1/explain/model/{name:path}", opt={"scope": Scope.READ})
    async def explain_model(request: _Asked, name: FromPath[str]) -> ExplainedModel:
        """Where a model is and why not elsewhere: who holds it, fetches it, asks for it, and what would bring it to others.

        For keys of all tenants, since it counts everybody's jobs: else NS_KEY_OF_ONE_TENANT. NS_NOTHING_KNOWN: nobody asks for it or holds it,
        and the catalogue does not know it.
        """
        return await desk.model(caller_of(request), name.removeprefix("/"))

    return [job_decision, explain_job, explain_machine, explain_model]
