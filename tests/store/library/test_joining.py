"""The joiner refuses Lua files that would make a library other than what their headers say."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

import pytest
from valkey import Valkey
from valkey.exceptions import ResponseError

from northstar.store.function_library import Library, LibrarySourceError, join, read_lua_file, read_sources
from tests.servers import RunningServer
from tests.store.library.conftest import connect_to
from tests.store.library.rig import ask

PING = "--[[ ping: answers.\n  KEYS   meta jobs\n  FLAGS  no-writes ]]\nfunction ns.handlers.ping() return {} end\n"
SERVE = "--[[ serve: a stand-in. ]]\nfunction ns.serve(spec) return function() return spec.name end end\n"


def shared(**needs: str) -> dict[str, str]:
    return {name: f"--[[ {name}: a part.\n  needs: {need} ]]\n" for name, need in needs.items()}


def joined(parts: Mapping[str, str] | None = None, ping: str = PING, **versions: int) -> Library:
    return join(parts or {}, {"ping": ping}, **versions)


def test_a_file_without_its_contract_is_refused() -> None:
    with pytest.raises(LibrarySourceError, match=r"ping\.lua must begin with '--\[\[ ping: "):
        joined(ping="function ns.handlers.ping() end")


def test_a_header_with_another_files_name_is_refused() -> None:
    with pytest.raises(LibrarySourceError, match=r"pong\.lua must begin with"):
        read_lua_file("pong", PING)


def test_a_circle_of_needs_is_refused_with_its_path() -> None:
    with pytest.raises(LibrarySourceError, match="circular needs: a -> b -> c -> a"):
        joined(shared(a="b", b="c", c="a"))


def test_an_unknown_need_is_refused_with_the_path_to_it() -> None:
    with pytest.raises(LibrarySourceError, match=r"a -> b needs nowhere\.lua, which does not exist"):
        joined(shared(a="b", b="nowhere"))


def test_needed_files_come_first() -> None:
    library = joined(shared(a="z", z="m") | {"m": "--[[ m: a part. ]]\n"})
    places = [library.source.index(f"--[[ {name}:") for name in ("m", "z", "a", "ping")]
    assert places == sorted(places)


def test_a_return_outside_a_function_is_refused() -> None:
    with pytest.raises(LibrarySourceError, match="returns outside a function, which would silently drop"):
        joined(ping=PING + "return ns\n")


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ("meta jobz", r"declares unknown keys \['jobz'\]; they are listed in store/keys\.py"),
        ("meta jobs jobs", "must declare its KEYS, each once, 'meta' first"),
        ("jobs meta", "must declare its KEYS, each once, 'meta' first"),
        ("", "must declare its KEYS, each once, 'meta' first"),
    ],
)
def test_keys_are_known_declared_once_and_meta_comes_first(keys: str, sentence: str) -> None:
    with pytest.raises(LibrarySourceError, match=rf"ping\.lua {sentence}"):
        joined(ping=PING.replace("meta jobs", keys))


def test_an_unknown_flag_is_refused() -> None:
    with pytest.raises(LibrarySourceError, match=r"ping\.lua has unknown flags \['allow-stale'\]"):
        joined(ping=PING.replace("no-writes", "allow-stale"))


def test_the_same_sources_give_the_same_text_whatever_their_order() -> None:
    parts, functions = read_sources(resources.files("northstar.store") / "lua")
    turned = join(dict(reversed(parts.items())), dict(reversed(functions.items())))
    assert turned == join(parts, functions)


def test_every_change_of_source_version_or_schema_gives_another_digest() -> None:
    changed = [joined(), joined(ping=PING + "-- a remark\n"), joined(version=2), joined(schema=2)]
    assert len({library.digest for library in changed}) == len(changed)


def test_name_and_functions_carry_the_version() -> None:
    library = joined(version=7)
    assert library.name == "northstar_7"
    assert library.functions["ping"].server_name == "ns7_ping"
    assert library.source.startswith("#!lua name=northstar_7\n")


def test_more_locals_than_one_chunk_allows_can_be_spread_over_files(valkey_server: RunningServer) -> None:
    many = "".join(f"local name_{number} = {number}\n" for number in range(150))
    parts = {name: f"--[[ {name}: many locals. ]]\n{many}" for name in ("a", "b")}
    with connect_to(valkey_server) as server:
        load_and_delete(server, joined(parts | {"serve": SERVE}, version=8001))


def test_a_file_with_too_many_locals_does_not_load_and_says_why(valkey_server: RunningServer) -> None:
    many = "".join(f"local name_{number} = {number}\n" for number in range(201))
    broken = joined({"a": f"--[[ a: too many locals. ]]\n{many}", "serve": SERVE}, version=8002)
    with connect_to(valkey_server) as server, pytest.raises(ResponseError, match="200 local variables"):
        load_and_delete(server, broken)


def test_a_function_with_too_many_upvalues_does_not_load_and_says_why(valkey_server: RunningServer) -> None:
    names = [f"name_{number}" for number in range(61)]
    locals_, uses = "".join(f"local {name} = 1\n" for name in names), ", ".join(names)
    broken = joined({"a": f"--[[ a: x. ]]\n{locals_}function ns.a() return {uses} end\n", "serve": SERVE}, version=8003)
    with connect_to(valkey_server) as server, pytest.raises(ResponseError, match="60 upvalues"):
        load_and_delete(server, broken)


def load_and_delete(server: Valkey, library: Library) -> None:
    ask(server, "FUNCTION", "LOAD", library.source)
    ask(server, "FUNCTION", "DELETE", library.name)
