"""What happens: of one job to its end, and of all that is a key's business; as a page of JSON, or as a stream."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath, HeaderParameter, QueryParameter

from northstar.broker.event_log import BEGINNING, read_event_id
from northstar.domain.api_keys import Scope
from northstar.domain.told_events import EventFilter
from northstar.surfaces.http.v1.access import caller_of
from northstar.surfaces.http.v1.bodies import QueryInvalid
from northstar.surfaces.http.v1.jobs import JOBS
from northstar.surfaces.http.v1.sending import Piecewise
from northstar.surfaces.http.v1.sse import HEADERS, MEDIA_TYPE, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar.handlers import HTTPRouteHandler

    from northstar.broker.live import Live
    from northstar.domain.api_keys import Caller
    from northstar.domain.events import EventId
    from northstar.surfaces.http.v1.sse import Told

EVENTS: Final = "/v1/events"
MAX_PAGE: Final = 1_000
#: For the description of both routes.
_TOLD: Final = {
    "codes": ("NS_EVENT_ID_INVALID", "NS_EVENT_ID_UNKNOWN", "NS_TOO_MANY_STREAMS"),
    "media_type": ("application/json", MEDIA_TYPE),
}

_Asked = Request[Any, Any, Any]
_Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)]
_Text = Annotated[str | None, QueryParameter(max_length=256)]
_LastId = Annotated[str | None, HeaderParameter(name="Last-Event-ID", max_length=64)]
_Accept = Annotated[str | None, HeaderParameter(name="Accept", max_length=4_096)]


def event_routes(live: Live) -> list[HTTPRouteHandler]:
    """Events of one job, and of all."""
    return [_job_events(live), _all_events(live)]


def _job_events(live: Live) -> HTTPRouteHandler:
    @get(f"{JOBS}/{{job:str}}/events", opt={"scope": Scope.READ, "also": (204,), **_TOLD})
    async def job_events(
        *,
        request: _Asked,
        job: FromPath[str],
        accept: _Accept = None,
        last_event_id: _LastId = None,
        cursor: _Text = None,
        limit: _Limit = MAX_PAGE,
    ) -> Response[Any]:
        """What happened to a job, step by step and in words; with `Accept: text/event-stream` as it happens, with progress, to its end.

        A stream begins after `Last-Event-ID`, or `cursor`, and otherwise with the first event. It is answered with 204 where the job is over
        and nothing has happened after that id.
        """
        caller = caller_of(request)
        after = _position(last_event_id or cursor) or BEGINNING
        if not _wants_stream(accept):
            return Response(await live.jobs.story(caller, job, after=after, limit=limit))
        await live.jobs.expect(caller, job)
        if after != BEGINNING:
            await live.events.expect(caller, EventFilter(), after)
        if after != BEGINNING and await live.jobs.is_told(caller, job, after=after):
            return Response(None, status_code=204)
        return _streamed(live, caller, request, live.jobs.follow(caller, job, after=after, every_s=live.every_s))

    return job_events


def _all_events(live: Live) -> HTTPRouteHandler:
    @get(EVENTS, opt={"scope": Scope.READ, **_TOLD})
    async def all_events(
        *,
        request: _Asked,
        accept: _Accept = None,
        last_event_id: _LastId = None,
        cursor: _Text = None,
        kind: _Text = None,
        job: _Text = None,
        tenant: _Text = None,
        begin: _Text = None,
        limit: _Limit = 100,
    ) -> Response[Any]:
        """All events that are the key's business: pages of JSON from the oldest that are kept, or with `Accept: text/event-stream` as they happen.

        `kind` is the beginning of the kinds that are wanted, such as `job.failed`. A stream begins now, or after `Last-Event-ID` or `cursor`.
        A page begins with the oldest event, after its `cursor`, or with `begin=latest` at the present.
        """
        caller = caller_of(request)
        wanted = _filter(kind, job, tenant)
        after = _position(last_event_id or cursor)
        if begin not in {None, "oldest", "latest"}:
            raise QueryInvalid("`begin` is `oldest` or `latest`")
        if not _wants_stream(accept):
            if after is None:
                after = await live.events.latest() if begin == "latest" else BEGINNING
            return Response(await live.events.page(caller, wanted, after=after, limit=limit))
        if begin == "oldest":
            after = after or BEGINNING
        wanted = await live.events.expect(caller, wanted, after)
        return _streamed(live, caller, request, live.events.follow(caller, wanted, after=after, every_s=live.every_s))

    return all_events


def _streamed(live: Live, caller: Caller, request: _Asked, items: AsyncIterator[Told]) -> Response[Any]:
    """Raises TooManyStreams."""
    text = (request.headers.get("authorization") or "").partition(" ")[2].strip()

    async def still_good() -> None:
        (await live.keys.authenticate(text)).expect(Scope.READ)

    async def placed() -> AsyncIterator[bytes]:
        with live.places.taken(caller.key_id):
            async for piece in stream(items, still_good=still_good, every_s=live.every_s, monotonic=time.monotonic):
                yield piece

    live.places.expect(caller.key_id)
    return Piecewise(placed(), headers=HEADERS)


def _wants_stream(accept: str | None) -> bool:
    return MEDIA_TYPE in (accept or "").lower()


def _position(text: str | None) -> EventId | None:
    """Raises EventIdInvalid."""
    return read_event_id(text) if text else None


def _filter(kind: str | None, job: str | None, tenant: str | None) -> EventFilter:
    """Raises QueryInvalid."""
    given: dict[str, Any] = {"kinds": [kind] if kind else [], "jobs": [job] if job else []}
    given |= {"tenant": tenant} if tenant else {}
    try:
        return msgspec.convert(given, EventFilter)
    except msgspec.ValidationError as exc:
        raise QueryInvalid(str(exc)) from exc
