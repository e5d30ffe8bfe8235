"""Pools that were passed over, in words: one line a pool, however many rows of the matrix have looked at it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from northstar.domain.decisions import Rejection

#: The row that refused it is for programs: people read why.
_ROW: Final = re.compile(r" \(row [^()]+\)$")


def rejected_pools(rejected: Iterable[Rejection]) -> Iterator[str]:
    """A line for each pool with all that speaks against it; pools with the same words share one.

    >>> from northstar.domain.decisions import Rejection
    >>> found = (
    ...     Rejection(subject="heavy", code="too-short", reason="takes 300 s or more; is for video (row heavy)"),
    ...     Rejection(subject="heavy", code="too-short", reason="takes 300 s or more (row long-other)"),
    ...     Rejection(subject="art, heavy", code="no-machine", reason="no machine fits"),
    ... )
    >>> list(rejected_pools(found))
    ['heavy: takes 300 s or more; is for video; no machine fits (too-short, no-machine)', 'art: no machine fits (no-machine)']
    """
    found: dict[str, list[Rejection]] = {}
    for one in rejected:
        for pool in one.subject.split(", "):
            found.setdefault(pool, []).append(one)
    by_words: dict[str, list[str]] = {}
    for pool, reasons in found.items():
        by_words.setdefault(_words(reasons), []).append(pool)
    for words, pools in by_words.items():
        yield f"{', '.join(pools)}{words}"


def _words(reasons: Iterable[Rejection]) -> str:
    """All reasons against one pool, each once, and how many machines they speak of."""
    reasons = tuple(reasons)
    parts = dict.fromkeys(part for one in reasons for part in _ROW.sub("", one.reason).split("; "))
    told = [part for part in parts if not any(other.startswith(f"{part}:") for other in parts)]
    count = max(one.count for one in reasons)
    many = f" ({count} machine{'' if count == 1 else 's'})" if count else ""
    return f"{many}: {'; '.join(told)} ({', '.join(dict.fromkeys(one.code for one in reasons))})"
