"""A job goes on in the trace of the program that submitted it: of what is current there, or of what it passes."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest
import pytest_asyncio

from northstar.client import AsyncClient, Client, JobRequest
from northstar.domain.api_keys import Scope
from northstar.domain.traces import trace_in
from tests.client.test_async_client import key_of
from tests.surfaces.http.site import SERVICE, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "0af7651916cd43dd8448eb211c80319c"
NOTHING = SimpleNamespace(trace_id=0, span_id=0, trace_flags=0)


@pytest_asyncio.fixture(loop_scope="session")
async def key(site: Site) -> str:
    return await key_of(site, Scope.SUBMIT, Scope.READ)


@pytest.fixture
def begin_span(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Begins a span of a trace, as far as OpenTelemetry's API shows it: the span of a context, and numbers in it."""
    current = contextvars.ContextVar("current", default=NOTHING)
    module = ModuleType("opentelemetry.trace")
    module.get_current_span = lambda: SimpleNamespace(get_span_context=current.get)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", module)

    def begin(trace: str) -> None:
        current.set(SimpleNamespace(trace_id=int(trace, 16), span_id=0xF067AA0BA902B7, trace_flags=1))

    return begin


async def trace_of_job(site: Site, job_id: str) -> str:
    """As the job says it to whoever runs it."""
    (job,) = (await site.cell.inspect([job_id], bodies=True)).jobs
    return trace_in(job.body)


async def test_a_job_goes_on_in_the_trace_that_is_current(
    site: Site, key: str, begin_span: Callable[[str], None]
) -> None:
    async with AsyncClient(site.url, key=key) as north:
        alone = await north.submit(SERVICE)
        begin_span(TRACE)
        jobs = [await north.submit(SERVICE), *await north.submit_many([JobRequest(service=SERVICE)] * 2)]
    assert {await trace_of_job(site, job.id) for job in jobs} == {TRACE}
    assert await trace_of_job(site, alone.id) not in {TRACE, "0" * 32, ""}, "outside of all spans it has one of its own"


async def test_a_program_without_asyncio_has_its_jobs_in_its_trace_too(
    site: Site, key: str, begin_span: Callable[[str], None]
) -> None:
    begin_span(TRACE)

    def program() -> list[str]:
        with Client(site.url, key=key) as north:
            jobs = [north.submit(SERVICE), *north.submit_many([JobRequest(service=SERVICE)])]
            jobs += [north.submit(SERVICE, traceparent=f"00-{OTHER}-00f067aa0ba902b7-01")]
            return [job.id for job in jobs]

    first, second, third = await asyncio.to_thread(program)
    assert [await trace_of_job(site, job) for job in (first, second, third)] == [TRACE, TRACE, OTHER]


async def test_what_is_passed_goes_before_what_is_current(
    site: Site, key: str, begin_span: Callable[[str], None]
) -> None:
    begin_span(TRACE)
    passed = f"00-{OTHER}-00f067aa0ba902b7-00"
    async with AsyncClient(site.url, key=key) as north:
        one = await north.submit(SERVICE, traceparent=passed)
        (two,) = await north.submit_many([JobRequest(service=SERVICE)], traceparent=passed)
        none = await north.submit(SERVICE, traceparent="")
    assert {await trace_of_job(site, job.id) for job in (one, two)} == {OTHER}
    assert await trace_of_job(site, none.id) not in {TRACE, OTHER, ""}


async def test_a_broken_header_of_somebody_further_up_is_no_reason_to_refuse_work(site: Site, key: str) -> None:
    async with AsyncClient(site.url, key=key) as north:
        for broken in (
            "nonsense",
            "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
            f"00-{TRACE}-00f067aa0ba902b7-01\r\nX: y",
        ):
            job = await north.submit(SERVICE, traceparent=broken)
            assert await trace_of_job(site, job.id) not in {TRACE, ""}


async def test_the_real_opentelemetry_is_understood(site: Site, key: str) -> None:
    trace = pytest.importorskip("opentelemetry.trace")
    span = trace.NonRecordingSpan(
        trace.SpanContext(int(TRACE, 16), 0xF067AA0BA902B7, is_remote=True, trace_flags=trace.TraceFlags(1))
    )
    async with AsyncClient(site.url, key=key) as north:
        with trace.use_span(span):
            job = await north.submit(SERVICE)
    assert await trace_of_job(site, job.id) == TRACE
