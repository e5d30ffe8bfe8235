"""A build of the library, under a version of its own, that records every command and makes the k-th one fail.

The sources are the real ones; only the two places that reach the server, and the entry of a call, are rewritten. A call takes
a fourth argument, msgpack: {at, kind}; what it did is asked for afterwards with `trace_of`.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import msgspec
from valkey import Valkey

from northstar.store.function_library import Library, join, read_sources
from tests.store.library.rig import ask

VERSION = 9001
#: Where the library reaches the server. `test_what_the_library_may_use` sees to it that there is no other place.
REACHES_THE_SERVER = ("unit_of_work", "commit", "clock")

OOM = "OOM command not allowed when used memory > 'maxmemory'."
WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"

_PRELUDE = f"""--[[ trace: records commands, and lets one fail. ]]
ns.trace = {{ commands = {{}} }}

function ns.trace_from(argument)
  ns.trace = {{ commands = {{}}, fault = argument and cmsgpack.unpack(argument) or {{}} }}
end

function ns.traced(...)
  local trace = ns.trace
  local words = {{}}
  for position = 1, select('#', ...) do words[position] = tostring((select(position, ...))) end
  trace.commands[#trace.commands + 1] = words
  if trace.fault.at == #trace.commands then
    if trace.fault.kind == 'oom' then error({{ err = "{OOM}" }}, 0) end
    if trace.fault.kind == 'wrongtype' then error({{ err = '{WRONGTYPE}' }}, 0) end
    error('injected fault')
  end
  return redis.call(...)
end
"""
_LAST_TRACE = f"""
register_function{{ function_name = 'ns{VERSION}_last_trace', flags = {{ 'no-writes' }},
  callback = function() return ns.trace.commands end }}
"""


@cache
def instrumented() -> Library:
    """The library of this installation, with its commands recorded."""
    shared, functions = read_sources(resources.files("northstar.store") / "lua")
    shared["trace"] = _PRELUDE
    for name in REACHES_THE_SERVER:
        shared[name] = _once(shared[name], "  needs: ", "  needs: trace ").replace("redis.call(", "ns.traced(")
    shared["serving"] = _once(
        shared["serving"], "    local fine, cell", "    ns.trace_from(args[4])\n    local fine, cell"
    )
    library = join(shared, functions, version=VERSION)
    return msgspec.structs.replace(library, source=library.source + _LAST_TRACE)


def fault(at: int, kind: str) -> bytes:
    """The fourth argument of a call whose `at`-th command fails."""
    return msgspec.msgpack.encode({"at": at, "kind": kind})


def trace_of(server: Valkey) -> list[list[bytes]]:
    """The commands of the latest call on this server, in order, each as its words."""
    answer: Any = ask(server, "FCALL_RO", f"ns{VERSION}_last_trace", 0)
    return [list(words) for words in answer]


def _once(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    return text.replace(old, new)
