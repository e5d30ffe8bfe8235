"""The pools and how long their work takes, for whoever reads of them for the first time."""

from __future__ import annotations

from collections.abc import Iterator

from northstar.domain.pools import Pools, PoolSpec


def legend(pools: Pools) -> Iterator[str]:
    """Sentences: each pool with its band, and which are parts of another.

    >>> from northstar.config.pools import packaged_pools
    >>> first, parts = legend(packaged_pools())
    >>> first
    'The pools, by how long their work takes: lightning under 3 s, fast-lane 3 s to under 30 s, standard 30 s to under 300 s, heavy 300 s or more, research any length, enterprise any length.'
    >>> parts
    'standard-photography, standard-art, standard-product, standard-multi-modal are parts of standard, by what they specialise in.'
    """
    whole = {name: spec for name, spec in pools.pools.items() if spec.parent is None}
    yield f"The pools, by how long their work takes: {', '.join(f'{name} {_band(spec)}' for name, spec in whole.items())}."
    for parent in whole:
        parts = [name for name, spec in pools.pools.items() if spec.parent == parent]
        if parts:
            yield f"{', '.join(parts)} {'is a part' if len(parts) == 1 else 'are parts'} of {parent}, by what they specialise in."


def _band(spec: PoolSpec) -> str:
    return "any length" if spec.band.variable else str(spec.band)
