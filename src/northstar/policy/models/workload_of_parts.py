"""What the readers of payloads have in common: numbers that are counts, names of models, short digests."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from northstar.domain.models import ModelKind
from northstar.domain.workloads import ModelUse

#: Larger numbers are taken for nonsense.
_MAX_COUNT: Final = 10**15
_MAX_NAME: Final = 256
_DIGEST_CHARS: Final = 20


def count_of(value: Any) -> int:
    """A plain number as a count; 0 if it is none, negative or absurdly large.

    >>> count_of(64), count_of(64.0), count_of(-1), count_of("64"), count_of(True)
    (64, 64, 0, 0, 0)
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_COUNT:
        return 0
    return int(value)


def named_model(name: Any, *, kind: ModelKind) -> tuple[tuple[ModelUse, ...], tuple[str, ...]]:
    """The model that a payload names, if any; and what is odd about it."""
    if name is None:
        return (), ()
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        return (), ("`model` is no name of a model",)
    return (ModelUse(name, kind),), ()


def shape_of_parts(*parts: str) -> str:
    """A short text that is equal for equal parts."""
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:_DIGEST_CHARS]
