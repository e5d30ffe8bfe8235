"""How large model files are, where a trace does not say: assumed, by a seeded hash of the name.

Base models as the caching measurements assumed them: 40 % around 2.1 GB (half-precision SD 1.5), 25 % around 4.1 GB (the same in
full precision) and 35 % around 6.7 GB (SDXL), which is 2 to 7 GB altogether and 4.2 GB on average; LoRAs 20 to 200 MB, log-uniform, 78 MB on
average. The authors of the GenTD26 trace speak of 1 to 20 GB and 0.1 to 1 GB in production, so these are on the small side.
"""

from __future__ import annotations

import math
from typing import Final

from northstar.simulation.workload.draws import share_of

#: Share of the base models, and their size in bytes.
BASE_SIZES: Final = ((0.40, 2_100_000_000), (0.25, 4_100_000_000), (0.35, 6_700_000_000))
#: A base model differs from its size by at most so much of it.
BASE_SPREAD: Final = 0.04
LORA_FROM_BYTES: Final = 20_000_000
LORA_TO_BYTES: Final = 200_000_000


def base_bytes(name: str, *, seed: int) -> int:
    """Bytes of a base model.

    >>> 2_000_000_000 < base_bytes("M0001", seed=1) < 7_000_000_000
    True
    """
    at = share_of(seed, "base model", name)
    around = next(size for share, size in _upto(BASE_SIZES) if at < share)
    return round(around * (1 + BASE_SPREAD * (2 * share_of(seed, "base model's spread", name) - 1)))


def lora_bytes(name: str, *, seed: int) -> int:
    """Bytes of a LoRA.

    >>> 20_000_000 <= lora_bytes("L0001", seed=1) <= 200_000_000
    True
    """
    factor = LORA_TO_BYTES / LORA_FROM_BYTES
    return round(LORA_FROM_BYTES * math.exp(math.log(factor) * share_of(seed, "lora", name)))


def _upto(sizes: tuple[tuple[float, int], ...]) -> list[tuple[float, int]]:
    """Cumulative shares, the last one 1."""
    found, total = [], 0.0
    for share, size in sizes:
        total += share
        found.append((total, size))
    return [*found[:-1], (1.0, sizes[-1][1])]
