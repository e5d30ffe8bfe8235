"""What a value should have been, in words of people: the library that reads JSON and TOML speaks of its types."""

from __future__ import annotations

import re
from typing import Final

_TYPES: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "null": "nothing",
    "array": "a list",
    "object": "an object",
}
_OTHER: Final = re.compile(r"Expected `([^`]+)`(?:, got `([^`]+)`)?")
_BOUND: Final = re.compile(r"Expected `(int|float)` (>=|<=|>|<) (\S+)( \(.*\))?")
_LENGTH: Final = re.compile(r"Expected `(str|array|object|bytes)` of length (>=|<=|==) ([0-9]+)")
_PATTERN: Final = re.compile(r"Expected `str` matching regex (.*)", re.DOTALL)
_CHOICE: Final = re.compile(r"Invalid enum value (.*)", re.DOTALL)
_BOUNDS: Final = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below", "==": "of exactly"}
_COUNTED: Final = {"str": "letters", "array": "entries", "object": "entries", "bytes": "bytes"}


def plain_words(words: str) -> str:
    """The library's words as a person says them; whatever else it says stays as it is.

    >>> plain_words("Expected `int`, got `str`"), plain_words("Expected `int | null` >= 1")
    ('a whole number is wanted, and this is text', 'Expected `int | null` >= 1')
    >>> plain_words("Expected `float` > 0.0"), plain_words("Invalid enum value 'blue'")
    ('a number above 0.0 is wanted', "'blue' is no choice")
    >>> plain_words("Expected `array` of length >= 1")
    'a list of at least 1 entries is wanted'
    """
    if found := _BOUND.fullmatch(words):
        return f"{_TYPES[found[1]]} {_BOUNDS[found[2]]} {found[3]}{found[4] or ''} is wanted"
    if found := _LENGTH.fullmatch(words):
        return f"{_TYPES.get(found[1], found[1])} {_BOUNDS[found[2]]} {found[3]} {_COUNTED[found[1]]} is wanted"
    if found := _PATTERN.fullmatch(words):
        return f"text is wanted that matches {found[1]}"
    if found := _CHOICE.fullmatch(words):
        return f"{found[1]} is no choice"
    if found := _OTHER.fullmatch(words):
        return f"{_named(found[1])} is wanted" + (f", and this is {_named(found[2])}" if found[2] else "")
    return words


def _named(kinds: str) -> str:
    return " or ".join(_TYPES.get(kind, kind) for kind in kinds.split(" | "))
