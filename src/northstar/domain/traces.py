"""Traces: one id under which everything is found that follows from one request, in our logs and in those of whoever sent it.

As W3C Trace Context has it (https://www.w3.org/TR/trace-context/): a request may bring the header `traceparent`, of a version, the id of its
trace (32 hexadecimal digits), that of the step before (16), and flags. What is no such header is passed over, as that document asks.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

#: Longer ones are not read; a later version may add to the 55 letters of the present one.
_MOST_LETTERS: Final = 256
_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_FORBIDDEN_VERSION: Final = "ff"


def trace_of(traceparent: str) -> str:
    """The id of the trace that a `traceparent` names; empty: it names none.

    >>> trace_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    >>> trace_of("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), trace_of("nonsense")
    ('', '')
    """
    found = _TRACEPARENT.fullmatch(traceparent.strip()) if len(traceparent) <= _MOST_LETTERS else None
    if found is None or found[1] == _FORBIDDEN_VERSION or (found[1] == "00" and found[4]):
        return ""
    return found[2] if int(found[2], 16) and int(found[3], 16) else ""


class _Traced(msgspec.Struct, frozen=True):
    """What is read of a job's body here."""

    trace: str = ""


_traced: Final = msgspec.json.Decoder(_Traced)


def trace_in(body: str) -> str:
    """The trace of a job, by its body; empty where it has none, or a later version wrote it in another way.

    >>> trace_in('{"service":"text","payload":{"trace":"no"},"trace":"4bf92f3577b34da6a3ce929d0e0e4736"}')
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    try:
        return _traced.decode(body).trace
    except msgspec.MsgspecError:
        return ""
