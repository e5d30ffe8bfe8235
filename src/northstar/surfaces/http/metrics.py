"""`/metrics` for Prometheus: the cell in numbers, and what this process answered. Every label has a bounded set of values."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from litestar import Request, Response, get
from litestar.enums import ScopeType
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from northstar import __version__
from northstar.domain.api_keys import Scope
from northstar.surfaces.http.v1.access import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from litestar.handlers import HTTPRouteHandler
    from litestar.types import ASGIApp, Message, Receive, Send
    from litestar.types import Scope as Connection
    from prometheus_client.metrics_core import Metric

    from northstar.broker.measures import CellMeasures, Measures

METRICS_PATH: Final = "/metrics"
_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: From what is answered out of memory to what holds a call on purpose, seconds.
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpMeasures:
    """What one application answered, by route template, never by path: strangers make up paths."""

    def __init__(self, *, machines: Callable[[], int]) -> None:
        """`machines` is how many are connected here."""
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter(
            "northstar_http_requests", "Calls answered by this process.", labels, registry=self.registry
        )
        self._seconds = Histogram(
            "northstar_http_request_seconds",
            "From the first byte of a call to the last of its answer.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        connected = Gauge(
            "northstar_connected_machines", "Machines that are connected to this process.", registry=self.registry
        )
        connected.set_function(machines)
        Gauge("northstar_build_info", "The version.", ("version",), registry=self.registry).labels(__version__).set(1)
        ProcessCollector(registry=self.registry)

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Counts every call by HTTP."""

        async def measured(scope: Connection, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            began_s, status = time.perf_counter(), 500

            async def sending(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, sending)
            finally:
                self._count(scope, status, time.perf_counter() - began_s)

        return measured

    def _count(self, scope: Connection, status: int, seconds: float) -> None:
        method = str(scope.get("method", ""))
        method = method if method in _METHODS else "other"
        route = scope.get("path_template") or "unmatched"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class _OfTheCell:
    """A collector of one taking."""

    def __init__(self, taken: CellMeasures) -> None:
        self._taken = taken

    def collect(self) -> Iterator[Metric]:
        taken = self._taken
        yield _gauges("northstar_jobs", "Jobs by where they are.", "place", taken.jobs)
        ever = CounterMetricFamily(
            "northstar_jobs_ever", "Jobs ever, by what became of them; all brokers tell the same.", labels=["outcome"]
        )
        for outcome, count in taken.ever.items():
            ever.add_metric([outcome], count)
        yield ever
        yield _gauges("northstar_machines", "Machines of the cell by their status.", "status", {**taken.machines})
        for field, text in (
            ("waiting", "Jobs that wait in the pool."),
            ("running", "Jobs of the pool under a lease."),
            ("machines", "Machines that serve the pool; one that serves several counts in each."),
            ("slots", "Slots of machines that take work."),
            ("busy_slots", "Slots with a job."),
        ):
            values = {name: getattr(pool, field) for name, pool in taken.pools.items()}
            yield _gauges(f"northstar_pool_{field}", text, "pool", values)
        for name, text, value in (
            ("history_events_behind", "Events that the history has not recorded yet.", taken.history_behind),
            ("history_stuck", "1: the history records nothing any more.", int(taken.history_stuck)),
            ("pauses", "Pauses in force.", taken.pauses),
            (
                "budgets_spent",
                "Tenants (and the fleet as one) whose budget is spent: nothing of theirs begins.",
                taken.budgets_spent,
            ),
            ("budgets_nearly_spent", "Those whose budget is nearly spent.", taken.budgets_nearly_spent),
        ):
            yield GaugeMetricFamily(f"northstar_{name}", text, value=value)
        for name, text, usd in (
            (
                "fleet_budget_usd",
                "What the fleet may cost in the period, where that is limited.",
                taken.fleet_budget_usd,
            ),
            (
                "fleet_spent_usd",
                "What the fleet has cost since the period began, where any budget is set.",
                taken.fleet_spent_usd,
            ),
        ):
            yield _gauges(f"northstar_{name}", text, "period", usd)


def metrics_route(measures: Measures, http: HttpMeasures) -> HTTPRouteHandler:
    """Numbers of the whole cell, so a key of one tenant does not see them."""

    @get(METRICS_PATH, opt={"scope": Scope.READ, "codes": ("NS_KEY_OF_ONE_TENANT",), "media_type": "text/plain"})
    async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        """The cell and this process in numbers, in the text format of Prometheus."""
        caller_of(request).expect_all_tenants()
        registry = CollectorRegistry()
        registry.register(_OfTheCell(await measures.take()))
        text = generate_latest(http.registry) + generate_latest(registry)
        return Response(text, media_type=_CONTENT_TYPE)

    return metrics


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
