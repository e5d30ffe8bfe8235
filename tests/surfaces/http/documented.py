"""No refusal that the document does not tell of: whatever a test asks, the code of a problem stands with the route that gave it."""

from __future__ import annotations

import re

from northstar.surfaces.http.description.answers import codes_of
from northstar.surfaces.http.description.routes import Route
from tests.surfaces.http.route_table import ROUTES


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]*\})", path)
    return re.compile("".join("(.+)" if part.startswith("{") else re.escape(part) for part in parts))


#: What the front says where no route answers.
_BEFORE_ANY_ROUTE = frozenset({"NS_METHOD_NOT_ALLOWED", "NS_NO_SUCH_PATH"})
_KNOWN = [(route.method, _pattern(route.path), route) for route in ROUTES if route.is_described]


def route_of(method: str, path: str) -> Route | None:
    """The described route that answers there: the one with the most fixed text. None: there is none."""
    fit = [route for known, pattern, route in _KNOWN if known == method and pattern.fullmatch(path)]
    return max(fit, key=lambda route: len(re.sub(r"\{[^}]*\}", "", route.path)), default=None)


def expect_documented(method: str, path: str, *, status: int, code: str) -> None:
    """Fail where the route's part of the document does not tell of this refusal."""
    route = route_of(method, path)
    if route is None or code in _BEFORE_ANY_ROUTE:
        return
    codes = codes_of(route)
    assert status in codes, f"{method} {route.path} answers {status} {code}, and its document tells of no {status}"
    assert code in codes[status], (
        f"{method} {route.path} answers {status} with {code}, and its document names {codes[status]}"
    )
