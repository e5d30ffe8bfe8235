"""What is expected of work that nobody has ever seen."""

from __future__ import annotations

import msgspec

from northstar.domain.workloads import Modality, Workload
from northstar.policy.routing.duration_rules import rule_s

_PIXELS = 1_048_576


def test_each_of_the_specifications_examples_falls_into_its_band_by_rule() -> None:
    """An embedding is below 3 s, a picture below 30 s, a film above five minutes."""
    assert rule_s(Workload(modalities=("embedding",), tokens=100)) < 3
    assert 3 < rule_s(Workload(modalities=("image",), steps=30, pixels=_PIXELS)) < 30
    assert rule_s(Workload(modalities=("video",), steps=30, pixels=_PIXELS, frames=121)) > 300


def test_more_steps_pixels_images_frames_or_tokens_never_take_less() -> None:
    """One after the other."""
    modalities: tuple[Modality, ...] = ("image", "video", "text")
    for modality in modalities:
        one = Workload(modalities=(modality,), steps=10, pixels=_PIXELS, images=1, frames=10, tokens=100)
        for field in ("steps", "pixels", "images", "frames", "tokens"):
            more = msgspec.structs.replace(one, **{field: 4 * getattr(one, field)})
            assert rule_s(more) >= rule_s(one)


def test_no_rule_says_more_than_a_day() -> None:
    """However absurd the payload."""
    assert rule_s(Workload(modalities=("video",), steps=10**15, pixels=10**15, frames=10**15)) == 86_400
