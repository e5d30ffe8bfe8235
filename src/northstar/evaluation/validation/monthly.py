"""The monthly validation: what does the work cost beside uniform machines? (spec, "Success Validation": monthly cost efficiency against targets).

*Equal service*: the fewest uniform machines with which as large a share of jobs waits less than 10 s, on average over the seeds. They get the easier
part: every model is in their images, however large these are, and no pool can be full.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from northstar.domain.amounts import counted
from northstar.evaluation.agreed.plan import EvaluationPlan
from northstar.evaluation.agreed.running import run_scenario
from northstar.evaluation.all_targets import figure_of
from northstar.evaluation.measures import share_of
from northstar.evaluation.results import dollars_cut, hours_cut, paired, redundant_cut
from northstar.evaluation.validation.record import validated, worse_side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.evaluation.run_figures import RunSummary
    from northstar.evaluation.validation.fleets import CostFleet
    from northstar.evaluation.validation.record import ValidatedFigure
    from northstar.simulation.scenario.reading import ReadScenario

_OWN: Final = "north-star"
_UNIFORM: Final = "uniform-lru"
_SOON: Final = "wait-10s"
#: As many uniform machines as are tried for each machine of the fleet.
MOST_TIMES: Final = 4
_PER: Final = 1_000


class MonthlyCosts(NamedTuple):
    """What was found."""

    figures: dict[str, ValidatedFigure]
    #: In sentences: with what was compared, and what could not be.
    said: str


async def monthly_costs(
    fleet: CostFleet, seeds: Sequence[int], *, tells: Callable[[str, int], None] = lambda *_: None
) -> MonthlyCosts:
    """The costs of a fleet beside uniform machines. `tells` hears of each run before it is made.

    Raises:
        What simulations do. NothingToMeasure: no job came within the window, or uniform machines cost nothing.
    """
    own = await _runs(fleet.own, seeds, _OWN, tells)
    same = await _runs(fleet.own, seeds, _UNIFORM, tells)
    count, uniform = await _as_good(fleet, fmean(run.figures[_SOON] for run in own), seeds, tells)
    found = _beside(own, same, uniform, has_prices=fleet.has_prices) | _alone(own, has_prices=fleet.has_prices)
    basis = f"{fleet.basis}, {len(seeds)} seeds"
    figures = {
        name: msgspec.structs.replace(figure, basis=basis, varies=fleet.has_own_jobs) for name, figure in found.items()
    }
    return MonthlyCosts(figures, _said(fleet, count, own, is_served=uniform is not None))


def _beside(
    own: Sequence[RunSummary], same: Sequence[RunSummary], uniform: Sequence[RunSummary] | None, *, has_prices: bool
) -> dict[str, ValidatedFigure]:
    """What is compared with other machines, or with another policy on the same."""
    found: dict[str, ValidatedFigure] = {}

    def cut(others: Sequence[RunSummary], measure: Callable[[RunSummary, RunSummary], float]) -> tuple[float, ...]:
        return paired([*own, *others], policy=_OWN, against=_UNIFORM, measure=measure)

    if uniform is not None:
        found["hours-cut"] = _figure(
            "fewer machine-hours than uniform machines, at equal service", cut(uniform, hours_cut), "hours-cut-kept"
        )
    if uniform is not None and has_prices:
        found["dollars-cut"] = _figure(
            "fewer dollars than uniform machines, at equal service", cut(uniform, dollars_cut), "dollars-cut"
        )
    if all(run.redundant_bytes for run in same):
        found["redundant-cut"] = _figure(
            "fewer bytes fetched again than by uniform pull on the same machines",
            cut(same, redundant_cut),
            "redundant-cut-40",
        )
    return found


def _alone(own: Sequence[RunSummary], *, has_prices: bool) -> dict[str, ValidatedFigure]:
    """What the fleet's own runs say."""
    found = {
        "utilisation": _figure(
            "busy seconds of paid seconds", [run.figures["utilisation"] for run in own], "utilisation"
        ),
        _SOON: _figure("waited less than 10 s", [run.figures[_SOON] for run in own], _SOON),
        "hours-per-1000": _cost("machine-hours for 1,000 jobs", own, lambda run: run.machine_hours),
        "gb-per-1000": _cost("GB fetched for 1,000 jobs", own, lambda run: run.fetched_bytes / 1e9),
    }
    if has_prices:
        found["dollars-per-1000"] = _cost("US dollars for 1,000 jobs", own, lambda run: run.usd)
    return found


def _figure(what: str, values: Sequence[float], target: str) -> ValidatedFigure:
    """A share with the specification's own goal for it."""
    goal = figure_of(target).spec
    assert goal is not None  # noqa: S101 -- it names one for each of these
    return validated(what, "share", worse_side(goal), values, basis="", goal=goal)


def _cost(what: str, own: Sequence[RunSummary], amount: Callable[[RunSummary], float]) -> ValidatedFigure:
    values = [round(_PER * share_of(amount(run), run.jobs, "no job came"), 6) for run in own]
    return validated(what, "n", "more", values, basis="")


async def _as_good(
    fleet: CostFleet, soon: float, seeds: Sequence[int], tells: Callable[[str, int], None]
) -> tuple[int, list[RunSummary] | None]:
    """The fewest uniform machines that serve as well, with their runs; the most that were tried and None: not even they do."""
    tried: dict[int, list[RunSummary]] = {}

    async def serves(count: int) -> bool:
        if count not in tried:
            tried[count] = await _runs(fleet.uniform(count), seeds, _UNIFORM, tells, holds_all=True)
        return fmean(run.figures[_SOON] for run in tried[count]) >= soon

    most = MOST_TIMES * fleet.machines
    high = min(fleet.machines, most)
    while not await serves(high):
        if high >= most:
            return most, None
        high = min(2 * high, most)
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        if await serves(middle):
            high = middle
        else:
            low = middle
    return high, tried[high]


async def _runs(
    read: ReadScenario, seeds: Sequence[int], policy: str, tells: Callable[[str, int], None], *, holds_all: bool = False
) -> list[RunSummary]:
    machines = sum(group.count for group in read.scenario.fleet.groups)
    found: list[RunSummary] = []
    for seed in seeds:
        tells(f"{policy}, {counted(machines, 'machine')}", seed)
        plan = EvaluationPlan(every_model=holds_all)
        found += await run_scenario(read, plan=plan, seeds=(seed,), policies=(policy,))
    return found


def _said(fleet: CostFleet, count: int, own: Sequence[RunSummary], *, is_served: bool) -> str:
    soon = fmean(run.figures[_SOON] for run in own)
    begin = f"{counted(fleet.machines, 'machine')}, {soon:.1%} waited less than 10 s"
    if not is_served:
        return f"{begin}; up to {count} uniform machines do not serve as well, so hours and dollars are not compared"
    return f"{begin}; as well as {counted(count, 'uniform machine')}" + (
        "" if fleet.has_prices else "; prices are not known, so dollars are not compared"
    )
