"""Server-sent events out of a byte stream that may be cut anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from northstar.domain.amounts import exactly

#: Longest single line, and longest single event, that a well-meaning engine sends.
MAX_EVENT_BYTES: Final = 1024 * 1024


class EventTooLong(ValueError):
    """A line or an event is longer than the parser may hold."""


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One event; `name` is empty where the stream gave none, and so is `id`."""

    data: str
    name: str = ""
    #: Where a reader that comes back may say it was (`Last-Event-ID`).
    id: str = ""


class EventStream:
    """Turns chunks of bytes into events, as the HTML standard says: CR, LF and CRLF, comments, several data lines.

    `error: {...}` lines, which some engines send instead of a data line, become events named `error`.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest = bytearray()
        self._after_cr = False
        self._first = True
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._name = b""
        self._id = b""

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Take the next bytes; give the events that they complete.

        Raises:
            EventTooLong: a line or an event exceeds the bound.
        """
        for line in self._lines(chunk):
            event = self._take(line)
            if event is not None:
                yield event

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        if not chunk:
            return
        if self._after_cr and chunk.startswith(b"\n"):  # the second half of a CRLF that was cut in two
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r") if chunk else False
        pieces = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest += pieces[0]  # only ever grows at its end, so that tiny chunks stay cheap
        if len(self._rest) > self._max_event_bytes:
            raise EventTooLong(f"a line of more than {exactly(self._max_event_bytes)}")
        if len(pieces) == 1:
            return
        whole, self._rest = bytes(self._rest), bytearray(pieces[-1])
        yield whole
        yield from pieces[1:-1]

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if self._first:
            self._first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field in (b"data", b"error"):
            self._data.append(value)
            self._data_bytes += len(value) + 1
            if self._data_bytes > self._max_event_bytes:
                raise EventTooLong(f"an event of more than {exactly(self._max_event_bytes)}")
        if field == b"error":
            self._name = b"error"
        elif field == b"event":
            self._name = value[:64]
        elif field == b"id" and b"\0" not in value:
            self._id = value[:256]
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, name, event_id = self._data, self._name, self._id
        # Unlike the standard, which has an event without an id carry that of the one before: what carries none cannot be returned to.
        self._data, self._data_bytes, self._name, self._id = [], 0, b"", b""
        if not data:
            return None
        text, *words = (part.decode(errors="replace") for part in (b"\n".join(data), name, event_id))
        return ServerSentEvent(text, *words)
