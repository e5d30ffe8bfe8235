"""How often one address may present a token or an invite that does not count; then it waits, and ever longer if it goes on."""

from __future__ import annotations

import msgspec


class WrongTokenRule(msgspec.Struct, frozen=True, kw_only=True):
    """So many wrong ones at once, and one more each `every_s` seconds; no pause is longer than `longest_s`."""

    #: 0: as many as they like.
    burst: int = 10
    every_s: float = 6.0
    longest_s: float = 300.0


class Allowance(msgspec.Struct, frozen=True):
    """What an address has left, as of `at_s`. Below nothing: it tried many at once before the first was answered."""

    left: float
    at_s: float


def pause_s(allowance: Allowance | None, now_s: float, rule: WrongTokenRule) -> float:
    """How long the address must wait until it may try again, in seconds; None is an address that nobody has complained of."""
    if allowance is None or rule.burst == 0:
        return 0.0
    left = _left(allowance, now_s, rule)
    return 0.0 if left >= 1.0 else min(rule.longest_s, (1.0 - left) * rule.every_s)


def after_a_wrong_one(allowance: Allowance | None, now_s: float, rule: WrongTokenRule) -> Allowance:
    """What is left after one more that does not count."""
    left = float(rule.burst) if allowance is None else _left(allowance, now_s, rule)
    least = 1.0 - rule.longest_s / rule.every_s
    return Allowance(max(least, left - 1.0), now_s)


def _left(allowance: Allowance, now_s: float, rule: WrongTokenRule) -> float:
    regained = max(0.0, now_s - allowance.at_s) / rule.every_s
    return min(float(rule.burst), allowance.left + regained)
