"""The clock section, enforced: one place asks the time, nothing expires by itself, nothing depends on an order nobody promised."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources

import pytest

from northstar.store.function_library import GLOBALS as BOUND
from northstar.store.function_library import read_sources
from tests.store.library.instrumented import REACHES_THE_SERVER
from tests.store.library.lua_text import Token, tokens

SHARED, FUNCTIONS = read_sources(resources.files("northstar.store") / "lua")
FILES = SHARED | FUNCTIONS

#: Everything the library asks of the server. What is not here is forbidden; each was looked at for time, chance and order.
READS = {
    "HGET", "HMGET", "HLEN", "HKEYS", "XLEN", "ZCARD", "ZCOUNT", "ZLEXCOUNT", "ZRANGE", "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZSCORE",
}  # fmt: skip
WRITES = {"HSET", "HDEL", "ZADD", "ZREM", "XADD", "XTRIM", "SPUBLISH"}
#: Commands allowed in certain files only, and why.
ONLY_IN = {
    "TIME": ({"clock"}, "the one clock helper"),
    "HKEYS": (
        {"choosing"},
        "the scopes of `pauses` are put into a set and only looked up; no decision depends on their order",
    ),
}
#: Words that would be commands or options bound to clocks, chance or an unpromised order. Named so that a reader sees the ban.
FORBIDDEN_WORDS = {
    "EXPIRE", "EXPIREAT", "EXPIRETIME", "PEXPIRE", "PEXPIREAT", "PEXPIRETIME", "HEXPIRE", "HPEXPIRE", "SETEX", "PSETEX", "GETEX",
    "PERSIST", "TTL", "PTTL", "PX", "EX", "PXAT", "EXAT", "KEEPTTL", "OBJECT", "IDLETIME", "IDLE", "TOUCH",
    "XGROUP", "XREADGROUP", "XREAD", "XCLAIM", "XAUTOCLAIM", "XPENDING", "XACK", "XINFO",
    "SRANDMEMBER", "SPOP", "RANDOMKEY", "HRANDFIELD", "ZRANDMEMBER", "SORT",
    "SMEMBERS", "SINTER", "SUNION", "SDIFF", "HGETALL", "HVALS", "KEYS", "SCAN", "HSCAN", "SSCAN", "ZSCAN",
    "PUBLISH", "EVAL", "DEBUG", "WAIT", "BLPOP", "BZPOPMIN", "DEL", "UNLINK", "RENAME", "FLUSHDB", "FLUSHALL", "SET", "GET", "INCR",
}  # fmt: skip
#: Globals of Lua and of the server that the library uses; all others are forbidden (`pairs`, `next`, `math.random`, `os`, …).
GLOBALS = {
    "cmsgpack": {"pack", "unpack"},
    "collectgarbage": set(),
    "error": set(),
    "ipairs": set(),
    "next": set(),
    "math": {"ceil", "floor", "max", "min"},
    "pcall": set(),
    "redis": {"acl_check_cmd", "call", "error_reply", "register_function"},
    "select": set(),
    "setmetatable": set(),
    "string": {"byte", "find", "format", "gsub", "lower", "match", "rep", "sub", "upper"},
    "table": {"concat", "insert", "maxn", "remove"},
    "tonumber": set(),
    "tostring": set(),
    "type": set(),
    "unpack": set(),
}
#: `redis.call` reaches the server, so it stands where `commit` can know of it; `redis.error_reply` makes an answer.
REACH = {
    "acl_check_cmd": {"open_cell"},
    "call": set(REACHES_THE_SERVER),
    "error_reply": {"serving"},
    "register_function": set(),
}
#: Only to set how large the collector's steps are, and never so small that it stops (0).
COLLECTOR_ONLY_IN = {"serving"}
PACE = "50"
#: Where `next` may stand, and why: it tells an empty table from one with names, which depends on no order.
NEXT_ONLY_IN = {"fields"}
COMMAND = re.compile(r"[A-Z]{2,}")
WORDS = {
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or", "repeat", "return",
    "then", "true", "until", "while",
}  # fmt: skip


def command_words() -> Iterator[tuple[str, Token]]:
    """Strings in capitals: commands and their options are written so, and nothing else is but names of refusals."""
    for name, source in FILES.items():
        for token in tokens(source):
            if token.kind == "string" and COMMAND.fullmatch(token.text):
                yield name, token


def test_only_commands_that_were_looked_at_are_used() -> None:
    options = {"LIMIT", "WITHSCORES", "MINID", "MAXLEN"}
    used = {token.text for _, token in command_words()}
    assert used - READS - WRITES - options - set(ONLY_IN) == set()


def test_no_command_or_option_bound_to_clocks_chance_or_hash_order_is_named() -> None:
    assert not FORBIDDEN_WORDS & (READS | WRITES)
    found = [
        f"{name}.lua:{token.line} {token.text}" for name, token in command_words() if token.text in FORBIDDEN_WORDS
    ]
    assert found == []


@pytest.mark.parametrize("command", sorted(ONLY_IN))
def test_a_command_that_is_allowed_for_a_reason_stays_where_the_reason_holds(command: str) -> None:
    files, reason = ONLY_IN[command]
    assert reason
    assert {name for name, token in command_words() if token.text == command} == files


def test_an_event_is_never_numbered_by_the_clock() -> None:
    """XADD '*' would take the id from the server's clock."""
    stars = [
        f"{name}.lua:{token.line}"
        for name in FILES
        for token in tokens(FILES[name])
        if token == Token("string", "*", token.line)
    ]
    assert stars == []


