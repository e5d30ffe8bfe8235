"""Whatever a machine puts into the body of a call, the broker answers that it cannot be read, and goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from northstar.broker.gateway.calls import _CALLS, Calls
from northstar.broker.gateway.socket import FrameInvalid
from northstar.domain.admission import Admitted, Grant
from northstar.store import wire

#: Arrays in arrays, deeper than any reader follows.
NESTED = b"\x91" * 100_000 + b"\x90"


def calls() -> Calls:
    """Calls of a connection in which nothing gets as far as the cell."""
    nothing: Any = None
    return Calls(
        nothing,
        Admitted(token_id="t", machine="m", status="approved", grant=Grant(pools=("standard",))),
        session="s",
        holder="serve",
        outputs=nothing,
        pools=nothing,
        terms=nothing,
        door=nothing,
        joining=asyncio.Semaphore(),
        new_nonce=str,
        registered=nothing,
        refused=nothing,
    )


@pytest.mark.parametrize("name", sorted(_CALLS))
@pytest.mark.parametrize("body", [b"\x81\xa7strange" + NESTED, b"\xc1", b"\x90"])
async def test_a_body_that_cannot_be_read_is_an_invalid_frame(name: str, body: bytes) -> None:
    with pytest.raises(FrameInvalid, match=f"body of {name}"):
        await calls().answer(wire.Call(number=1, name=name, body=msgspec.Raw(body)))
