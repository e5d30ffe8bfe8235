"""What a trace of commands must look like, so that no half transition can exist. See `unit_of_work.lua`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from northstar.store.keys import KEY_KINDS

Command = Sequence[bytes]

#: Commands that fail on a key of another type, and the type they prove.
PROVES = {
    "hash": {b"HGET", b"HMGET", b"HLEN", b"HKEYS"},
    "zset": {b"ZCARD", b"ZCOUNT", b"ZLEXCOUNT", b"ZRANGE", b"ZRANGEBYLEX", b"ZRANGEBYSCORE", b"ZRANK", b"ZSCORE"},
    "stream": {b"XLEN"},
}
KIND_OF_WRITE = {
    b"HSET": "hash",
    b"HDEL": "hash",
    b"ZADD": "zset",
    b"ZREM": "zset",
    b"XADD": "stream",
    b"XTRIM": "stream",
}
#: Lua's `unpack` gives up at about 8,000 values.
MAX_WORDS = 7_999


def is_write(command: Command) -> bool:
    return command[0] in KIND_OF_WRITE or command[0] == b"SPUBLISH"


def first_write(trace: Sequence[Command]) -> int:
    """Position of the first write, counted from 1; one past the end when nothing is written."""
    return next((at for at, command in enumerate(trace, 1) if is_write(command)), len(trace) + 1)


def key_name(command: Command) -> str:
    """`jobs` of `ns:{cell}:jobs`."""
    return command[1].decode().rsplit(":", 1)[1]


def faults_of(trace: Sequence[Command]) -> list[str]:
    """What is wrong with a trace; nothing, if none of its writes can fail once one of them was done."""
    start = first_write(trace) - 1
    reads, writes = trace[:start], trace[start:]
    proved = {key_name(c) for c in reads if len(c) > 1 and c[0] in PROVES[KEY_KINDS[key_name(c)]]}
    found = [f"reads {c[0]!r} after the first write" for c in writes if not is_write(c)]
    for command in writes:
        if command[0] in KIND_OF_WRITE and key_name(command) not in proved:
            found.append(f"writes {key_name(command)}, whose type nothing proved")
        if command[0] in KIND_OF_WRITE and KEY_KINDS[key_name(command)] != KIND_OF_WRITE[command[0]]:
            found.append(f"{command[0]!r} on {key_name(command)}")
        if is_write(command) and not _well_formed(command):
            found.append(f"malformed: {command[:6]!r}")
    return found + _disordered(writes)


def _well_formed(command: Command) -> bool:
    return len(command) <= MAX_WORDS and _SHAPES[command[0]](command)


def _pairs(command: Command) -> bool:
    return len(command) >= 4 and len(command) % 2 == 0


def _scored(command: Command) -> bool:
    return _pairs(command) and all(math.isfinite(float(score)) for score in command[2::2])


def _members(command: Command) -> bool:
    return len(command) >= 3


def _trim(command: Command) -> bool:
    return list(command[2:4]) == [b"MAXLEN", b"="] and len(command) == 5 and int(command[4]) >= 0


def _bell(command: Command) -> bool:
    """In the cell's own slot, so that a cluster takes it."""
    return len(command) == 3 and command[1].startswith(b"ns:{") and b"}:meta:bell:" in command[1]


_SHAPES: dict[bytes, Callable[[Command], bool]] = {
    b"HSET": _pairs,
    b"HDEL": _members,
    b"ZADD": _scored,
    b"ZREM": _members,
    b"XADD": lambda c: len(c) == 5 and c[3] == b"e" and len(_event_id(c[2])) == 2,
    b"XTRIM": _trim,
    b"SPUBLISH": _bell,
}


def _event_id(text: bytes) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(b"-"))


def _disordered(writes: Sequence[Command]) -> list[str]:
    """XADD refuses an id that is not above the last one."""
    ids = [_event_id(command[2]) for command in writes if command[0] == b"XADD"]
    return [] if ids == sorted(set(ids)) else [f"event ids do not rise: {ids}"]
