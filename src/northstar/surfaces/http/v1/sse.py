"""Events as `text/event-stream`: what happened with its id, progress without one, a comment as a sign of life, and at the end why.

    job.…     something happened, by the name of its kind; its id is where a client goes on from (`Last-Event-ID`)
    progress  how far a running job is; lossy, and without an id
    text      text that a running job has written since the last of these; lossy, and without an id
    gap       events that nobody can tell any more
    closed    why the stream ends, with a code

A key is looked at again with each sign of life, so that one which was revoked hears nothing more.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.broker.event_streams import Missing, Quiet
from northstar.broker.job_events import News
from northstar.domain.errors import NorthstarError, Unavailable
from northstar.domain.told_events import ToldEvent
from northstar.surfaces.http.problems import status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from northstar.domain.progress import Progress

MEDIA_TYPE: Final = "text/event-stream"
HEADERS: Final = {
    "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep events until it has many
    "X-Content-Type-Options": "nosniff",
}
#: Seconds after which a client that was cut off comes again.
_RETRY_MS: Final = 2_000

Told = ToldEvent | News | Missing | Quiet


async def stream(
    items: AsyncIterator[Told],
    *,
    still_good: Callable[[], Awaitable[None]],
    every_s: float,
    monotonic: Callable[[], float],
) -> AsyncIterator[bytes]:
    """The bytes of a stream. `still_good` raises once the key of its reader counts no more; it is asked once in `every_s`."""
    yield f"retry: {_RETRY_MS}\n\n".encode()
    checked_s = monotonic()
    try:
        async with contextlib.aclosing(items) as following:  # type: ignore[type-var]
            async for item in following:
                if monotonic() - checked_s >= every_s:
                    with contextlib.suppress(Unavailable):  # the cell does not answer; it is asked again
                        await still_good()
                    checked_s = monotonic()
                for event in written(item):
                    yield event
    except NorthstarError as exc:
        told = {"code": exc.code, "status": status_of(exc), "message": str(exc), "retryable": exc.retryable}
        yield _event("closed", told)


def written(item: Told) -> list[bytes]:
    """An item as the bytes of its events."""
    match item:
        case ToldEvent():
            return [_event(item.kind, item, event_id=item.id)]
        case Missing():
            return [_event("gap", item)]
        case News(progress):
            return [_event(name, data) for name, data in news_of(progress)]
        case Quiet(position):
            # An id without data is no event: it only moves on where the client would come again.
            return [(f"id: {position}\n" if position else "").encode() + b": alive\n\n"]


def news_of(progress: Progress) -> list[tuple[str, Any]]:
    """A report in its two parts: how far the work is, and what it has written. A preview is left out."""
    fields = {
        name: value for name, value in msgspec.structs.asdict(progress).items() if name not in {"tokens", "preview"}
    }
    fields = {name: value for name, value in fields.items() if value not in {None, ""}}
    found: list[tuple[str, Any]] = [("progress", fields)] if set(fields) - {"phase"} or not progress.tokens else []
    return [*found, ("text", {"text": progress.tokens})] if progress.tokens else found


def _event(name: str, data: Any, *, event_id: str = "") -> bytes:
    head = f"id: {event_id}\n" if event_id else ""
    # JSON has no line break outside of its texts, and escapes those inside.
    return head.encode() + f"event: {name}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"
