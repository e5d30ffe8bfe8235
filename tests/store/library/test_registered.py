"""What the server has after loading is what the files say: no function is missing, none has other flags."""

from __future__ import annotations

from importlib import resources
from typing import Any

from valkey import Valkey

from northstar.store.function_library import build, read_sources
from tests.store.library.rig import ask


def _as_dict(pairs: Any) -> dict[bytes, Any]:
    return pairs if isinstance(pairs, dict) else dict(zip(pairs[::2], pairs[1::2], strict=True))


def registered(server: Valkey) -> dict[str, set[str]]:
    """Functions of this installation's library on the server, with their flags."""
    (library,) = ask(server, "FUNCTION", "LIST", "LIBRARYNAME", build().name)
    found = map(_as_dict, _as_dict(library)[b"functions"])
    return {entry[b"name"].decode(): {flag.decode() for flag in entry[b"flags"]} for entry in found}


def test_every_file_is_one_function_on_the_server_and_nothing_else_is(server: Valkey) -> None:
    _, files = read_sources(resources.files("northstar.store") / "lua")
    assert set(registered(server)) == {f"ns{build().version}_{name}" for name in files}


def test_the_flags_on_the_server_are_those_of_the_headers(server: Valkey) -> None:
    flags = registered(server)
    for spec in build().functions.values():
        assert flags[spec.server_name] == set(spec.flags) - {"creating"}, spec.name


def test_a_function_without_writes_can_be_called_read_only_and_no_other(server: Valkey) -> None:
    readers = {spec.name for spec in build().functions.values() if spec.reads_only}
    assert readers == {
        "authenticate",
        "inspect",
        "list_invites",
        "list_jobs",
        "list_tokens",
        "look_at_invite",
        "pending_orders",
        "statistics",
    }
