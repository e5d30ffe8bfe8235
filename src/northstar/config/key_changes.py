"""What differs between two declarations, key by key, as people and programs read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator


class KeyChange(msgspec.Struct, frozen=True):
    """A key that differs; None on the side that does not have it."""

    key: str
    before: Any
    after: Any


def key_changes(key: str, before: Any, after: Any) -> Iterator[KeyChange]:
    """Every key below `key` at which two plain values differ, tables within tables looked through, in order."""
    if key.endswith(".examples"):
        before, after = _by_name(before), _by_name(after)
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            yield from key_changes(f"{key}.{name}", before.get(name), after.get(name))
    elif before != after:
        yield KeyChange(key, before, after)


def _by_name(examples: Any) -> Any:
    """Examples by their names, so that one that differs does not make all of them differ."""
    return {one["name"]: one for one in examples} if examples else {}
