"""How long work takes of which nothing like it has ever run: rules of thumb on a GPU such as an RTX 4090.

Rates are of common models there: about twenty steps of a megapixel picture take four seconds, a frame of a video costs a fifth of a
picture of its size, and a language model of a few billion parameters gives sixty tokens a second. They are guesses, and are marked so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from northstar.domain.workloads import Workload

_MEGAPIXEL: Final = 1_048_576
_STEP_S: Final = 0.2
_FRAME_SHARE: Final = 0.2
_TOKENS_PER_S: Final = 60.0
_READ_CHARS_PER_S: Final = 20_000.0
_FIXED_S: Final = 0.5
_STEPS: Final = 20
_TRAINING_S: Final = 1_800.0
#: By what it makes, where its size is not known.
_BLIND_S: Final = {"text": 2.0, "embedding": 0.2, "image": 10.0, "audio": 30.0, "3d": 90.0, "video": 360.0}
_UNKNOWN_S: Final = 10.0


def ruled_s(workload: Workload) -> float:
    """Seconds by the rules.

    >>> from northstar.domain.workloads import Workload
    >>> ruled_s(Workload(modalities=("image",), steps=20, pixels=1_048_576, images=1))
    4.5
    >>> ruled_s(Workload(modalities=("text",), tokens=60))
    1.5
    """
    if workload.is_training:
        return _TRAINING_S
    if workload.tokens:
        return _FIXED_S + workload.tokens / _TOKENS_PER_S + workload.input_chars / _READ_CHARS_PER_S
    if workload.pixels:
        frames = workload.frames * _FRAME_SHARE if workload.frames > 1 else 1.0
        pictures = max(1, workload.images) * max(1.0, frames)
        return _FIXED_S + _STEP_S * (workload.steps or _STEPS) * workload.pixels / _MEGAPIXEL * pictures
    return sum(_BLIND_S[modality] for modality in workload.modalities) or _UNKNOWN_S
