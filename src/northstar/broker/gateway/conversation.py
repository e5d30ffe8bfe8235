"""One machine's connection from its first frame to its last."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.broker.gateway.socket import (
    FrameInvalid,
    MachineForeign,
    ProtocolMismatch,
    SocketClosed,
    TooSlow,
)
from northstar.domain.errors import NorthstarError
from northstar.domain.refusals import QueueRefusal
from northstar.store import wire
from northstar.store.bells import Offered, word_of
from northstar.store.progress import MAX_PROGRESS_BYTES, publish_progress
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.broker.gateway.calls import Calls
    from northstar.broker.gateway.socket import Socket
    from northstar.domain.admission import Admitted
    from northstar.domain.pool_terms import PoolTerms
    from northstar.store.bells import Canceled, Connected, MachineChanged, Ordered
    from northstar.store.cell import Cell

log = logger(__name__)

#: Frames that wait to be sent to one machine; one that reads none of so many is cut off and may dial again.
MAX_WAITING: Final = 256
#: A machine that dials must say who it is within so many seconds.
HELLO_WITHIN_S: Final = 10.0
#: The last frame, which says why a connection ends, may take so many seconds to leave.
_FAREWELL_S: Final = 2.0

_encode = msgspec.msgpack.Encoder().encode
_read_frame: Callable[[bytes], wire.FromAgent] = msgspec.msgpack.Decoder(wire.FromAgent).decode


def read_frame(frame: bytes) -> wire.FromAgent:
    """A frame of an agent. Raises FrameInvalid."""
    try:
        return _read_frame(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise FrameInvalid(str(exc)[:500]) from exc


async def greeted(socket: Socket, admitted: Admitted) -> wire.Hello:
    """The first frame: who dials, checked against its token. Raises SocketClosed, FrameInvalid, MachineForeign, ProtocolMismatch."""
    try:
        async with asyncio.timeout(HELLO_WITHIN_S):
            hello = read_frame(await socket.receive())
    except TimeoutError as exc:
        raise FrameInvalid(f"nothing was said within {HELLO_WITHIN_S:g} s") from exc
    if not isinstance(hello, wire.Hello):
        raise FrameInvalid("the first frame must be a hello")
    if hello.newest < wire.OLDEST_PROTOCOL or hello.oldest > wire.NEWEST_PROTOCOL:
        ours = (wire.OLDEST_PROTOCOL, wire.NEWEST_PROTOCOL)
        raise ProtocolMismatch(agent=(hello.oldest, hello.newest), broker=ours)
    if hello.machine != admitted.machine:
        raise MachineForeign(claimed=hello.machine[:128], owner=admitted.machine)
    return hello


async def say_goodbye(socket: Socket, error: NorthstarError) -> None:
    """Tell why, as far as the peer still listens, and close."""
    with contextlib.suppress(SocketClosed, TimeoutError):
        async with asyncio.timeout(_FAREWELL_S):
            await socket.send(_encode(wire.Goodbye(error.code, str(error), error.retryable, _facts(error))))
    await socket.close()


def _facts(error: NorthstarError) -> dict[str, str]:
    return error.facts if isinstance(error, QueueRefusal) else {}


class Conversation:
    """What is said after the welcome. `end` cuts it off from outside."""

    def __init__(self, socket: Socket, calls: Calls, cell: Cell, *, machine: str, session: str) -> None:
        self.machine = machine
        self.session = session
        self.calls = calls
        self._socket = socket
        self._cell = cell
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)
        self._end: asyncio.Future[NorthstarError] = asyncio.get_running_loop().create_future()

    async def run(self, welcome: wire.Welcome) -> None:
        """Until the machine hangs up, or `end`."""
        self._say(welcome)
        reading = asyncio.create_task(self._read(), name=f"machine-{self.machine}-read")
        writing = asyncio.create_task(self._write(), name=f"machine-{self.machine}-write")
        parts = (reading, writing)
        ends: set[asyncio.Future[Any]] = {*parts, self._end}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            results = await asyncio.gather(*parts, return_exceptions=True)
        error = self._end.result() if self._end.done() else None
        for result in results:
            if isinstance(result, NorthstarError):
                error = error or result
            elif isinstance(result, Exception) and not isinstance(result, SocketClosed):
                raise result
        if error is not None:
            await say_goodbye(self._socket, error)
        await self._socket.close()

    def end(self, error: NorthstarError) -> None:
        """Hang up, and say why."""
        if not self._end.done():
            self._end.set_result(error)

    def ring(self, ring: Offered | Canceled | MachineChanged | Ordered | Connected) -> None:
        """Something happened to the machine."""
        if isinstance(ring, Offered):
            self.calls.offered(ring.jobs)
        self._say(wire.Rung(word_of(ring)))

    def tell_terms(self, terms: PoolTerms) -> None:
        """What follows from the machine's pools has changed. An agent that does not know the word passes it over."""
        self._say(wire.Rung([wire.TERMS, terms]))

    def _say(self, frame: wire.FromBroker) -> None:
        try:
            self._waiting.put_nowait(_encode(frame))
        except asyncio.QueueFull:
            self.end(TooSlow(self.machine))

    async def _write(self) -> None:
        while True:
            await self._socket.send(await self._waiting.get())

    async def _read(self) -> None:
        while True:
            match read_frame(await self._socket.receive()):
                case wire.Call() as call:
                    self._say(await self._answered(call))
                case wire.Progressed(job, token, text):
                    await self._pass_on(job, token, text)
                case wire.Hello():
                    raise FrameInvalid("a second hello")

    async def _answered(self, call: wire.Call) -> wire.Answer | wire.No:
        try:
            answer: Any = await self.calls.answer(call)
        except FrameInvalid:
            raise
        except NorthstarError as exc:
            return wire.No(call.number, exc.code, str(exc), exc.retryable, _facts(exc))
        return wire.Answer(call.number, msgspec.Raw(_encode(answer)))

    async def _pass_on(self, job: str, token: str, text: bytes) -> None:
        """Progress only of what this machine runs; a server that does not answer costs only this message."""
        if self.calls.leases.get(job) != token or len(text) > MAX_PROGRESS_BYTES:
            return
        with contextlib.suppress(NorthstarError):
            await publish_progress(self._cell, job, token, text)
