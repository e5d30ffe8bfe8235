"""Fetches in flight as they lie in a cell: under "machine, NUL, model" when it began, when it should end, and bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.store.stored_records import StoredRecords

if TYPE_CHECKING:
    from collections.abc import Mapping

_records = StoredRecords()
_read_times = msgspec.msgpack.Decoder(list[float]).decode


def read_times(packed: bytes) -> tuple[int, int, int]:
    """Start, expected end and bytes of a fetch; Lua may have packed them as floats, and a newer version may have more."""
    started, expected, size, *_ = _read_times(packed)
    return int(started), int(expected), int(size)


def fetches_by_machine(key: bytes, raw: Mapping[bytes, bytes]) -> dict[str, dict[str, int]]:
    """Machine -> model -> expected end, ms since epoch by the cell's clock; what cannot be read is left out."""
    single = ((field, value) for field, value in raw.items() if field.find(b"\0") > 0)
    found: dict[str, dict[str, int]] = {}
    for name, (_, ends_ms, _) in _records.read(key, single, lambda _, packed: read_times(packed)).items():
        machine, _, model = name.partition("\0")
        found.setdefault(machine, {})[model] = ends_ms
    return found
