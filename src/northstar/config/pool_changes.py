"""What differs between two sets of pools, key by key, as people and programs read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.domain.pools import Pools


class PoolChange(msgspec.Struct, frozen=True):
    """A key that differs; None on the side that does not have it."""

    key: str
    before: Any
    after: Any


def pool_changes(before: Pools, after: Pools) -> list[PoolChange]:
    """Every key that differs, in order; a pool that is new or gone is one change."""
    changes = [*_changes("routing", msgspec.to_builtins(before.routing), msgspec.to_builtins(after.routing))]
    for name in dict.fromkeys([*before.pools, *after.pools]):
        one, other = before.pools.get(name), after.pools.get(name)
        if one is None or other is None:
            changes.append(PoolChange(f"pools.{name}", one and one.purpose, other and other.purpose))
        else:
            changes += _changes(f"pools.{name}", msgspec.to_builtins(one), msgspec.to_builtins(other))
    return changes


def _changes(key: str, before: Any, after: Any) -> Iterator[PoolChange]:
    if key.endswith(".examples"):
        before, after = _by_name(before), _by_name(after)
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            yield from _changes(f"{key}.{name}", before.get(name), after.get(name))
    elif before != after:
        yield PoolChange(key, before, after)


def _by_name(examples: Any) -> Any:
    """Examples by their names, so that one that differs does not make all of them differ."""
    return {one["name"]: one for one in examples} if examples else {}
