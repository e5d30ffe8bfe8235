"""Pools are introduced by a share of the traffic (spec, "Gradual Pool Introduction"): for which jobs is one in use already?"""

from __future__ import annotations

import hashlib

_BUCKETS = 2**32


def is_introduced(pool: str, share: float, key: str) -> bool:
    """Whether the pool is in use for the job with this key, so that over many keys the share of them is about `share`.

    The same key always has the same answer, and raising the share never takes a job out again.

    >>> is_introduced("lightning", 1.0, "job-1"), is_introduced("lightning", 0.0, "job-1")
    (True, False)
    """
    if share <= 0 or share >= 1:  # the usual case, and worth not hashing for
        return share >= 1
    digest = hashlib.blake2b(f"{pool}\0{key}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") < share * _BUCKETS
