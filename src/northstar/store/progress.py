"""Progress, previews and tokens of running jobs: bounded and lossy, by sharded pub/sub, never in the append-only file."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from northstar.domain.amounts import exactly
from northstar.domain.errors import InvalidRequest
from northstar.domain.progress import WIRE_BYTES
from northstar.store.subscription import subscribe
from northstar.store.valkey import FAULTS, translate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from northstar.store.cell import Cell

#: Bytes of one message; previews larger than that are assets.
MAX_PROGRESS_BYTES = WIRE_BYTES


class ProgressTooLarge(InvalidRequest):
    """A progress message does not fit."""

    code = "NS_PROGRESS_TOO_LARGE"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(
            f"a progress message has {exactly(size_bytes)}, more than {exactly(MAX_PROGRESS_BYTES)}; store previews as assets"
        )
        self.size_bytes = size_bytes


def channel(cell: Cell, job_id: str) -> bytes:
    """The sharded channel of one job's progress."""
    return cell.keys["jobs"] + b":progress:" + job_id.encode()


async def publish_progress(cell: Cell, job_id: str, token: str, text: bytes) -> int:
    """Tell whoever listens; gives how many did. Raises ProgressTooLarge, or Unavailable."""
    if len(text) > MAX_PROGRESS_BYTES:
        raise ProgressTooLarge(len(text))
    try:
        heard: int = await cell.client.execute_command("SPUBLISH", channel(cell, job_id), token.encode() + b"\n" + text)
    except FAULTS as exc:
        raise translate(exc) from exc
    return heard


async def listen_progress(cell: Cell, job_id: str) -> AsyncGenerator[tuple[str, bytes], None]:
    """(token, text) of each message from now on, until the connection ends; messages of an older token belong to a lost run."""
    try:
        async with contextlib.aclosing(subscribe(cell.client, cell.keys["meta"], [channel(cell, job_id)])) as messages:
            async for _, message in messages:
                if message is not None:
                    token, _, text = message.partition(b"\n")
                    yield token.decode(), text
    except FAULTS as exc:
        raise translate(exc) from exc
