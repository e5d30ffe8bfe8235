"""Join the Lua files into one function library, and describe its functions by their headers.

A library cannot `require`, so joining is done here. Every file begins with a comment that is its contract; the joiner reads
from it which shared files come first (`needs:`), which keys a function declares (`KEYS`) and its flags (`FLAGS`).
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from northstar.store.keys import KEY_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

#: Part of the library's and all functions' names. Raised when a call's meaning changes; both versions then live side by side.
LIBRARY_VERSION = 1
#: Layout of the records in a cell. Raised only by a change that an older library cannot live with.
SCHEMA_VERSION = 1

_HEADER = re.compile(r"\A--\[\[ (?P<name>\w+): (?P<text>.*?)\]\]", re.DOTALL)
_FIELD = re.compile(r"^  (?P<field>KEYS|FLAGS|TAKES|GIVES|REFUSES|EVENTS|COST)\b", re.MULTILINE)
_LUA_FLAGS = {"allow-oom", "no-writes"}
#: What the library uses of Lua and the server. A function reaches a global by way of two tables, a local without any, so they are
#: made locals; while the library loads they do not exist yet, so the first call binds them.
GLOBALS = (
    "cmsgpack", "collectgarbage", "error", "ipairs", "math", "next", "pcall", "redis", "setmetatable", "string", "table", "tonumber", "tostring",
    "type", "unpack",
)  # fmt: skip
_NAMES = ", ".join(GLOBALS)
_BINDING = (
    "local register_function = redis.register_function\n"
    f"local function globals() return {_NAMES} end\n"
    f"local {_NAMES}\n"
    f"function ns.bind() {_NAMES} = globals() end\n"
)
_OWN_FLAGS = {"creating"}


class LibrarySourceError(ValueError):
    """The Lua sources cannot be joined; a programmer's mistake, found when the library is built."""


class LuaFile(msgspec.Struct, frozen=True):
    """One Lua file and what its header says."""

    name: str
    source: str
    needs: tuple[str, ...]
    fields: dict[str, str]


class FunctionSpec(msgspec.Struct, frozen=True):
    """One server-side function: its name on the server and the keys it declares, in order."""

    name: str
    server_name: str
    keys: tuple[str, ...]
    flags: tuple[str, ...]

    @property
    def reads_only(self) -> bool:
        """Whether it may be called with FCALL_RO."""
        return "no-writes" in self.flags


class Library(msgspec.Struct, frozen=True):
    """A built library: what is loaded, and how it is called."""

    name: str
    version: int
    schema: int
    source: str
    digest: str
    functions: dict[str, FunctionSpec]


def _fields_of(text: str) -> dict[str, str]:
    marks = list(_FIELD.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return {mark["field"]: " ".join(text[mark.end() : end].split()) for mark, end in zip(marks, ends, strict=False)}


def read_lua_file(name: str, source: str) -> LuaFile:
    """Parse one file's header. Raises LibrarySourceError when the contract is missing or the chunk would end the load early."""
    header = _HEADER.match(source)
    if header is None or header["name"] != name:
        raise LibrarySourceError(f"{name}.lua must begin with '--[[ {name}: …]]', its contract")
    if re.search(r"^return\b", source, re.MULTILINE):
        raise LibrarySourceError(
            f"{name}.lua returns outside a function, which would silently drop every later function"
        )
    needs = re.search(r"^  needs: (.+)$", header["text"], re.MULTILINE)
    return LuaFile(
        name=name,
        source=source,
        needs=tuple(needs[1].split()) if needs else (),
        fields=_fields_of(header["text"]),
    )


def in_order(files: Mapping[str, LuaFile]) -> list[LuaFile]:
    """Files with those they need before them. Raises LibrarySourceError for a circle or an unknown name, with the path to it."""
    done: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in done:
            return
        if name in path:
            raise LibrarySourceError(f"circular needs: {' -> '.join((*path, name))}")
        if name not in files:
            raise LibrarySourceError(f"{' -> '.join(path)} needs {name}.lua, which does not exist")
        for need in files[name].needs:
            visit(need, (*path, name))
        done.append(name)

    for name in sorted(files):
        visit(name, ())
    return [files[name] for name in done]


def _spec(file: LuaFile, version: int) -> FunctionSpec:
    keys, flags = tuple(file.fields.get("KEYS", "").split()), tuple(file.fields.get("FLAGS", "").split())
    if unknown := [key for key in keys if key not in KEY_KINDS]:
        raise LibrarySourceError(f"{file.name}.lua declares unknown keys {unknown}; they are listed in store/keys.py")
    if not keys or keys[0] != "meta" or len(set(keys)) != len(keys):
        raise LibrarySourceError(f"{file.name}.lua must declare its KEYS, each once, 'meta' first")
    if unknown := [flag for flag in flags if flag not in _LUA_FLAGS | _OWN_FLAGS]:
        raise LibrarySourceError(f"{file.name}.lua has unknown flags {unknown}")
    return FunctionSpec(name=file.name, server_name=f"ns{version}_{file.name}", keys=keys, flags=flags)


def _quoted(words: tuple[str, ...]) -> str:
    return "{ " + ", ".join(f"'{word}'" for word in words) + " }"


def _registration(spec: FunctionSpec) -> str:
    traits = f"creating = {str('creating' in spec.flags).lower()}, reads_only = {str(spec.reads_only).lower()}"
    flags = tuple(flag for flag in spec.flags if flag in _LUA_FLAGS)
    return (
        f"register_function{{ function_name = '{spec.server_name}', flags = {_quoted(flags)},\n"
        f"  callback = ns.serve{{ name = '{spec.name}', keys = {_quoted(spec.keys)}, {traits} }} }}\n"
    )


def join(
    shared: Mapping[str, str],
    functions: Mapping[str, str],
    *,
    version: int = LIBRARY_VERSION,
    schema: int = SCHEMA_VERSION,
) -> Library:
    """Build the library from sources by name. Deterministic: the same sources give the same text and digest."""
    files = in_order({name: read_lua_file(name, source) for name, source in shared.items()})
    handlers = [read_lua_file(name, functions[name]) for name in sorted(functions)]
    specs = {file.name: _spec(file, version) for file in handlers}
    body = _BINDING + "".join(f"do\n{file.source}\nend\n" for file in (*files, *handlers))
    body += "".join(_registration(spec) for spec in specs.values())
    kinds = ", ".join(f"{name} = '{kind}'" for name, kind in KEY_KINDS.items())
    constants = f"VERSION = {version}, SCHEMA = {schema}, KIND = {{ {kinds} }}, handlers = {{}}"
    digest = hashlib.sha256((constants + body).encode()).hexdigest()[:16]
    name = f"northstar_{version}"
    source = f"#!lua name={name}\nlocal ns = {{ DIGEST = '{digest}', {constants} }}\n{body}"
    return Library(name=name, version=version, schema=schema, source=source, digest=digest, functions=specs)


def read_sources(folder: Path | Traversable) -> tuple[dict[str, str], dict[str, str]]:
    """Shared pieces and functions under `folder`, by name."""

    def texts(part: str) -> dict[str, str]:
        files = [file for file in folder.joinpath(part).iterdir() if file.name.endswith(".lua")]
        return {file.name.removesuffix(".lua"): file.read_text(encoding="utf-8") for file in files}

    return texts("shared"), texts("functions")


@cache
def build() -> Library:
    """The library of this installation."""
    shared, functions = read_sources(resources.files("northstar.store") / "lua")
    return join(shared, functions)
