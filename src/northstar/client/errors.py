"""What can go wrong between a program and a server, as types: what to change, what to wait for, what to give up."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from northstar.domain.errors import InvalidRequest, NorthstarError, Refused, Unavailable
from northstar.domain.job_resources import JobResource


class ClientNotConfigured(InvalidRequest):
    """Nobody says where the server is, or which key to show."""

    code: ClassVar[str] = "NS_CLIENT_NOT_CONFIGURED"

    def __init__(self, missing: str, *, variable: str) -> None:
        super().__init__(f"{missing}: pass it to the client, or set {variable}")
        self.missing = missing
        self.variable = variable


class AnswerUnreadable(Unavailable):
    """What answered is no North Star server, or one that this client does not understand."""

    code: ClassVar[str] = "NS_ANSWER_UNREADABLE"
    retryable = False

    def __init__(self, url: str, *, reason: str) -> None:
        super().__init__(f"the answer of {url} cannot be understood ({reason}); is that address a North Star server?")
        self.url = url
        self.reason = reason


class ServerUnavailable(Unavailable):
    """The server cannot be reached, or cannot serve now; the call was repeated for as long as the client is patient."""

    code: ClassVar[str] = "NS_SERVER_UNAVAILABLE"

    def __init__(self, url: str, *, reason: str, tries: int) -> None:
        super().__init__(f"{url} did not serve the call in {tries} tries: {reason}")
        self.url = url
        self.reason = reason
        self.tries = tries


class WaitTooLong(NorthstarError):
    """The job was not over when the wait was. It goes on."""

    code: ClassVar[str] = "NS_WAIT_TIMEOUT"

    def __init__(self, job: JobResource, *, timeout_s: float) -> None:
        super().__init__(f"job {job.id} is {job.status} after {timeout_s:g} s, and goes on")
        self.job = job


class JobFailed(NorthstarError):
    """The job is over without a result: `job.status` and `job.error` say why. `reason` is the stable code of that."""

    code: ClassVar[str] = "NS_JOB_FAILED"

    def __init__(self, job: JobResource) -> None:
        said = f": {job.error.code}: {job.error.message}" if job.error is not None else ""
        super().__init__(f"job {job.id} is {job.status}{said}")
        self.job = job
        self.reason = "" if job.error is None else job.error.code


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True):
    """An error as the server sends it (RFC 9457)."""

    title: str
    status: int
    detail: str = ""
    retryable: bool = False


class Problem(NorthstarError):
    """The server refused the call. `reason` is the stable code, such as NS_NO_SUCH_JOB; the server's docs list them."""

    code: ClassVar[str] = "NS_PROBLEM"

    def __init__(self, body: ProblemBody, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{body.title}: {body.detail}")
        self.reason = body.title
        self.status = body.status
        self.detail = body.detail
        self.may_be_repeated = body.retryable or body.status in {429, 503}
        #: When to come back, seconds; None: the server did not say.
        self.retry_after_s = retry_after_s


class RequestInvalid(Problem, InvalidRequest):
    """The call can never work as it is (400, 413, 422)."""


class KeyRefused(Problem, Refused):
    """The key is missing, does not count, or is not good for this (401, 403)."""


class NotFound(Problem, Refused):
    """There is no such thing, or not any more, or it is none of this key's business (404, 410)."""


class RequestRefused(Problem, Refused):
    """The present state does not allow it (409), or too much is asked at once (429)."""


class ServerProblem(Problem, Unavailable):
    """The server cannot do it now (5xx)."""


def problem_of(body: ProblemBody, *, retry_after_s: float | None) -> Problem:
    """The error for an answer."""
    match body.status:
        case 401 | 403:
            kind: type[Problem] = KeyRefused
        case 404 | 410:
            kind = NotFound
        case 409 | 429:
            kind = RequestRefused
        case status if status >= 500:
            kind = ServerProblem
        case _:
            kind = RequestInvalid
    return kind(body, retry_after_s=retry_after_s)
