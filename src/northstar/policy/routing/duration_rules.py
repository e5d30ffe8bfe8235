"""What a job may take when nothing like it has ever run: orders of magnitude by its modality and amount of work.

The rates are round figures of one consumer card of the 24 GB kind, not measurements of this fleet; the estimate says so by its
source `rules` and a confidence of a tenth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from northstar.domain.workloads import Modality, Workload

#: Of a rule: one in ten lies within 25 % of it; the interval is a quarter to four times.
RULE_CONFIDENCE: Final = 0.1
RULE_FACTOR: Final = 4.0
#: What a step, a pixel or a token costs where the payload names no number of them.
_ASSUMED_STEPS: Final = 25
_ASSUMED_PIXELS: Final = 1_048_576
#: Answers of a chat, which mostly end by themselves long before their limit.
_ASSUMED_TOKENS: Final = 160
_ASSUMED_FRAMES: Final = 81
_PIXEL_STEPS_PER_S: Final = 6e6
#: A language model of about eight billion parameters in 16 bits, alone on the card.
_TOKENS_PER_S: Final = 80.0
_CHARS_PER_S: Final = 4_000.0
_START_S: Final = 1.0
#: Of a text engine, whose first token comes at once.
_TEXT_START_S: Final = 0.2
_TRAINING_S: Final = 3_600.0
#: Kinds whose time no field of a payload tells.
_FLAT_S: Final[dict[Modality, float]] = {"audio": 20.0, "3d": 60.0, "embedding": 0.2}
_LONGEST_S: Final = 86_400.0


def work_of(workload: Workload) -> float:
    """The product that its time grows with: steps x pixels x images x frames, or tokens; 0 if none of them is known.

    >>> from northstar.domain.workloads import Workload
    >>> work_of(Workload(steps=30, pixels=1_048_576, images=2)), work_of(Workload(tokens=200)), work_of(Workload())
    (62914560.0, 200.0, 0.0)
    """
    if workload.steps or workload.pixels or workload.frames or workload.images:
        return float(
            max(workload.steps, 1) * max(workload.pixels, 1) * max(workload.images, 1) * max(workload.frames, 1)
        )
    return float(workload.tokens)


def rule_s(workload: Workload) -> float:
    """Seconds by rule, at most a day: the sum over the kinds of things that it makes, an hour if it trains.

    >>> from northstar.domain.workloads import Workload
    >>> round(rule_s(Workload(modalities=("image",), steps=30, pixels=1_048_576, images=2)), 1)
    11.5
    >>> rule_s(Workload(modalities=("text",), tokens=400)), rule_s(Workload(is_training=True))
    (5.2, 3600.0)
    """
    if workload.is_training:
        return _TRAINING_S
    kinds: tuple[Modality, ...] = workload.modalities or (("text",) if workload.tokens else ("image",))
    start_s = _TEXT_START_S if set(kinds) <= {"text", "embedding"} else _START_S
    return min(start_s + sum(_kind_s(kind, workload) for kind in kinds), _LONGEST_S)


def _kind_s(kind: Modality, workload: Workload) -> float:
    if kind == "text":
        return (workload.tokens or _ASSUMED_TOKENS) / _TOKENS_PER_S + workload.input_chars / _CHARS_PER_S
    if kind in {"image", "video"}:
        frames = (workload.frames or _ASSUMED_FRAMES) if kind == "video" else 1
        pixels = (workload.pixels or _ASSUMED_PIXELS) * (workload.steps or _ASSUMED_STEPS)
        return pixels * max(workload.images, 1) * frames / _PIXEL_STEPS_PER_S
    return _FLAT_S[kind]
