"""Arithmetic that ComfyUI graphs do before they run, such as a number of frames from seconds; worked out without running anything."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

#: Longer formulas are left alone.
_MAX_CHARS: Final = 200
_MOST: Final = 1e15
_OPERATORS: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: Final[dict[str, Callable[..., float]]] = {
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "int": int,
    "max": max,
    "min": min,
    "round": round,
}


def worked_out(formula: str, names: Mapping[str, float]) -> float | None:
    """The value of a formula of numbers, names, `+ - * / // %` and a few functions; None if it is anything else.

    >>> worked_out("floor(a * b) + 1", {"a": 5.0, "b": 16.0})
    81
    >>> worked_out("a ** 999999", {"a": 9.0}) is None
    True
    """
    tree = _parsed(formula) if len(formula) <= _MAX_CHARS else None
    if tree is None:
        return None
    try:
        found = _value(tree, names)
    except (ArithmeticError, TypeError, ValueError, KeyError):
        return None
    return found if abs(found) <= _MOST else None


@lru_cache(maxsize=1_024)
def _parsed(formula: str) -> ast.expr | None:
    try:
        return ast.parse(formula.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _value(tree: ast.expr, names: Mapping[str, float]) -> float:
    """Raises what arithmetic raises, and `TypeError` for what is none."""
    match tree:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name):
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](_value(left, names), _value(right, names))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(argument, names) for argument in arguments))
        case _:
            raise TypeError(ast.dump(tree)[:80])
