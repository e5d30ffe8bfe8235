"""Pages of what is read whole: things in the order of their names, and where the next page begins."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeVar

from northstar.broker.job_lists import CursorInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Thing = TypeVar("Thing")


def page_of(
    things: Iterable[Thing], *, name: Callable[[Thing], str], limit: int, cursor: str
) -> tuple[tuple[Thing, ...], str]:
    """At most `limit` things after the one that the cursor means, which need not be there any more, and the next cursor, empty at the end.

    Raises:
        CursorInvalid: no list has given it.

    >>> page_of("dbca", name=str, limit=3, cursor="")
    (('a', 'b', 'c'), 'Yw')
    >>> page_of("dbca", name=str, limit=3, cursor="Yw")
    (('d',), '')
    """
    after = _read(cursor)
    left = sorted((thing for thing in things if name(thing) > after), key=name)
    shown = tuple(left[:limit])
    return shown, _cursor(name(shown[-1])) if len(left) > len(shown) else ""


def _cursor(name: str) -> str:
    """Letters that stand for themselves in an address: names of models may have any."""
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _read(cursor: str) -> str:
    """Raises CursorInvalid."""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise CursorInvalid from None
