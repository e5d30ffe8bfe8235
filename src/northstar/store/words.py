"""What submissions may ask for. A plain read of one key, bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.store.keys import CellKeys

#: Rounds of the scan, of so many words each; a cell may have learnt 100,000 words.
_ROUNDS: Final = 20
_PER_ROUND: Final = 500


async def known_words(client: ValkeyClient, keys: CellKeys, kind: str) -> list[str]:
    """The words of one kind (service, pool, tag, pack, model, isolation) that the cell knows, without the kind; sorted.

    Of a very large vocabulary not all of them. Raises Unavailable when the server does not answer.
    """
    found: set[str] = set()
    cursor: int | bytes = 0
    try:
        for _ in range(_ROUNDS):
            answer: Any = await client.execute_command(
                "HSCAN", keys["vocabulary"], cursor, "MATCH", f"{kind}:*", "COUNT", _PER_ROUND
            )
            cursor, page = answer[0], answer[1]
            found |= {_text(word).partition(":")[2] for word in (page if isinstance(page, dict) else page[::2])}
            if int(cursor) == 0:
                break
    except FAULTS as exc:
        raise translate(exc) from exc
    return sorted(found)


def _text(word: bytes | str) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else word


async def undeclared(client: ValkeyClient, keys: CellKeys, words: Sequence[str]) -> list[str]:
    """Those of the words that the cell does not know yet. Raises Unavailable when the server does not answer."""
    if not words:
        return []
    try:
        known = await client.execute_command("HMGET", keys["vocabulary"], *words)
    except FAULTS as exc:
        raise translate(exc) from exc
    return [word for word, by in zip(words, known, strict=True) if by is None]
