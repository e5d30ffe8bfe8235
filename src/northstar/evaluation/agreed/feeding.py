"""From runs of agreed scenarios to results: every figure that one of them feeds, and why the others have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.evaluation.agreed.remarks import remark_of
from northstar.evaluation.results import BaselineMeasured, Measured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from northstar.evaluation.agreed.plan import Cut, Feed
    from northstar.evaluation.agreed.reading import Agreed
    from northstar.evaluation.run_figures import RunSummary

_SOON: Final = "wait-10s"
_UNDERCUT: Final[dict[Cut, Callable[[RunSummary], float]]] = {
    "redundant": lambda run: run.redundant_bytes,
    "all-redundant": lambda run: run.redundant_bytes + run.apart_redundant_bytes + run.baked_bytes,
    "hours": lambda run: run.machine_hours,
    "dollars": lambda run: run.usd,
}


class Fed:
    """Figures by their ids: what was measured, what another policy had, and why a figure has no value."""

    def __init__(self) -> None:
        self.measured: dict[str, Measured] = {}
        self.baselines: dict[str, BaselineMeasured] = {}
        self.why_not: dict[str, str] = {}


def fed_by(agreed: Sequence[Agreed], runs: Sequence[RunSummary]) -> Fed:
    """What the runs say of each figure that one of these scenarios feeds."""
    by_scenario: dict[str, list[RunSummary]] = {one.name: [] for one in agreed}
    for run in runs:
        by_scenario.setdefault(run.scenario, []).append(run)
    found = Fed()
    for one in agreed:
        for figure, feed in one.plan.feeds.items():
            _feed(figure, feed, one, by_scenario, found)
    return found


def _feed(figure: str, feed: Feed, agreed: Agreed, by_scenario: Mapping[str, list[RunSummary]], found: Fed) -> None:
    own = [run for run in by_scenario[agreed.name] if run.policy == agreed.policy]
    other = feed.of or agreed.name
    others = [run for run in by_scenario.get(other, []) if run.policy == feed.against]
    if not own:
        found.why_not[figure] = f"scenario {agreed.name} was not run"
        return
    if feed.against is not None and {run.seed for run in own} != {run.seed for run in others}:
        found.why_not[figure] = f"{feed.against} in {other} was not run with the same seeds"
        return
    late = _too_late(feed, [*own, *(others if feed.of is not None else ())])
    if late is not None:
        found.why_not[figure] = late
        return
    number = feed.number or figure
    if feed.cut is not None:
        undercut = _UNDERCUT[feed.cut]
        if not all(undercut(run) > 0 for run in others):
            found.why_not[figure] = f"{feed.against} in {other} had none, so nothing can be less"
            return
        values = _paired(own, others, undercut)
    elif all(number in run.figures for run in own):
        values = tuple(run.figures[number] for run in own)
    else:
        found.why_not[figure] = f"nothing in {agreed.name} had it"
        return
    note = "; ".join(part for part in (feed.note, remark_of(figure, own)) if part)
    found.measured[figure] = Measured(values=values, note=note, tuned=feed.tuned)
    beside = [run for run in by_scenario[agreed.name] if run.policy == feed.beside and number in run.figures]
    if beside:
        told = tuple(run.figures[number] for run in beside)
        found.baselines[figure] = BaselineMeasured(policy=beside[0].policy, values=told)


def _paired(
    own: Sequence[RunSummary], others: Sequence[RunSummary], undercut: Callable[[RunSummary], float]
) -> tuple[float, ...]:
    """Seed by seed, in the order of seeds."""
    theirs = {run.seed: undercut(run) for run in others}
    return tuple(1 - undercut(run) / theirs[run.seed] for run in sorted(own, key=lambda run: run.seed))


def _too_late(feed: Feed, runs: Sequence[RunSummary]) -> str | None:
    """Why it is not measured where too few jobs began soon; None: enough did."""
    if feed.if_soon is None:
        return None
    worst = min(runs, key=lambda run: run.figures.get(_SOON, 0.0))
    share = worst.figures.get(_SOON, 0.0)
    if share >= feed.if_soon:
        return None
    return f"only {share:.1%} waited less than 10 s (seed {worst.seed} of {worst.scenario}, {worst.policy}), of {feed.if_soon:.0%} that must"
