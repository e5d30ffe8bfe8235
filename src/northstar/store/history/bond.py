"""Which history a cell has, as the cell itself knows it; nothing here needs a database's libraries."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from northstar.domain.errors import NorthstarError
from northstar.store.valkey import FAULTS, translate

if TYPE_CHECKING:
    from northstar.store.cell import Cell

_MAX_SENTENCE_BYTES = 2_000


class Bond(msgspec.Struct, frozen=True, array_like=True):
    """Which history a cell has: its id, where it is, which host said so and since when (ms of the cell's clock).

    `code` and `sentence` are of the error because of which it takes nothing since `trouble_ms`; empty and 0 when all is well.
    """

    history: str
    place: str
    host: str
    since_ms: int
    code: str = ""
    sentence: str = ""
    trouble_ms: int = 0


async def read_bond(cell: Cell) -> Bond | None:
    """Which history the cell has, if any. A plain read of one field. Raises Unavailable."""
    try:
        packed: Any = await cell.client.execute_command("HGET", cell.keys["meta"], "history")
    except FAULTS as exc:
        raise translate(exc) from exc
    return None if packed is None else msgspec.msgpack.decode(packed, type=Bond)


async def note_trouble(cell: Cell, history: str, error: NorthstarError | None) -> None:
    """Let whoever looks at the cell know why its history takes nothing, or, without an error, that it does again.

    The cell may be what is in trouble; then nobody can be told, and whoever looks sees that by themselves.
    """
    sentence = "" if error is None else cut(str(error), _MAX_SENTENCE_BYTES)
    request = {"history": history, "code": "" if error is None else error.code, "sentence": sentence}
    with contextlib.suppress(NorthstarError):
        await cell.call("history_trouble", request, dict[str, bool])


def cut(text: str, most_bytes: int) -> str:
    """The text, or as much of its beginning as fits into so many bytes."""
    return text.encode(errors="replace")[:most_bytes].decode(errors="ignore")
