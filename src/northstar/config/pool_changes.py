"""What differs between two sets of pools, key by key, as people and programs read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.config.key_changes import KeyChange, key_changes

if TYPE_CHECKING:
    from northstar.domain.pools import Pools


def pool_changes(before: Pools, after: Pools) -> list[KeyChange]:
    """Every key that differs, in order; a pool that is new or gone is one change."""
    changes = [*key_changes("routing", msgspec.to_builtins(before.routing), msgspec.to_builtins(after.routing))]
    for name in dict.fromkeys([*before.pools, *after.pools]):
        one, other = before.pools.get(name), after.pools.get(name)
        if one is None or other is None:
            changes.append(KeyChange(f"pools.{name}", one and one.purpose, other and other.purpose))
        else:
            changes += key_changes(f"pools.{name}", msgspec.to_builtins(one), msgspec.to_builtins(other))
    return changes
