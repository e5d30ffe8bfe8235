"""Figures and goals as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.evaluation.run_figures import NEVER_S

if TYPE_CHECKING:
    from northstar.evaluation.spread import Spread
    from northstar.evaluation.targets import Goal, Unit


def said(value: float, unit: Unit) -> str:
    """A value with its unit.

    >>> said(0.975, "share"), said(2.5, "s"), said(10_000, "n"), said(1.71, "x"), said(16.7, "/s")
    ('97.5 %', '2.5 s', '10,000', '1.71', '16.7/s')
    """
    match unit:
        case "share":
            return f"{100 * value:.2f}".rstrip("0").rstrip(".") + " %"
        case "s" if value >= NEVER_S:
            return "never"
        case "s" | "ms":
            return f"{_short(value)} {unit}"
        case "/s":
            return f"{_short(value)}/s"
        case _:
            return _short(value)


def goal_said(goal: Goal, unit: Unit) -> str:
    """A goal.

    >>> from northstar.evaluation.targets import Goal
    >>> goal_said(Goal(least=0.95), "share"), goal_said(Goal(most=3.0, is_strict=True), "s"), goal_said(Goal(least=0.75, most=0.85), "share")
    ('≥ 95 %', '< 3 s', '75 % – 85 %')
    """
    if goal.least is not None and goal.most is not None:
        return f"{said(goal.least, unit)} – {said(goal.most, unit)}"
    if goal.most is not None:
        return f"{'<' if goal.is_strict else '≤'} {said(goal.most, unit)}"
    return f"{'>' if goal.is_strict else '≥'} {said(goal.least or 0.0, unit)}"


def spread_said(spread: Spread, unit: Unit) -> str:
    """A median, and how far the seeds lie apart where there are several.

    >>> from northstar.evaluation.spread import Spread
    >>> spread_said(Spread(median=0.98, least=0.975, most=0.983, runs=5), "share"), spread_said(Spread(median=2.0, least=2.0, most=2.0, runs=1), "s")
    ('98 % (97.5 % – 98.3 %, 5 seeds)', '2 s (1 seed)')
    """
    seeds = "1 seed" if spread.runs == 1 else f"{spread.runs} seeds"
    apart = "" if spread.least == spread.most else f"{said(spread.least, unit)} – {said(spread.most, unit)}, "
    return f"{said(spread.median, unit)} ({apart}{seeds})"


def _short(value: float) -> str:
    if value == int(value) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
