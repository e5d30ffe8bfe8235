"""What the exit code of a command says. Scripts may rely on these numbers."""

from __future__ import annotations

from typing import Final

from northstar.domain.errors import InvalidRequest, NorthstarError, Refused, Unavailable

DONE: Final = 0
#: A job did not succeed, or something that has no number of its own.
FAILED: Final = 1
#: The command or the request can never work as it is.
INVALID: Final = 2
#: Well formed, but the present state does not allow it.
REFUSED: Final = 3
#: Something that is needed is missing, full, broken or of the wrong version.
UNAVAILABLE: Final = 4
#: `northstar doctor` looked at everything and found a fault; warnings are none.
FAULT_FOUND: Final = 5


def exit_code_of(error: NorthstarError) -> int:
    """The number for an error, by its class.

    >>> exit_code_of(Unavailable("the disk is full"))
    4
    """
    match error:
        case InvalidRequest():
            return INVALID
        case Refused():
            return REFUSED
        case Unavailable():
            return UNAVAILABLE
        case _:
            return FAILED
