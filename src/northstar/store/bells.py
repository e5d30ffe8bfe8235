"""Listening to a cell's bells: what makes waiting cheap without polling.

A bell is a message on a sharded channel, rung by the function library after a change: offers and cancellations for the
machines that a process holds, and "something falls due earlier" for everybody. Bells can be lost with a connection; whoever
listens looks for itself after each (re)connection, and at least once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from northstar.domain.jobs import ClaimedJob
from northstar.store.subscription import SILENCE_S, subscribe
from northstar.store.valkey import FAULTS, ValkeyClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from northstar.store.keys import CellKeys


class Connected(msgspec.Struct, frozen=True):
    """The listener has (again) a connection; whatever was rung before is unknown."""


class Offered(msgspec.Struct, frozen=True):
    """Work was handed to this machine. `jobs` may begin at once; naming their tokens, or a claim, accepts them.

    Without jobs they were too large for a bell: claim them.
    """

    machine: str
    jobs: tuple[ClaimedJob, ...] = ()


class Canceled(msgspec.Struct, frozen=True):
    """This job must stop, if it still runs under this token."""

    job: str
    token: str
    machine: str


class MachineChanged(msgspec.Struct, frozen=True):
    """The machine was set to draining or active."""

    machine: str
    status: str


class Ordered(msgspec.Struct, frozen=True):
    """The machine was told to fetch or to evict models; it asks which."""

    machine: str


class Approved(msgspec.Struct, frozen=True):
    """The machine's token was approved, so it may register now. Everybody hears it."""

    machine: str


class Revoked(msgspec.Struct, frozen=True):
    """The machine's token counts no more: whoever has its connection closes it. Everybody hears it, its holder twice."""

    machine: str


class Due(msgspec.Struct, frozen=True):
    """`tick` has work so many ms from now."""

    in_ms: int


class PlanDue(msgspec.Struct, frozen=True):
    """A machine or a lane is new, so no candidates name it yet."""


class DocumentsChanged(msgspec.Struct, frozen=True):
    """What operators declare for all processes has changed; whoever keeps some of it reads it again."""


Ring = Connected | DocumentsChanged | Offered | Canceled | MachineChanged | Ordered | Approved | Revoked | Due | PlanDue

#: Longest pause between two attempts to connect.
MAX_PAUSE_S = 5.0


_OF_NOBODY: dict[str, Connected | DocumentsChanged | PlanDue] = {
    "look": Connected(),
    "plan": PlanDue(),
    "documents": DocumentsChanged(),
}
_OF_A_MACHINE: dict[str, type[Ordered | Approved | Revoked]] = {
    "orders": Ordered,
    "approved": Approved,
    "revoked": Revoked,
}


def read_ring(holder: str, word: Any) -> Ring | None:
    """What one word of a message means; None for a word of a newer library."""
    match word:
        case str():
            return Offered(word)
        case int() | float() if holder == "tick":
            return Due(int(word))
        case [str() as wish] if wish in _OF_NOBODY:
            return _OF_NOBODY[wish]
        case ["offer", machine, jobs]:
            return Offered(machine, msgspec.convert(jobs, tuple[ClaimedJob, ...]))
        case ["cancel", job, token, machine]:
            return Canceled(job, token, machine)
        case [("draining" | "active") as status, machine]:
            return MachineChanged(machine, status)
        case [str() as happened, machine] if happened in _OF_A_MACHINE:
            return _OF_A_MACHINE[happened](machine)
        case _:
            return None


def word_of(ring: Offered | Canceled | MachineChanged | Ordered | Connected) -> Any:
    """The word that `read_ring` reads as this ring: how it goes on to a machine."""
    match ring:
        case Offered(machine, jobs):
            return ["offer", machine, jobs] if jobs else machine
        case Canceled(job, token, machine):
            return ["cancel", job, token, machine]
        case MachineChanged(machine, status):
            return [status, machine]
        case Ordered(machine):
            return ["orders", machine]
        case Connected():
            return ["look"]


async def listen(
    client: ValkeyClient,
    keys: CellKeys,
    holders: tuple[str, ...],
    *,
    retry_s: float = 0.2,
    silence_s: float = SILENCE_S,
) -> AsyncIterator[Ring]:
    """Every ring for these holders, for ever; reconnects by itself, with a pause of `retry_s` doubling up to 5 s.

    Close it (`aclose`) when it is left early, or its connection stays until it is collected.
    """
    channels = {keys.bell(holder).encode(): holder for holder in holders}
    pause_s = retry_s
    while True:
        try:
            async with contextlib.aclosing(subscribe(client, keys["meta"], channels, silence_s=silence_s)) as messages:
                async for channel, payload in messages:
                    if payload is None:
                        pause_s = retry_s
                        yield Connected()
                        continue
                    for word in msgspec.msgpack.decode(payload):
                        if (ring := read_ring(channels[channel], word)) is not None:
                            yield ring
        except FAULTS:
            pass
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, MAX_PAUSE_S)
