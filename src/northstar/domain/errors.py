"""One tree of errors; each has a stable code, its facts as fields and a sentence that says what to do.

`code` is what programs compare; the sentence is for people and may change.

    NorthstarError
    ├── InvalidRequest          the caller sent something that can never work
    ├── Refused                 the state of the system said no, by name
    └── Unavailable             something North Star needs is missing, broken or full
"""

from __future__ import annotations

from typing import ClassVar


class NorthstarError(Exception):
    """Root of everything that North Star raises on purpose."""

    code: ClassVar[str] = "NS_ERROR"
    #: Whether the same call may succeed later without being changed.
    retryable: ClassVar[bool] = False


class InvalidRequest(NorthstarError):
    """The request is malformed, too large or absurd; sending it again unchanged will not help."""

    code = "NS_INVALID_REQUEST"


class Refused(NorthstarError):
    """The request is well formed, but the present state does not allow it."""

    code = "NS_REFUSED"


class Unavailable(NorthstarError):
    """A part that North Star needs does not answer, is full, or is of the wrong version."""

    code = "NS_UNAVAILABLE"
    retryable = True
