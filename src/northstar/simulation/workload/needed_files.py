"""Model files as a simulated job needs them: with sources, so that a machine that lacks one fetches it."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from northstar.domain.models import ModelNeed

if TYPE_CHECKING:
    from northstar.domain.models import ModelKind

#: Nobody is asked there: `.invalid` leads nowhere (RFC 2606), and a simulated machine only counts the bytes.
_SOURCE: Final = "https://models.invalid/{name}"
_KEPT: Final = 65_536


@lru_cache(maxsize=_KEPT)
def needed_file(name: str, kind: ModelKind, size_bytes: int) -> ModelNeed:
    """The need of a file. Its hash stands for its content: equal names are equal files."""
    return ModelNeed(
        name=name,
        kind=kind,
        size_bytes=size_bytes,
        sources=(_SOURCE.format(name=name),),
        sha256=hashlib.sha256(name.encode()).hexdigest(),
    )
