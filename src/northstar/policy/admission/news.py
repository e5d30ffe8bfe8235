"""How many words that nobody used before one machine may bring: names of models, packs and tags, which the cell keeps and bounds.

A machine with a large ComfyUI brings some hundred of each at once, and later a few. One that brings others all the time would fill the
cell's vocabulary, and keep every machine out that comes with a word of its own.
"""

from __future__ import annotations

import msgspec


class NewsRule(msgspec.Struct, frozen=True, kw_only=True):
    """So many at once, and one more each `every_s` seconds."""

    burst: int = 2_500
    every_s: float = 30.0


class Budget(msgspec.Struct, frozen=True):
    """What a machine has left, as of `at_s`."""

    left: float
    at_s: float


def left(budget: Budget | None, now_s: float, rule: NewsRule) -> float:
    """How many new words the machine may bring now; None is a machine that has brought none.

    >>> left(Budget(10.0, 0.0), 60.0, NewsRule(every_s=30.0))
    12.0
    """
    if budget is None:
        return float(rule.burst)
    return min(float(rule.burst), budget.left + max(0.0, now_s - budget.at_s) / rule.every_s)


def wait_s(words: int, budget: Budget | None, now_s: float, rule: NewsRule) -> float:
    """Seconds until so many new words may be brought; 0 for now."""
    return max(0.0, (min(words, rule.burst) - left(budget, now_s, rule)) * rule.every_s)


def after(words: int, budget: Budget | None, now_s: float, rule: NewsRule) -> Budget:
    """What is left once they were brought."""
    return Budget(left(budget, now_s, rule) - words, now_s)
