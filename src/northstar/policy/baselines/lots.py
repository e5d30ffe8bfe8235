"""Drawn lots without a generator: the same words always draw the same, and other words something unrelated."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_BYTES: Final = 8


def lot(*words: str | int) -> float:
    """A number of [0, 1) that is as good as random, and follows from the words alone: a seed, and what is drawn for.

    >>> lot(7, "m1") == lot(7, "m1"), lot(7, "m1") == lot(8, "m1"), 0 <= lot(7, "m2") < 1
    (True, False, True)
    """
    text = "\x1f".join(str(word) for word in words)
    return int.from_bytes(blake2b(text.encode(), digest_size=_BYTES).digest(), "big") / 256**_BYTES
