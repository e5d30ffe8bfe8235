"""Calls over so many connections, each waiting for its answer before the next: a client that costs as little as one can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

_WITHIN_S = 30.0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one kind over so many connections."""

    per_s: float
    p50_ms: float
    p99_ms: float
    answer_bytes: float


class AnswerWrong(Exception):
    """An answer was not the one expected; then no figure means anything."""


def call(method: str, path: str, *, key: str = "", body: bytes = b"") -> bytes:
    """A call as it goes over the line."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    if body:
        lines.append("Content-Type: application/json")
    if key:
        lines.append(f"Authorization: Bearer {key}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def measured(
    port: int, make: Callable[[int], bytes], *, status: int, connections: int, calls: int, first: int = 0
) -> Measured:
    """Send `calls` in all; `make` gives the bytes of one by its number, from `first` on.

    Raises:
        AnswerWrong: one had another status.
    """
    numbers = iter(range(first, first + calls))
    times_s: list[float] = []
    sizes: list[int] = []

    async def one_after_the_other() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for number in numbers:
                began_s = time.perf_counter()
                writer.write(make(number))
                found, size = await _answer(reader)
                times_s.append(time.perf_counter() - began_s)
                sizes.append(size)
                if found != status:
                    raise AnswerWrong(f"call {number} was answered with {found}, not {status}")
        finally:
            writer.close()

    began_s = time.perf_counter()
    async with asyncio.timeout(_WITHIN_S * max(1, calls / 1_000)), asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(one_after_the_other())
    passed_s = time.perf_counter() - began_s
    known = sorted(times_s)
    return Measured(
        per_s=calls / passed_s,
        p50_ms=known[len(known) // 2] * 1e3,
        p99_ms=known[min(len(known) - 1, len(known) * 99 // 100)] * 1e3,
        answer_bytes=sum(sizes) / len(sizes),
    )


async def _answer(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Status and bytes of the body."""
    head = await reader.readuntil(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    size = next(int(field.split(b":")[1]) for field in fields if field.lower().startswith(b"content-length:"))
    await reader.readexactly(size)
    return int(line.split()[1]), size
