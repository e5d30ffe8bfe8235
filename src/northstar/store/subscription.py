"""One subscription to sharded channels, on a connection of its own, for as long as the server is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.store.valkey.identity import connection_for

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from northstar.store.valkey import ValkeyClient

#: Ask whether the server is still there after so much silence, and take it for gone after as much again.
SILENCE_S = 10.0


async def subscribe(
    client: ValkeyClient, key: bytes, channels: Iterable[bytes], *, silence_s: float = SILENCE_S
) -> AsyncGenerator[tuple[bytes, bytes | None], None]:
    """(channel, payload) of each message, and (channel, None) once it is subscribed; ends when the slot of `key` moves away.

    Close it (`aclose`) when it is left early, or its connection stays until it is collected. Raises what the client
    library raises when the server is gone, or stays silent though it is asked.
    """
    connection = await connection_for(client, key)
    asked = False
    try:
        await connection.send_command("SSUBSCRIBE", *channels)
        while True:
            message = await connection.read_response(timeout=silence_s, disconnect_on_error=False)
            match message:
                case None if asked:
                    raise TimeoutError(f"no answer within {silence_s} s")
                case None:
                    await connection.send_command("PING")
                case [b"ssubscribe", channel, *_]:
                    yield channel, None
                case [b"smessage", channel, payload]:
                    yield channel, payload
                case [b"sunsubscribe", *_]:
                    return
                case _:
                    pass
            asked = message is None
    finally:
        await connection.disconnect(nowait=True)
