"""The pages: the fleet with its queue, a job's story, and the door."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import parse_qsl

import jinja2
from litestar import Request, Response, Router, get, post
from litestar.datastructures import Headers
from litestar.params import FromPath, QueryParameter, RawBody
from litestar.static_files import create_static_files_router

from northstar.domain.api_keys import KeyExpired, KeyOfOneTenant, KeyUnknown, ScopeMissing
from northstar.domain.errors import NorthstarError
from northstar.domain.explanation_text import explain
from northstar.domain.job_story import steps_of
from northstar.surfaces.http.live.access import (
    CURED_BY_A_KEY,
    LOGIN_PATH,
    cookie,
    expect_own_page,
    to_login,
    watcher,
    watcher_guard,
    watcher_of,
)
from northstar.surfaces.http.live.changes import (
    LANE_COLUMNS,
    MACHINE_COLUMNS,
    POOL_COLUMNS,
    Told,
    lane_row,
    machine_row,
    points,
    pool_row,
)
from northstar.surfaces.http.problems import problem_of, status_of
from northstar.surfaces.http.v1.sending import Piecewise
from northstar.surfaces.http.v1.sse import HEADERS as SSE_HEADERS

if TYPE_CHECKING:
    from northstar.broker.api import Api
    from northstar.domain.live_fleet import LiveFleet
    from northstar.surfaces.http.callers import Door

LIVE_PATH: Final = "/live"
_HERE: Final = Path(__file__).parent
#: A key is looked at again so often while somebody watches, seconds.
_RECHECK_S: Final = 1.0
_MAX_FORM_BYTES: Final = 4_096
#: Nothing from elsewhere, and nothing of this inside other pages.
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_templates: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined
)


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


_templates.globals["moment"] = _moment


def dashboard_routers(api: Api, door: Door) -> list[Router]:
    """The live page, behind the key of whoever looks, with its open door and its files."""
    closed = Router(
        path=LIVE_PATH,
        route_handlers=[_fleet_page(api), _stream(api, door), _job_page(api)],
        guards=[watcher_guard(api.keys, door)],
        exception_handlers={NorthstarError: _wrong, **dict.fromkeys(CURED_BY_A_KEY, to_login)},
    )
    home = Router(path="/", route_handlers=[_home])
    opened = Router(
        path=LIVE_PATH,
        route_handlers=[_login_page, _log_in(api, door), _log_out],
        exception_handlers={NorthstarError: _wrong},
    )
    files = create_static_files_router(
        path=f"{LIVE_PATH}/files", directories=[_HERE / "static"], opt={"open": True}, include_in_schema=False
    )
    return [closed, home, opened, files]


def _fleet_page(api: Api) -> Any:
    @get("/", include_in_schema=False)
    async def fleet_page(request: Request[Any, Any, Any]) -> Response[str]:
        """The fleet and its queue, for a key of all tenants."""
        watcher_of(request).expect_all_tenants()
        seen = await api.fleet.look()
        return _page("fleet.html", **_tables(seen), seen=seen, points=points(api.fleet.points))

    return fleet_page


def _tables(seen: LiveFleet) -> dict[str, Any]:
    return {
        "machines": [machine_row(machine) for machine in seen.machines],
        "pools": [pool_row(pool) for pool in seen.pools],
        "lanes": [lane_row(lane, now_ms=seen.totals.at_ms) for lane in seen.lanes],
        "machine_columns": MACHINE_COLUMNS,
        "pool_columns": POOL_COLUMNS,
        "lane_columns": LANE_COLUMNS,
    }


def _stream(api: Api, door: Door) -> Any:
    told = Told()

    @get("/stream", include_in_schema=False)
    async def stream(request: Request[Any, Any, Any]) -> Response[Any]:
        """What changes, once a second, for as long as the key counts. Takes one of the places of streams. Raises TooManyStreams."""
        caller = watcher_of(request)
        caller.expect_all_tenants()
        text = request.cookies["northstar_key"]

        async def still_counts() -> bool:
            try:
                return (await watcher(text, api.keys, door, request)).tenant is None
            except NorthstarError:
                return False

        async def placed() -> AsyncIterator[bytes]:
            with api.live.places.taken(caller.key_id):
                async for event in _changes(api, told, still_counts):
                    yield event

        api.live.places.expect(caller.key_id)
        return Piecewise(placed(), headers=_HEADERS | SSE_HEADERS)

    return stream


async def _changes(api: Api, told: Told, still_counts: Callable[[], Any]) -> AsyncIterator[bytes]:
    before: LiveFleet | None = None
    checked_s = time.monotonic()
    async with contextlib.aclosing(api.fleet.watch()) as watching:  # type: ignore[type-var]
        async for seen in watching:
            if time.monotonic() - checked_s >= _RECHECK_S:
                checked_s = time.monotonic()
                if not await still_counts():
                    yield b"event: over\ndata: {}\n\n"
                    return
            if seen is None:
                yield b"event: trouble\ndata: {}\n\n"
            elif seen is not before:
                yield told.of(before, seen)
                before = seen


def _job_page(api: Api) -> Any:
    @get("/jobs/{job:str}", include_in_schema=False)
    async def job_page(request: Request[Any, Any, Any], job: FromPath[str]) -> Response[str]:
        """What happened to a job, and why it is where it is; of its own tenant's for a key of one."""
        caller = watcher_of(request)
        found = await api.jobs.get(caller, job)
        life = await api.live.jobs.life(caller, job)
        steps = steps_of(life.events, max_attempts=life.max_attempts)
        lines = explain(await api.explainer().job_for(caller, job))
        return _page(
            "job.html", job=found, steps=steps, is_whole=life.is_whole, lines=lines, all_tenants=caller.tenant is None
        )

    return job_page


