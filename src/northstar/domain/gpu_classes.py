"""Classes of GPU: cards of one class run the same work in about the same time."""

from __future__ import annotations

import re
from functools import lru_cache

_NOISE = re.compile(
    r"\b(nvidia|geforce|amd|radeon|intel|tesla|quadro|graphics|gpu|corporation|generation|workstation|edition|server)\b"
)
_FORM = re.compile(r"\b(sxm\d?|pcie|pci-e|hbm\d?e?|nvl|\d+ ?(gb|gib))\b")
_NOT_WORD = re.compile(r"[^a-z0-9.]+")
_COUNT = re.compile(r"^\s*\d+ x ")
_MAX_CHARS = 48
#: Of a machine that has no GPU, or does not say which.
NO_GPU = "cpu"


@lru_cache(maxsize=1_024)
def gpu_class_of(name: str) -> str:
    """The class of a card by the name that its driver gives it; `cpu` where there is none.

    The form in which a chip is sold counts little beside the chip and is left out.

    >>> gpu_class_of("NVIDIA GeForce RTX 4090"), gpu_class_of("2 x NVIDIA A100-SXM4-80GB"), gpu_class_of("NVIDIA H200"), gpu_class_of("")
    ('rtx-4090', 'a100', 'h200', 'cpu')
    """
    text = _COUNT.sub("", name.lower().split(",")[0]).replace("-", " ")
    text = _NOT_WORD.sub("-", _FORM.sub(" ", _NOISE.sub(" ", text))).strip("-.")
    return text[:_MAX_CHARS] or NO_GPU
