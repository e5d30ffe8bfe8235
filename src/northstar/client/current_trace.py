"""The trace in which a program submits a job, so that the job goes on in it: as W3C Trace Context writes it.

OpenTelemetry is asked where the program uses it, and is nothing that this package needs: a program that has not imported it has no trace of its
that could be current. https://opentelemetry.io/docs/specs/otel/context/api-propagators/, https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import sys
from typing import Final

from northstar.domain.traces import trace_of

HEADER: Final = "traceparent"
_OPENTELEMETRY: Final = "opentelemetry.trace"


def trace_headers(traceparent: str | None) -> dict[str, str]:
    """What a submission says of its trace: what was passed, else the current span of OpenTelemetry.

    What names no trace is passed over, as W3C asks: a broken header of somebody further up is no reason to refuse work.

    >>> trace_headers("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    {'traceparent': '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'}
    >>> trace_headers("nonsense"), trace_headers("")
    ({}, {})
    """
    text = (_current() if traceparent is None else traceparent).strip()
    return {HEADER: text} if trace_of(text) else {}


def _current() -> str:
    """Of this task or thread; empty: nothing is traced."""
    opentelemetry = sys.modules.get(_OPENTELEMETRY)
    if opentelemetry is None:
        return ""
    span = opentelemetry.get_current_span().get_span_context()
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
