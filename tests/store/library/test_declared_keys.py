"""The KEYS of a header are the keys that the function can reach: none missing (it would fault), none for show.

What a function can reach is read from the sources: the keys that its code names, that of the functions it calls, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources

import pytest

from northstar.store.function_library import build, read_lua_file, read_sources
from northstar.store.keys import KEY_KINDS
from tests.store.library.lua_text import LuaFunction, Token, functions, tokens

SHARED, FUNCTIONS = read_sources(resources.files("northstar.store") / "lua")
FILES = SHARED | FUNCTIONS

_RUNNING = "only jobs under a lease come here, and those are in no retry pause"
#: Reachable by name only: keys behind a status that a job cannot have when it comes here.
NOT_REACHED: dict[str, tuple[set[str], str]] = {
    "complete": (
        {"waiting", "ages", "heads", "backlog", "delayed"},
        "only running jobs come here; none waits, none pauses",
    ),
    "complete_and_claim": ({"delayed"}, _RUNNING),
    "drain_machine": ({"delayed"}, _RUNNING),
    "fail": ({"waiting", "ages", "heads", "backlog"}, "only running jobs come here; none waits"),
    "register_machine": ({"delayed"}, _RUNNING),
    "release": ({"delayed"}, _RUNNING),
    "remove_machine": ({"delayed"}, _RUNNING),
    "revoke": ({"delayed"}, _RUNNING),
    "transfer_out": (
        {"delayed", "held", "leases", "machines"},
        "only queued jobs come here; none is leased, none pauses",
    ),
}


def _calls(body: tuple[Token, ...]) -> Iterator[str]:
    for at, token in enumerate(body):
        if token.kind != "name":
            continue
        before = body[at - 1].text if at else ""
        if before == ":" or (before == "." and at > 1 and body[at - 2].text == "ns"):
            yield f"method {token.text}" if before == ":" else f"ns.{token.text}"
        elif before != ".":
            yield token.text


def _keys_named(words: tuple[Token, ...]) -> Iterator[str]:
    """Strings that name a key where one is meant: among the first arguments of a method, or of `each`, which reads by name."""
    for at, token in enumerate(words):
        if token.kind == "string" and token.text in KEY_KINDS and words[at - 1].text in {"(", ","}:
            opening = at - 1 if words[at - 1].text == "(" else at - 3
            is_method = words[opening - 2].text == ":"
            if words[opening].text == "(" and (is_method or words[opening - 1].text == "each"):
                yield token.text


def _lists_of_keys(source: str) -> set[str]:
    """Keys in constant lists at the top of a file, which code goes through: BY_CLOCK = { 'deadlines', … }."""
    words = tokens(source)
    found: set[str] = set()
    for at, token in enumerate(words):
        if token.text != "{":
            continue
        end = next(p for p in range(at, len(words)) if words[p].text == "}")
        inside = [w.text for w in words[at + 1 : end] if w.kind == "string"]
        if inside and len(inside) > 1 and set(inside) <= set(KEY_KINDS):
            found |= set(inside)
        named = [w.text for w in words[at + 1 : end] if w.kind == "name"]
        if len(named) > 1 and words[end - 1].text == "true":
            found |= set(named) & set(KEY_KINDS)
    return found


@cache
def _definitions() -> dict[tuple[str, str], LuaFunction]:
    return {(name, f.name): f for name, source in FILES.items() for f in functions(source)}


@cache
def _by_global_name() -> dict[str, tuple[str, str]]:
    """`ns.x`, and methods of the cell, to where they are defined."""
    found: dict[str, tuple[str, str]] = {}
    for (file, name), function in _definitions().items():
        if not function.is_local:
            found[f"method {name.split('.')[1]}" if name.startswith("Cell.") else name] = (file, name)
    # `ns.lower = lower`: a local function that is shared under its own name.
    for file, source in SHARED.items():
        words = tokens(source)
        for at, token in enumerate(words[:-4]):
            name = words[at + 2].text
            if (
                token.text == "ns"
                and words[at + 3].text == "="
                and (file, words[at + 4].text) in _definitions()
                and words[at + 4].text == name
            ):
                found[f"ns.{name}"] = (file, name)
    return found


def reachable(name: str) -> set[str]:
    """Keys that the handler of this function may touch."""
    start = (name, f"ns.handlers.{name}")
    seen, pending, keys = {start}, [start], {"meta"}
    while pending:
        file, function = pending.pop()
        body = _definitions()[file, function].body
        keys |= set(_keys_named(body))
        keys |= _lists_of_keys(FILES[file])
        for called in _calls(body):
            target = (file, called) if (file, called) in _definitions() else _by_global_name().get(called)
            if target and target not in seen:
                seen.add(target)
                pending.append(target)
    return keys


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_declares_every_key_that_it_can_reach(name: str) -> None:
    unreached, _ = NOT_REACHED.get(name, (set(), ""))
    assert reachable(name) - unreached - set(build().functions[name].keys) == set()


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_declares_no_key_that_it_cannot_reach(name: str) -> None:
    assert set(build().functions[name].keys) - reachable(name) == set()


@pytest.mark.parametrize("name", sorted(NOT_REACHED))
def test_an_exception_is_still_needed_and_reasoned(name: str) -> None:
    keys, reason = NOT_REACHED[name]
    assert reason
    assert keys <= reachable(name) - set(build().functions[name].keys)


def test_the_header_says_its_keys_in_the_fixed_order_of_nothing_but_keys() -> None:
    for name, source in FUNCTIONS.items():
        assert set(read_lua_file(name, source).fields["KEYS"].split()) <= set(KEY_KINDS), name
