"""Payloads that a broker reads as it reads real ones: what is made, and the numbers that its time goes by.

They are for services of the kind `simulated`, which takes any payload; the words of people are not in them.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.workloads import Modality, Speciality

#: Letters of a token of English text, about.
LETTERS_PER_TOKEN: Final = 4
#: A job's body may have 64 KiB; longer conversations are cut here, which changes nothing but the estimate of how long they are read.
MOST_LETTERS: Final = 48_000
_LEAST_LIMIT: Final = 64


def made_payload(
    *,
    makes: Sequence[Modality],
    steps: int = 0,
    pixels: int = 0,
    frames: int = 0,
    images: int = 0,
    mark: str = "",
    speciality: Speciality | None = None,
    training: bool = False,
    experimental: bool = False,
) -> dict[str, Any]:
    """Work that is no text. Jobs with equal numbers and equal `mark` are of one shape: `mark` stands for the graph."""
    hints: dict[str, Any] = {"modalities": sorted(makes)}
    if speciality:
        hints["speciality"] = speciality
    if training:
        hints["training"] = True
    if experimental:
        hints["experimental"] = True
    numbers = {"steps": steps, "width": pixels, "height": 1 if pixels else 0, "num_frames": frames, "count": images}
    payload: dict[str, Any] = {name: value for name, value in numbers.items() if value}
    if mark:
        # Of a payload that is no graph only numbers make the shape, to six digits.
        payload["scale"] = _number_of(mark)
    payload["northstar"] = hints
    return payload


def chat_payload(model: str, *, read_tokens: int, made_tokens: int) -> dict[str, Any]:
    """A conversation of so many tokens, and the limit that a client would set for the answer: the next power of two, 64 or more."""
    letters = min(read_tokens * LETTERS_PER_TOKEN, MOST_LETTERS)
    limit = max(_LEAST_LIMIT, 1 << max(0, made_tokens - 1).bit_length())
    return {"model": model, "messages": [{"role": "user", "content": "a" * letters}], "max_tokens": limit}


@lru_cache(maxsize=4_096)
def _number_of(mark: str) -> int:
    return int.from_bytes(hashlib.blake2b(mark.encode(), digest_size=8).digest(), "big") % 999_999 + 1
