"""Errors as `application/problem+json` (RFC 9457) with the stable code of the error."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from northstar.broker.gateway.doorkeeper import TooManyWrongTokens
from northstar.domain.errors import InvalidRequest, NorthstarError, Refused, Unavailable
from northstar.domain.refusals import QueueRefusal

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
}


def status_of(error: NorthstarError) -> int:
    """The HTTP status of an error."""
    if error.code in _STATUS:
        return _STATUS[error.code]
    match error:
        case Unavailable():
            return 503
        case InvalidRequest():
            return 422
        case Refused():
            return 409
        case _:
            return 500


def problem(_: Request[Any, Any, Any], error: NorthstarError) -> Response[bytes]:
    """An error as its reader needs it: what, why, and when to come back."""
    status = status_of(error)
    headers = {}
    if isinstance(error, QueueRefusal | TooManyWrongTokens) and error.retry_after_s:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    elif status == 503:
        headers["Retry-After"] = "1"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = {
        "type": f"urn:northstar:{error.code}",
        "title": error.code,
        "status": status,
        "detail": str(error),
        "retryable": error.retryable,
    }
    return Response(_encoded(body), status_code=status, media_type="application/problem+json", headers=headers)


def http_problem(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the front itself refuses: unknown paths, malformed parameters."""
    code = {404: "NS_NO_SUCH_PATH", 405: "NS_METHOD_NOT_ALLOWED", 413: "NS_BODY_TOO_LARGE"}.get(
        error.status_code, "NS_INVALID_REQUEST" if error.status_code < 500 else "NS_FAULT"
    )
    # The library says in `extra` which parameter was wrong, and how.
    wrong = (
        [str(one.get("message", "")) for one in error.extra if isinstance(one, dict)]
        if isinstance(error.extra, list)
        else []
    )
    named = (
        [str(one.get("key", "")) for one in error.extra if isinstance(one, dict)]
        if isinstance(error.extra, list)
        else []
    )
    told = "; ".join(f"{key}: {text}" if key else text for key, text in zip(named, wrong, strict=True))
    body = {
        "type": f"urn:northstar:{code}",
        "title": code,
        "status": error.status_code,
        "detail": f"{error.detail}: {told}" if told else error.detail,
        "retryable": error.status_code >= 500,
    }
    return Response(_encoded(body), status_code=error.status_code, media_type="application/problem+json")


def _encoded(body: dict[str, Any]) -> bytes:
    return msgspec.json.encode(body)
