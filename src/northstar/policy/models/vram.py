"""How much GPU memory a model takes to run, where nobody has measured or said it.

The rule is our own and errs to the safe side: files are stored in the precision in which they run, so weights take in memory what
they take on disk. Encoders of prompts run before the model and are moved out where room is short, so only the larger of the two counts.
On top comes room to work in: for pictures of about a megapixel and their decoding 2 GB, for language models a sixth of the weights
(keys and values of a few thousand tokens) and 0.5 GB.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.domain.catalogue import CatalogueFile, CatalogueVersion

_MB: Final = 1_000_000
_PICTURES_BYTES: Final = 2_000 * _MB
_WORDS_BYTES: Final = 500 * _MB
_WORDS_SHARE: Final = 1 / 6
#: Kinds that run by themselves; the others only add to what runs.
_RUNS: Final = frozenset({"checkpoint", "diffusion_model", "upscaler", "controlnet", "vae"})


def vram_mb_of(version: CatalogueVersion) -> int:
    """GPU memory that a run of this version needs, MB: what its owner says, else the estimate; 0 where sizes are not known."""
    return version.vram_mb or estimated_vram_mb(version.files)


def estimated_vram_mb(files: Iterable[CatalogueFile]) -> int:
    """The estimate of this module for files that run together, MB (decimal); 0 where the size of one of them is not known.

    A checkpoint of 6.94 GB, as of SDXL, needs 8.94 GB; a diffusion model of 11.9 GB with an encoder of 4.9 GB needs 13.9 GB; a
    language model of 4.9 GB needs 6.2 GB.

    >>> from northstar.domain.catalogue import CatalogueFile
    >>> def file(kind, size_gb):
    ...     return CatalogueFile(name="x", kind=kind, size_bytes=int(size_gb * 1e9))
    >>> estimated_vram_mb([file("checkpoint", 6.94)])
    8940
    >>> estimated_vram_mb([file("diffusion_model", 11.9), file("text_encoder", 4.9)])
    13900
    >>> estimated_vram_mb([file("llm", 4.9)])
    6217
    >>> estimated_vram_mb([file("lora", 0.2)])
    200
    """
    sizes: dict[str, int] = {}
    for file in files:
        if not file.size_bytes:
            return 0
        sizes[file.kind] = sizes.get(file.kind, 0) + file.size_bytes
    words = sizes.pop("llm", 0)
    encoders = sizes.pop("text_encoder", 0)
    needed: float = max(sum(sizes.values()), encoders)
    if _RUNS & sizes.keys():
        needed += _PICTURES_BYTES
    if words:
        needed += words * (1 + _WORDS_SHARE) + _WORDS_BYTES
    return math.ceil(needed / _MB)
