"""Models first: what a job needs is brought, and kept from eviction, before its engine is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.agent.models.fetch_news import fetch_news
from northstar.agent.run_meter import model_used

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.agent.engine import JobRunner
    from northstar.agent.kept_models import KeptModels
    from northstar.agent.models.flights import FetchProgress
    from northstar.agent.run_meter import RunMeters
    from northstar.domain.jobs import ClaimedJob, JobBody
    from northstar.domain.models import ModelNeed, ModelOrder
    from northstar.domain.progress import Progress

#: Progress of a fetch is told each time that it grew by so much of the whole, and at the end.
_STEP: Final = 0.01


class ModelRunner:
    """A runner around another one. Of a model without sources it asks nothing: the engine has it, or says that it has not."""

    def __init__(
        self,
        runner: JobRunner,
        store: KeptModels,
        *,
        used: Callable[[str, tuple[ModelNeed, ...]], None] | None = None,
        meters: RunMeters | None = None,
    ) -> None:
        """`used` hears of which service a job was and which models it worked with; `meters` which files.

        From the former somebody can tell what lies in memory.
        """
        self._runner = runner
        self._store = store
        self._used = used
        self._meters = meters

    async def run(self, job: ClaimedJob, report: Callable[[Progress], None]) -> str:
        """Fetch, run, let go. Raises what the fetch or the runner raises."""
        body = job.read_body()
        needs = body.requires.models
        result = await (self._run(job, body, report) if needs else self._without_models(job, report))
        if self._used is not None:
            self._used(body.service, needs)
        return result

    async def _without_models(self, job: ClaimedJob, report: Callable[[Progress], None]) -> str:
        """It runs all the same: what is fetched meanwhile, by order or for another job, must leave it its share of the line."""
        with self._store.use(()):
            return await self._runner.run(job, report)

    async def _run(self, job: ClaimedJob, body: JobBody, report: Callable[[Progress], None]) -> str:
        needs = body.requires.models
        wanted = (need.order(from_job=need.name not in body.declared) for need in needs)
        orders = [order for order in wanted if order is not None]
        names = [need.name for need in needs]
        # What one of them is fetched for drives none of the others out, nor what the engine has by itself and the job only names.
        with self._store.reserving(names):
            return await self._with_models(job, orders, names, report)

    async def _with_models(
        self, job: ClaimedJob, orders: Sequence[ModelOrder], names: Sequence[str], report: Callable[[Progress], None]
    ) -> str:
        async with self._store.using(orders, on_progress=_Fetching(report).heard) as files:
            if self._meters is not None:
                self._meters.used(
                    job.token,
                    (model_used(one.key.name, size_bytes=one.facts.size_bytes, sha256=one.sha256) for one in files),
                )
            with self._store.use(names):
                return await self._runner.run(job, report)


class _Fetching:
    """Tells of fetches, now and then."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self._report = report
        self._told: dict[str, int] = {}

    def heard(self, fetch: FetchProgress) -> None:
        """A fetch has come further."""
        step = int((fetch.total_bytes or 0) * _STEP)
        last = self._told.get(fetch.name)
        if last is not None and fetch.received_bytes < last + step and fetch.received_bytes != fetch.total_bytes:
            return
        self._told[fetch.name] = fetch.received_bytes
        self._report(fetch_news(fetch))
