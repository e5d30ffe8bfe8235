"""Pages of what is read whole: things in the order of their names, and where the next page begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Thing = TypeVar("Thing")


def page_of(
    things: Iterable[Thing], *, name: Callable[[Thing], str], limit: int, cursor: str
) -> tuple[tuple[Thing, ...], str]:
    """At most `limit` things after the one that the cursor names, which need not be there any more, and the next cursor, empty at the end.

    >>> page_of("dbca", name=str, limit=2, cursor="a")
    (('b', 'c'), 'c')
    >>> page_of("dbca", name=str, limit=2, cursor="c")
    (('d',), '')
    """
    left = sorted((thing for thing in things if name(thing) > cursor), key=name)
    shown = tuple(left[:limit])
    return shown, name(shown[-1]) if len(left) > len(shown) else ""
