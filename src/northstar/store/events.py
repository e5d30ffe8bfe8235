"""Reading a cell's events in order: for history, and for whoever wants to know what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from northstar.domain.events import Event, EventId
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from northstar.store.keys import CellKeys

_Payload = tuple[str, str, int, int, list[Any]]
_decode = msgspec.msgpack.Decoder(_Payload).decode


def read_event(stream_id: bytes, payload: bytes) -> Event:
    """One entry of the stream as a type."""
    kind, subject, number, at_ms, data = _decode(payload)
    return Event(
        id=EventId.parse(stream_id.decode()),
        kind=kind,
        subject=subject,
        number=number,
        at_ms=at_ms,
        data=dict(zip(data[::2], data[1::2], strict=True)),
    )


async def read_events(
    client: ValkeyClient, keys: CellKeys, *, after: EventId, count: int = 1_000, wait_ms: int = 0
) -> list[Event]:
    """The next events after `after`, at most `count`; waits up to `wait_ms` for the first (0: does not wait).

    Raises:
        Unavailable: the server does not answer.
    """
    block = ("BLOCK", wait_ms) if wait_ms > 0 else ()
    try:
        answer = await client.execute_command("XREAD", "COUNT", count, *block, "STREAMS", keys["events"], str(after))
    except FAULTS as exc:
        raise translate(exc) from exc
    if not answer:
        return []
    entries = next(iter(answer.values()))[0] if isinstance(answer, dict) else answer[0][1]
    return [read_event(stream_id, dict(fields)[b"e"]) for stream_id, fields in entries]
