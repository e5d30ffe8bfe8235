"""Errors as `application/problem+json` (RFC 9457) with the stable code of the error."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from northstar.domain.errors import InvalidRequest, NorthstarError, Refused, Unavailable
from northstar.domain.misfits import choices_of
from northstar.domain.plain_words import plain_words
from northstar.telemetry import logger

log = logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
#: When to come back, in seconds, where nobody can tell.
_SOON_S: Final = 1

#: Codes whose meaning has a status of its own.
_STATUS = {
    "NS_TOKEN_MISSING": 401,
    "NS_TOKEN_UNKNOWN": 401,
    "NS_TOKEN_EXPIRED": 401,
    "NS_TOKEN_REVOKED": 403,
    "NS_KEY_MISSING": 401,
    "NS_KEY_UNKNOWN": 401,
    "NS_KEY_EXPIRED": 401,
    "NS_KEY_UNREADABLE": 401,
    "NS_SCOPE_MISSING": 403,
    "NS_TENANT_FOREIGN": 403,
    "NS_ASKED_FROM_ELSEWHERE": 403,
    "NS_KEY_OF_ONE_TENANT": 403,
    "NS_NO_SUCH_JOB": 404,
    "NS_NO_SUCH_MACHINE": 404,
    "NS_NO_SUCH_MODEL": 404,
    "NS_NO_SUCH_KEY": 404,
    "NS_NO_SUCH_FILE": 404,
    "NS_NO_SUCH_INVITE": 404,
    "NS_NO_SUCH_TOKEN": 404,
    "NS_NO_SUCH_POOL": 404,
    "NS_NOTHING_KNOWN": 404,
    "NS_MACHINE_NOT_HERE": 404,
    "NS_NO_SUCH_WEBHOOK": 404,
    "NS_NO_SUCH_DELIVERY": 404,
    "NS_MALFORMED_BODY": 400,
    "NS_MACHINE_FOREIGN": 403,
    "NS_MACHINE_NOT_APPROVED": 403,
    "NS_ASSET_MISSING": 404,
    "NS_ASSET_RETIRED": 410,
    "NS_OUTPUT_TOO_LARGE": 413,
    "NS_OUTPUTS_TOO_LARGE": 413,
    "NS_BODY_TOO_LARGE": 413,
    "NS_SUBMISSION_TOO_LARGE": 413,
    "NS_TOO_MANY_WRONG_TOKENS": 429,
    "NS_BODY_CUT_OFF": 400,
    "NS_BODY_TOO_SLOW": 408,
    "NS_HEAD_TOO_LARGE": 431,
    "NS_REQUEST_UNREADABLE": 400,
    "NS_TENANT_FULL": 429,
    "NS_GATEWAY_FULL": 503,
    "NS_GATEWAY_CROWDED": 503,
}

#: What the front itself refuses, before any route is asked: status, code, and what it means.
OF_THE_FRONT: Final[Mapping[int, tuple[str, str]]] = {
    400: (
        "NS_INVALID_REQUEST",
        "A parameter of the address or of the head is missing, or is not what the route takes.",
    ),
    404: ("NS_NO_SUCH_PATH", "There is nothing at this address."),
    405: ("NS_METHOD_NOT_ALLOWED", "There is something at this address, but it does not take this method."),
    413: ("NS_BODY_TOO_LARGE", "The body is larger than the route takes."),
    500: ("NS_FAULT", "A fault of North Star; the log of the broker has more under the trace that the answer names."),
}


def status_of_kind(kind: type[NorthstarError]) -> int:
    """The HTTP status of an error's class.

    >>> status_of_kind(Unavailable), status_of_kind(NorthstarError)
    (503, 500)
    """
    if kind.code in _STATUS:
        return _STATUS[kind.code]
    for group, status in ((Unavailable, 503), (InvalidRequest, 422), (Refused, 409)):
        if issubclass(kind, group):
            return status
    return 500


def code_of_front(status: int) -> str:
    """The code of what the front itself refuses with this status."""
    known = OF_THE_FRONT.get(status) or OF_THE_FRONT[400 if status < 500 else 500]
    return known[0]


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was not done: `title` is a stable code for programs, `detail` a sentence for people, which may change."""

    type: str
    title: str
    status: int
    detail: str
    #: Whether the same request may succeed later without being changed.
    retryable: bool
    #: Of a fault of North Star: what its log has it under.
    trace: str = ""


def status_of(error: NorthstarError) -> int:
    """The HTTP status of an error."""
    return status_of_kind(type(error))


def problem(request: Request[Any, Any, Any], error: NorthstarError) -> Response[bytes]:
    """An error as its reader needs it: what, why, and when to come back."""
    return fault(request, error) if status_of(error) == 500 else problem_of(error)


def problem_of(error: NorthstarError) -> Response[bytes]:
    """The answer for an error that is no fault."""
    after_s = getattr(error, "retry_after_s", None)
    return _answer(status_of(error), error.code, str(error), retryable=error.retryable, after_s=after_s)


def http_problem(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the front itself refuses: unknown paths, malformed parameters."""
    if error.status_code >= 500 and error.status_code != 503:
        return fault(request, error)
    # The library says in `extra` which parameter was wrong, and how.
    wrong = [one for one in error.extra if isinstance(one, dict)] if isinstance(error.extra, list) else []
    told = "; ".join(_wrong(request, str(one.get("key", "")), str(one.get("message", ""))) for one in wrong)
    detail = f"the call is not what this takes: {told}" if told else error.detail
    answer = _answer(
        error.status_code, code_of_front(error.status_code), detail, retryable=error.status_code in {429, 503}
    )
    if allowed := (error.headers or {}).get("allow"):
        answer.headers["Allow"] = ", ".join(sorted(allowed.split(", ")))
    return answer


def _wrong(request: Request[Any, Any, Any], key: str, words: str) -> str:
    said = plain_words(words.partition(" - at `")[0])
    if choices := _choices(request, key):
        said += f"; it is one of {', '.join(choices)}"
    return f"`{key}` is not possible: {said}" if key else said


def _choices(request: Request[Any, Any, Any], key: str) -> list[str]:
    """The words that a parameter of the route takes, where it takes only some."""
    handler: Any = request.scope.get("route_handler")
    told = {} if handler is None else handler.parsed_fn_signature.parameters
    found = (field for name, field in told.items() if (getattr(field.kwarg_definition, "name", None) or name) == key)
    return [choice for field in found for choice in choices_of(field.annotation)]


def fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """What nobody has foreseen. Its text and its trace stay in the log, under an id that the answer names too."""
    trace = secrets.token_hex(8)
    log.error("fault", trace=trace, method=request.method, path=request.scope["path"][:256], exc_info=error)
    told = (
        f"North Star failed at this; tell its operator the trace {trace}, under which the log of the broker says more"
    )
    return _answer(500, "NS_FAULT", told, retryable=False, trace=trace)


def _answer(
    status: int, code: str, detail: str, *, retryable: bool, after_s: float | None = None, trace: str = ""
) -> Response[bytes]:
    headers = {}
    if status in {429, 503}:
        headers["Retry-After"] = str(max(_SOON_S, round(after_s or 0)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 408:
        headers["Connection"] = "close"  # what still comes of that request is nobody's
    told = Problem(
        type=f"urn:northstar:{code}", title=code, status=status, detail=detail, retryable=retryable, trace=trace
    )
    return Response(msgspec.json.encode(told), status_code=status, media_type=MEDIA_TYPE, headers=headers)
