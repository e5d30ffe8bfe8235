"""What is expected of work that nobody has ever seen."""

from __future__ import annotations

import msgspec

from northstar.domain.workloads import Modality, Workload
from northstar.policy.routing.duration_rules import ruled_s

_PIXELS = 1_048_576


def test_an_embedding_is_short_a_picture_longer_and_a_film_the_longest_by_rule() -> None:
    """An embedding is below 3 s, a picture below 30 s, a film above that."""
    assert ruled_s(Workload(modalities=("embedding",), tokens=100)) < 3
    assert 3 < ruled_s(Workload(modalities=("image",), steps=30, pixels=_PIXELS)) < 30
    assert ruled_s(Workload(modalities=("video",), steps=30, pixels=_PIXELS, frames=121)) > 30


def test_more_steps_pixels_images_frames_or_tokens_never_take_less() -> None:
    """One after the other."""
    modalities: tuple[Modality, ...] = ("image", "video", "text")
    for modality in modalities:
        one = Workload(modalities=(modality,), steps=10, pixels=_PIXELS, images=1, frames=10, tokens=100)
        for field in ("steps", "pixels", "images", "frames", "tokens"):
            more = msgspec.structs.replace(one, **{field: 4 * getattr(one, field)})
            assert ruled_s(more) >= ruled_s(one)
