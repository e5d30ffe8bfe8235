"""What may be asked of keys by HTTP, and what is answered."""

from __future__ import annotations

from typing import Annotated

import msgspec

from northstar.domain.api_keys import KeyView


class RotateKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the former secret counts beside the new one, seconds; 0: not at all."""

    grace_s: Annotated[float, msgspec.Meta(ge=0, le=30 * 86_400)] = 86_400.0


class KeyMade(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was made or got another secret. Its text is told here and never again."""

    text: str
    key: KeyView


class KeyPage(msgspec.Struct, frozen=True, kw_only=True):
    """Keys, the oldest first; nothing in them lets anybody in."""

    keys: tuple[KeyView, ...]
    #: Where the next page begins; empty: this is the last.
    cursor: str


class KeyRevoked(msgspec.Struct, frozen=True, kw_only=True):
    """A key that counts no more, anywhere."""

    id: str
