"""Every Lua file is small, has a whole header, and defines just what it is named for."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from northstar.domain.refusals import REFUSALS
from northstar.store.function_library import read_lua_file, read_sources
from tests.store.library.lua_text import functions, tokens

SHARED, FUNCTIONS = read_sources(resources.files("northstar.store") / "lua")
FILES = SHARED | FUNCTIONS
MAX_LINES = 110
#: Two files hold one idea that would be harder to read in parts: reads and the commit that trusts them; a lane's five indexes.
LONGER = {"unit_of_work": 205, "lanes": 150, "leases": 150}
#: The longest file of a function: one submission touches everything that a job is.
LONGER_FUNCTIONS = {"submit": 150}
MAX_FUNCTION_LINES = 50
HEADER_FIELDS = ("KEYS", "TAKES", "GIVES", "EVENTS", "COST")


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_stays_small(name: str) -> None:
    allowed = (LONGER | LONGER_FUNCTIONS).get(name, MAX_LINES)
    assert FILES[name].count("\n") <= allowed


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_function_stays_small(name: str) -> None:
    assert {f.name: f.lines for f in functions(FILES[name]) if f.lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_line_fits_a_screen(name: str) -> None:
    longest = max(FILES[name].splitlines(), key=len)
    assert len(longest) <= 150, longest


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_file_defines_one_handler_of_its_own_name(name: str) -> None:
    handlers = [f.name for f in functions(FUNCTIONS[name]) if not f.is_local]
    assert handlers == [f"ns.handlers.{name}"]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_file_says_its_whole_contract(name: str) -> None:
    fields = read_lua_file(name, FUNCTIONS[name]).fields
    assert [field for field in HEADER_FIELDS if not fields.get(field)] == []


@pytest.mark.parametrize("name", sorted(SHARED))
def test_a_shared_file_defines_no_handler_and_leaves_no_global(name: str) -> None:
    names = [f.name for f in functions(SHARED[name]) if f.name and not f.is_local]
    assert [n for n in names if n.startswith("ns.handlers.") or n.split(".")[0] not in {"ns", "Cell"}] == []


def test_every_refusal_that_the_library_names_has_a_typed_error() -> None:
    named = {
        word
        for source in FILES.values()
        for token in tokens(source)
        if token.kind == "string"
        for word in re.findall(r"\bNS_[A-Z_]+[A-Z]\b", token.text)
    }
    # Made with a counter's name: see `numbered` in lanes.lua.
    named |= {"NS_TOO_MANY_LANES", "NS_TOO_MANY_CLASSES", "NS_TOO_MANY_PROFILES"}
    not_errors = {
        "NS_NOT_STARTED_IN_TIME",
        "NS_NOT_FINISHED_IN_TIME",
        "NS_MACHINES_LOST",
    }  # why a job ended, kept in its record
    assert named - not_errors - {"NS_TOO_MANY"} - set(REFUSALS) == set()


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_says_which_fields_it_takes(name: str) -> None:
    """`serving` checks a request against it before the function sees it."""
    assert f"\nns.takes.{name} = {{" in FUNCTIONS[name]
