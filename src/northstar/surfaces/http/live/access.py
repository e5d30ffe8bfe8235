"""Who may look: a person shows a key once, and the browser keeps it in a cookie that no script and no other site can use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote

from litestar import Request, Response
from litestar.datastructures import Cookie

from northstar.domain.api_keys import (
    Caller,
    KeyExpired,
    KeyMissing,
    KeyOfOneTenant,
    KeyUnknown,
    KeyUnreadable,
    Scope,
    ScopeMissing,
)
from northstar.domain.errors import NorthstarError, Refused
from northstar.surfaces.http.v1.access import admitted

if TYPE_CHECKING:
    from litestar.connection import ASGIConnection

    from northstar.broker.keys import Keys
    from northstar.surfaces.http.callers import Door
    from northstar.surfaces.http.v1.access import Guard

LOGIN_PATH: Final = "/live/login"
_COOKIE: Final = "northstar_key"
#: A working day.
_KEPT_S: Final = 12 * 3_600
_CALLER: Final = "northstar_watcher"
#: Refusals that another key may cure.
CURED_BY_A_KEY: Final = (KeyMissing, KeyUnknown, KeyUnreadable, KeyExpired, KeyOfOneTenant, ScopeMissing)


def watcher_guard(keys: Keys, door: Door) -> Guard:
    """Lets in whose cookie has a key with the scope `read`. Raises as `Keys.authenticate`, and KeyMissing."""

    async def let_in(connection: ASGIConnection[Any, Any, Any, Any], _: Any) -> None:
        text = connection.cookies.get(_COOKIE, "")
        if not text:
            raise KeyMissing
        connection.state[_CALLER] = await watcher(text, keys, door, connection)

    return let_in


async def watcher(text: str, keys: Keys, door: Door, connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Who shows this key, if it may look. Raises as `admitted`, and ScopeMissing."""
    caller = await admitted(text, keys, door, connection)
    caller.expect(Scope.READ)
    return caller


def watcher_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Who was let in."""
    found: Caller = connection.state[_CALLER]
    return found


class AskedFromElsewhere(Refused):
    """A page of another site sent a form here."""

    code: ClassVar[str] = "NS_ASKED_FROM_ELSEWHERE"

    def __init__(self) -> None:
        super().__init__("this form was sent by a page of another site; open /live here, and log in or out there")


def expect_own_page(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Nobody is logged in or out by a page of another site. Raises AskedFromElsewhere.

    Browsers say where a form comes from; a program that says nothing has no cookies to be misused.
    """
    if connection.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise AskedFromElsewhere


def cookie(text: str, *, secure: bool) -> Cookie:
    """What keeps a key; with an empty text, what forgets it."""
    return Cookie(
        key=_COOKIE,
        value=text,
        max_age=_KEPT_S if text else 0,
        path="/live",
        httponly=True,
        samesite="strict",
        secure=secure,
    )


def to_login(request: Request[Any, Any, Any], error: NorthstarError) -> Response[None]:
    """Whoever is not let in is asked for a key, and comes back to where they were."""
    why = "" if isinstance(error, KeyMissing) else f"&why={quote(error.code)}"
    asked = quote(request.url.path, safe="/")
    return Response(None, status_code=303, headers={"Location": f"{LOGIN_PATH}?to={asked}{why}"})
