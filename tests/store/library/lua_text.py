"""Enough of Lua's grammar to read the library: tokens without comments, and the functions of a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""
      (?P<comment>--\[(?P<level>=*)\[.*?\](?P=level)\] | --[^\n]*)
    | (?P<long>\[(?P<depth>=*)\[.*?\](?P=depth)\])
    | (?P<string>'(?:\\.|[^'\\\n])*' | "(?:\\.|[^"\\\n])*")
    | (?P<number>0[xX][0-9a-fA-F]+ | \d+\.?\d*(?:[eE][+-]?\d+)?)
    | (?P<name>[A-Za-z_]\w*)
    | (?P<operator>\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^#<>=(){}\[\];:,.])
    | (?P<blank>\s+)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENS = {"function", "if", "do", "repeat"}
_CLOSES = {"end", "until"}


@dataclass(frozen=True)
class Token:
    """One word of Lua. `kind` is string, number, name or operator; a string's text is without its quotes."""

    kind: str
    text: str
    line: int


def tokens(source: str) -> list[Token]:
    """The words of `source`, comments left out. Raises ValueError where it is no Lua."""
    return list(_scan(source))


def _scan(source: str) -> Iterator[Token]:
    at, line = 0, 1
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise ValueError(f"line {line}: no Lua: {source[at : at + 20]!r}")
        kind, text = str(match.lastgroup), match[0]
        kind = next(k for k in ("comment", "long", "string", "number", "name", "operator", "blank") if match[k])
        if kind == "string":
            yield Token("string", text[1:-1], line)
        elif kind == "long":
            width = len(match["depth"]) + 2
            yield Token("string", text[width:-width], line)
        elif kind not in {"comment", "blank"}:
            yield Token(kind, text, line)
        line += text.count("\n")
        at = match.end()


@dataclass(frozen=True)
class LuaFunction:
    """A function defined at the top of a file, by its full name (`ns.finish`, `Cell.read`, or a local `retry`)."""

    name: str
    is_local: bool
    body: tuple[Token, ...] = field(repr=False)
    first_line: int
    last_line: int

    @property
    def lines(self) -> int:
        return self.last_line - self.first_line + 1


def functions(source: str) -> list[LuaFunction]:
    """The functions at the top level of a file, in order; functions inside them belong to their bodies."""
    words, found, at = tokens(source), [], 0
    while at < len(words):
        if words[at].text == "function" and words[at].kind == "name":
            name_end = at + 1
            while words[name_end].text != "(":
                name_end += 1
            name = "".join(word.text for word in words[at + 1 : name_end]).replace(":", ".")
            end = _end_of_block(words, at)
            is_local = at > 0 and words[at - 1].text == "local"
            found.append(LuaFunction(name, is_local, tuple(words[name_end:end]), words[at].line, words[end].line))
            at = end
        at += 1
    return found


def _end_of_block(words: list[Token], at: int) -> int:
    depth = 0
    for position in range(at, len(words)):
        if words[position].kind != "name":
            continue
        depth += (words[position].text in _OPENS) - (words[position].text in _CLOSES)
        if depth == 0:
            return position
    raise ValueError(f"line {words[at].line}: a block has no end")
