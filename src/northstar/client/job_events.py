"""Events of a job as they come: read on where the stream broke off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec

from northstar.client.errors import AnswerUnreadable, ServerUnavailable
from northstar.client.patience import Patience
from northstar.client.transport import Transport
from northstar.domain.event_stream import EventStream, EventTooLong


class JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. `id` is empty of progress and text, which may be lost and cannot be returned to."""

    kind: str
    data: dict[str, Any]
    id: str = ""


async def read_events(
    transport: Transport, path: str, *, after: str, silence_s: float, patience: Patience | None = None
) -> AsyncIterator[JobEvent]:
    """Events until the server ends the stream by itself; a connection that breaks is opened again where it was.

    Raises:
        NotFound and other problems. ServerUnavailable: it stays away for longer than the patience. AnswerUnreadable.
    """
    rule = patience or Patience()
    clock = asyncio.get_running_loop()
    failures, lost_s = 0, clock.time()
    while True:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        try:
            stream = EventStream()
            async with aclosing(transport.stream(path, headers=headers, silence_s=silence_s)) as chunks:
                async for chunk in chunks:
                    for event in stream.feed(chunk):
                        failures, lost_s = 0, clock.time()
                        after = event.id or after
                        yield JobEvent(kind=event.name or "message", data=_data(event.data, path), id=event.id)
                return
        except EventTooLong as exc:
            raise AnswerUnreadable(path, reason=str(exc)) from exc
        except ServerUnavailable:
            failures += 1
            pause_s = rule.pause_s(
                failures,
                passed_s=clock.time() - lost_s,
                jitter=random.random(),
                asked_s=None,
            )
            if pause_s is None:
                raise
            await asyncio.sleep(pause_s)


def _data(text: str, path: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as exc:
        raise AnswerUnreadable(path, reason=f"an event that is no JSON object: {exc}") from exc