def asked(sources: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Where the server is asked for something, and for what: the word as it stands there, or how it is put together."""
    for name, source in sources.items():
        words = [*tokens(source), *[Token("operator", "", 0)] * 4]
        for at, word in enumerate(words):
            texts = [one.text for one in words[at : at + 4]]
            where = f"{name}.lua:{word.line}"
            if texts[0] in {"redis", "server"} and texts[1] == "." and texts[2] in {"call", "pcall"}:
                yield where, _first(words, at + 3, of="redis.call")
            elif texts[:2] == [":", "read"] and words[at - 1].text != "Cell":
                yield where, _first(words, at + 2, of="read")
            elif texts[0] == "{" and words[at + 1].kind == "string" and texts[2] == "," and _is_key(words, at + 3):
                if not words[at - 2].text.startswith("NS_"):  # what a refusal tells
                    yield where, texts[1]  # one of the commands that `commit` applies
            elif texts[:3] == ["COUNT", "=", "{"] and words[at - 1].text == "local":
                closes = next(place for place in range(at, len(words)) if words[place].text == "}")
                yield from ((where, one.text) for one in words[at:closes] if one.kind == "string")


def _first(words: list[Token], at: int, *, of: str) -> str:
    """The first argument: the string that it is, whole, or how it begins."""
    first, after = words[at + 1], words[at + 2]
    if words[at].text == "(" and first.kind == "string" and after.text in {",", ")"}:
        return first.text
    return f"{of}{words[at].text}{first.text}"


def _is_key(words: list[Token], at: int) -> bool:
    texts = [word.text for word in words[at : at + 3]]
    return texts[0] == "key" or texts[1:] == [":", "key"]


#: What is no word at the place itself: `read` passes on what it was given, `commit` what it collected, `size` one of COUNT.
PASSED_ON = {"redis.call(command", "redis.call(unpack", "read(COUNT"}


def not_looked_at(sources: Mapping[str, str]) -> list[tuple[str, str]]:
    """Commands that nobody allowed, to the letter: the server takes them in small letters too."""
    return [(where, word) for where, word in asked(sources) if word not in READS | WRITES | set(ONLY_IN) | PASSED_ON]


def test_whatever_is_asked_of_the_server_was_looked_at_to_the_letter() -> None:
    """A command comes as a string, from COUNT, or from `commit`'s own list; never put together."""
    assert not_looked_at(FILES) == []
    assert {word for _, word in asked(FILES)} == READS | WRITES | set(ONLY_IN) | PASSED_ON


@pytest.mark.parametrize(
    "line",
    [
        "local all = cell:read('hgetall', 'jobs')",
        "local all = other:read('hGetAll', 'jobs')",
        "local all = self:read 'HGETALL'",
        r"local all = cell:read('\72GETALL', 'jobs')",
        "local all = cell:read('HGET' .. 'ALL', 'jobs')",
        "local all = cell:read(wanted, 'jobs')",
        "redis.call('expire', key, 1)",
        'server.call("Expire", key, 1)',
        "redis.pcall('del', key)",
        "local call = redis.call",
        "writes[#writes + 1] = { 'hexpire', key, 1 }",
        "cell.events[1] = { 'xadd', cell:key('events'), '*' }",
    ],
)
def test_a_command_that_was_not_looked_at_is_seen_however_it_is_written(line: str) -> None:
    assert len(not_looked_at({"some": line})) == 1


def test_next_is_asked_only_whether_a_table_is_empty() -> None:
    for name, source in FILES.items():
        words = [token.text for token in tokens(source)]
        for at in (at for at, word in enumerate(words) if word == "next"):
            assert name in NEXT_ONLY_IN
            assert words[at + 4 : at + 6] == ["==", "nil"]


@pytest.mark.parametrize("what", sorted(REACH))
def test_the_server_is_reached_from_few_places(what: str) -> None:
    def uses(name: str) -> bool:
        texts = [token.text for token in tokens(FILES[name])]
        return any(texts[at : at + 3] == ["redis", ".", what] for at in range(len(texts)))

    assert {name for name in FILES if uses(name)} == REACH[what]


def test_the_collector_is_only_paced() -> None:
    calls = [
        (name, words[at + 2].text, words[at + 4].text)
        for name, words in ((name, tokens(FILES[name])) for name in FILES)
        for at, word in enumerate(words)
        if word.text == "collectgarbage"
    ]
    assert calls == [(name, "setstepmul", PACE) for name in COLLECTOR_ONLY_IN]


def test_every_global_in_use_is_bound_as_a_local() -> None:
    used = {token.text for name in FILES for token in tokens(FILES[name]) if token.kind == "name"}
    assert set(BOUND) == used & set(GLOBALS)


@pytest.mark.parametrize("name", sorted(FILES))
def test_only_globals_that_were_looked_at_are_used(name: str) -> None:
    """`pairs` and `next` go through a table in no promised order; `math.random` and `os` depend on more than the arguments."""
    words = [Token("operator", "", 0), *tokens(FILES[name]), Token("operator", "", 0), Token("operator", "", 0)]
    known, problems = _local_names(words) | set(GLOBALS) | {"ns", "self"} | WORDS, []
    for at, token in enumerate(words):
        if token.kind != "name" or words[at - 1].text in {".", ":"} or _is_field(words, at):
            continue
        if token.text not in known:
            problems.append(f"line {token.line}: {token.text}")
        elif words[at + 1].text == "." and (members := GLOBALS.get(token.text)) and words[at + 2].text not in members:
            problems.append(f"line {token.line}: {token.text}.{words[at + 2].text}")
    assert problems == []


def _is_field(words: list[Token], at: int) -> bool:
    """Whether the name is a key in a table: `{ name = … }`."""
    return words[at - 1].text in {"{", ","} and words[at + 1].text == "=" and words[at + 2].text != "="


def _local_names(words: list[Token]) -> set[str]:
    """Names declared by `local`, as parameters, or by `for`, anywhere in the file."""
    names: set[str] = set()
    for at, token in enumerate(words):
        if token.kind == "name" and token.text in {"local", "for", "function"}:
            position = at + 1
            while token.text == "function" and words[position].text != "(":
                position += 1
            ends = {")"} if token.text == "function" else {"=", "in"}
            while words[position].text not in ends and position < at + 40:
                if words[position].kind == "name" and words[position].line <= token.line + 1:
                    names.add(words[position].text)
                position += 1
    return names - WORDS
