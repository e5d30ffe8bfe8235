"""Other versions of the library, built from the real sources."""

from __future__ import annotations

from functools import cache
from importlib import resources

from northstar.store.function_library import Library, join, read_sources


def _replace_once(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    return text.replace(old, new)


def change(shared: dict[str, str], functions: dict[str, str]) -> None:
    """What the next version changes in these sources: a job's record has one more field, `fetched_ms`, which submit sets."""
    shared["records"] = _replace_once(shared["records"], "'digest', 'tag',\n}", "'digest', 'tag', 'fetched_ms',\n}")
    shared["records"] = _replace_once(shared["records"], "= 20, 30, 64", "= 20, 31, 64")
    functions["submit"] = _replace_once(
        functions["submit"], "  job[J.tag] = start_tag", "  job[J.fetched_ms] = 4711\n  job[J.tag] = start_tag"
    )


@cache
def next_version(*, schema: int = 1) -> Library:
    """Version 2, with what `change` changes."""
    shared, functions = read_sources(resources.files("northstar.store") / "lua")
    change(shared, functions)
    return join(shared, functions, version=2, schema=schema)


@cache
def same_name_other_code() -> Library:
    """A build of version 1 that somebody changed without giving it a version of its own."""
    shared, functions = read_sources(resources.files("northstar.store") / "lua")
    functions["pause"] += "-- changed\n"
    return join(shared, functions)