@get("/", include_in_schema=False, opt={"open": True})
async def _home() -> Response[str]:
    """Whoever types the address alone is a person."""
    return Response("", status_code=303, media_type="text/plain", headers=_HEADERS | {"Location": LIVE_PATH})


@get("/login", include_in_schema=False, opt={"open": True})
async def _login_page(
    to: Annotated[str, QueryParameter(max_length=512)] = LIVE_PATH,
    why: Annotated[str, QueryParameter(max_length=64)] = "",
) -> Response[str]:
    return _page("login.html", to=_inside(to), why=why, told=_TOLD.get(why, ""))


#: What people are told who come to the door with a key that does not open it.
_TOLD: Final = {
    KeyOfOneTenant.code: "the fleet is for keys of all tenants; a key of one sees its own jobs, at /live/jobs/ID",
    KeyUnknown.code: "it was revoked or replaced, or never was one",
    KeyExpired.code: "its time is over",
    ScopeMissing.code: "it does not have the scope `read`",
}


def _log_in(api: Api, door: Door) -> Any:
    @post("/login", include_in_schema=False, opt={"open": True}, request_max_body_size=_MAX_FORM_BYTES)
    async def log_in(request: Request[Any, Any, Any], body: RawBody) -> Response[str]:
        """The key is shown in the body of a form, never in an address, and kept in the cookie."""
        expect_own_page(request)
        form = dict(_form(body))
        text, to = form.get("key", "").strip(), _inside(form.get("to", LIVE_PATH))
        try:
            await watcher(text, api.keys, door, request)
        except CURED_BY_A_KEY as exc:
            return _page("login.html", to=to, why=exc.code, told=str(exc), status_code=403)
        secure = request.url.scheme == "https" or _is_behind_tls(request.headers)
        return Response(
            "",
            status_code=303,
            media_type="text/plain",
            headers=_HEADERS | {"Location": to},
            cookies=[cookie(text, secure=secure)],
        )

    return log_in


@post("/logout", include_in_schema=False, opt={"open": True}, request_max_body_size=_MAX_FORM_BYTES)
async def _log_out(request: Request[Any, Any, Any]) -> Response[str]:
    expect_own_page(request)
    return Response(
        "", status_code=303, headers=_HEADERS | {"Location": LOGIN_PATH}, cookies=[cookie("", secure=False)]
    )


def _is_behind_tls(headers: Headers) -> bool:
    """Whether a proxy says so. A lie here only makes a cookie stricter than it needs to be."""
    return headers.get("x-forwarded-proto", "").strip().lower() == "https"


def _form(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("ascii", errors="replace"), max_num_fields=8)


def _inside(to: str) -> str:
    """Where to go after the door: a page of this, whatever the address says."""
    return to if re.fullmatch(rf"{LIVE_PATH}(/jobs/[A-Za-z0-9][A-Za-z0-9_-]{{0,63}})?", to) else LIVE_PATH


def _wrong(_: Request[Any, Any, Any], error: NorthstarError) -> Response[str]:
    """What no key cures, for people."""
    page = _page("wrong.html", code=error.code, told=str(error), status_code=status_of(error))
    for name, value in problem_of(error).headers.items():
        if name.lower() == "retry-after":
            page.headers["Retry-After"] = value
    return page


def _page(name: str, *, status_code: int = 200, **facts: Any) -> Response[str]:
    text = _templates.get_template(name).render(**facts)
    return Response(text, status_code=status_code, media_type="text/html", headers=_HEADERS)
