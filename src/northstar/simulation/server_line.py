"""One connection to the simulation's Valkey on which nothing overlaps: a command, what it rang, then the next command.

A process that serves waits for many things at once and hears bells when they come. A simulation must hear them in the same order at every
run, so it asks for one thing at a time, and after each call of the function library for everything that the call published: the
subscription lies on the same connection, and the server answers a PING that follows the call only once all of that is written.
Nothing here yields to the event loop, so no other task comes in between.
"""

from __future__ import annotations

import socket
import time
from functools import lru_cache
from typing import Any, Final

import libvalkey
import msgspec
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import ResponseError

from northstar.store.bells import Ring, read_ring

_BUFFER: Final = 1 << 18
#: Functions that change nothing of what policy looks at: leases are named, events trimmed; and candidates, unless an offer follows.
_UNSEEN: Final = ("renew", "events_committed", "set_candidates")
#: Words at the end of a call that are its own.
_OWN_WORDS: Final = 2
_LINE_END: Final = b"\r\n"
#: Reads of which it is remembered how they are sent; most are whole hashes, of which a cell has a few dozen.
_READS_KEPT: Final = 256


class ServerLine:
    """Takes commands as the client library's clients do, as far as the parts of a broker use them."""

    def __init__(self, path: str, *, answer_within_s: float = 60.0) -> None:
        """`path` is the server's socket."""
        self._answer_within_s = answer_within_s
        self._holders: dict[bytes, str] = {}
        self._rings: list[Ring] = []
        #: Function -> what calls of it begin with: keys and digest of the library.
        self._beginnings: dict[str, bytes] = {}
        self.calls = 0
        #: Calls that may have changed something that policy looks at: two looks with the same count see the same.
        self.changes = 0
        #: Seconds that passed until the server had answered.
        self.waited_s = 0.0
        self.is_up = False
        self.dial(path)

    def dial(self, path: str) -> None:
        """Connect to the server, or again to one that was restarted, and hear whoever listened before."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(self._answer_within_s)
        self._socket.connect(path)
        self._reader = libvalkey.Reader(replyError=ResponseError, notEnoughData=_MORE)
        self.is_up = True
        self.ask([("HELLO", 3)])
        for channel in self._holders:
            self._subscribe(channel)
        # Whoever looked before looks again.
        self.calls += 1
        self.changes += 1

    def close(self) -> None:
        """Hang up."""
        self.is_up = False
        self._socket.close()

    async def execute_command(self, *command: Any) -> Any:
        """The answer. Raises ResponseError: the server refuses."""
        if command[0] == "FCALL":
            return self._call(command)
        (answer,) = self.ask([command])
        if isinstance(answer, ResponseError):
            raise answer
        return _as_read(answer) if command[0] == "XREAD" else answer

    def pipeline(self, *, transaction: bool) -> Commands:
        """Several commands with one round trip."""
        if transaction:
            raise ValueError("a simulation reads side by side, and changes only by calls of the function library")
        return Commands(self)

    def listen(self, channel: str, holder: str) -> None:
        """Hear what rings for this holder from now on."""
        self._holders[channel.encode()] = holder
        if self.is_up:
            self._subscribe(channel.encode())

    def _subscribe(self, channel: bytes) -> None:
        self._socket.sendall(_packed(("SSUBSCRIBE", channel)) + _packed(("PING",)))
        while _text(self._next()) != b"PONG":
            pass

    def heard(self) -> list[Ring]:
        """What has rung since this was asked last, in order."""
        rings, self._rings = self._rings, []
        return rings

    def _call(self, command: tuple[Any, ...]) -> Any:
        self.calls += 1
        before = len(self._rings)
        self._socket.sendall(self._packed_call(command) + _PING)
        answer: Any = _MORE
        while True:
            found = self._next()
            if isinstance(found, list) and found and found[0] == b"smessage":
                self._ring(found[1], found[2])
            elif answer is _MORE:
                answer = found
            else:
                break  # the PONG
        if len(self._rings) > before or not command[1].endswith(_UNSEEN):
            self.changes += 1
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    def _packed_call(self, command: tuple[Any, ...]) -> bytes:
        """Calls of one function differ only in their last two words, the time and the request."""
        function: str = command[1]
        beginning = self._beginnings.get(function)
        if beginning is None:
            _, _, words = _packed(command[:-_OWN_WORDS]).partition(_LINE_END)
            beginning = self._beginnings[function] = b"*%d\r\n" % len(command) + words
        _, _, own = _packed(command[-_OWN_WORDS:]).partition(_LINE_END)
        return beginning + own

    def _ring(self, channel: bytes, payload: bytes) -> None:
        holder = self._holders.get(channel)
        if holder is None:
            return
        for word in msgspec.msgpack.decode(payload):
            ring = read_ring(holder, word)
            if ring is not None:
                self._rings.append(ring)

    def ask(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """The answers to commands that change nothing, refusals among them as errors."""
        self._socket.sendall(b"".join([_packed_read(command) for command in commands]))
        return [_in_order(self._next()) for _ in commands]

    def _next(self) -> Any:
        while (found := self._reader.gets()) is _MORE:
            began_s = time.perf_counter()
            data = self._socket.recv(_BUFFER)
            self.waited_s += time.perf_counter() - began_s
            if not data:
                raise ValkeyConnectionError("the simulation's server has closed its connection")
            self._reader.feed(data)
        return found


class Commands:
    """Commands that are sent together."""

    def __init__(self, line: ServerLine) -> None:
        self._line = line
        self._commands: list[tuple[Any, ...]] = []

    def execute_command(self, *command: Any) -> None:
        """One more."""
        self._commands.append(command)

    async def execute(self) -> list[Any]:
        """Their answers, in order. Raises ResponseError: the server refuses one of them."""
        answers = self._line.ask(self._commands)
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        return answers


_MORE: Final = object()


def _packed(command: tuple[Any, ...]) -> bytes:
    return libvalkey.pack_command(command)


@lru_cache(maxsize=_READS_KEPT)
def _packed_read(command: tuple[Any, ...]) -> bytes:
    """What is read is mostly read again and again."""
    return _packed(command)


_PING: Final = _packed(("PING",))


def _in_order(answer: Any) -> Any:
    """A hash by its fields: a server gives them in an order that is another one at each of its starts."""
    return dict(sorted(answer.items())) if isinstance(answer, dict) else answer


def _as_read(answer: Any) -> Any:
    """Entries of streams as the client library gives them: fields by name."""
    if not answer:
        return []
    return [
        [stream, [(entry, dict(zip(fields[::2], fields[1::2], strict=True))) for entry, fields in entries]]
        for stream, entries in answer.items()
    ]


def _text(answer: Any) -> bytes:
    return answer if isinstance(answer, bytes) else b""
