"""Events of a job as they come: read on where the stream broke off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import msgspec

from northstar.client.errors import AnswerUnreadable, Problem, ProblemBody, ServerUnavailable, problem_of
from northstar.client.patience import Patience
from northstar.client.transport import Transport
from northstar.domain.errors import NorthstarError
from northstar.domain.event_stream import EventStream, EventTooLong

#: The last event of a stream that ends before its job does.
_CLOSED: Final = "closed"


class JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. `id` is empty of progress and text, which may be lost and cannot be returned to."""

    kind: str
    data: dict[str, Any]
    id: str = ""


async def read_events(
    transport: Transport, path: str, *, after: str, silence_s: float, patience: Patience | None = None
) -> AsyncGenerator[JobEvent, None]:
    """Events until the server ends the stream by itself; a connection that breaks is opened again where it was.

    Raises:
        NotFound and other problems, also where the server ends the stream because of one. ServerUnavailable: it stays away for
        longer than the patience. AnswerUnreadable.
    """
    rule = patience or Patience()
    clock = asyncio.get_running_loop()
    #: Tries in a row that gave nothing, and when the first of them failed: a stream that is merely quiet is none.
    failures, lost_s = 0, 0.0
    while True:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        try:
            stream = EventStream()
            async with aclosing(transport.stream(path, headers=headers, silence_s=silence_s)) as chunks:
                async for chunk in chunks:
                    failures = 0
                    for event in stream.feed(chunk):
                        after = event.id or after
                        told = JobEvent(kind=event.name or "message", data=_data(event.data, path), id=event.id)
                        if told.kind == _CLOSED:
                            raise _why_closed(told, transport.url)
                        yield told
                return
        except EventTooLong as exc:
            raise AnswerUnreadable(path, reason=str(exc)) from exc
        except ServerUnavailable as exc:
            failure: NorthstarError = exc
            asked_s = None
        except Problem as exc:
            # A proxy before a broker that starts anew, for one.
            if not exc.may_be_repeated:
                raise
            failure, asked_s = exc, exc.retry_after_s
        failures += 1
        lost_s = clock.time() if failures == 1 else lost_s
        pause_s = rule.pause_s(failures, passed_s=clock.time() - lost_s, jitter=random.random(), asked_s=asked_s)
        if pause_s is None:
            raise failure
        await asyncio.sleep(pause_s)


def _why_closed(told: JobEvent, url: str) -> NorthstarError:
    """Of a server that stops, or that was read too slowly, another connection may go on."""
    code, message = str(told.data.get("code")), str(told.data.get("message"))
    if told.data.get("retryable"):
        return ServerUnavailable(url, reason=f"{code}: {message}", tries=1)
    status = told.data.get("status")
    body = ProblemBody(title=code, status=status if isinstance(status, int) else 500, detail=message)
    return problem_of(body, retry_after_s=None)


def _data(text: str, path: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as exc:
        raise AnswerUnreadable(path, reason=f"an event that is no JSON object: {exc}") from exc
