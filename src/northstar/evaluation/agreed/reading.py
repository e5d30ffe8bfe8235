"""Reading agreed scenarios: scenario files as `northstar simulate` takes them, with one more key, `evaluation`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from northstar.evaluation.agreed.errors import AgreedImpossible, UnknownAgreed
from northstar.evaluation.agreed.plan import EvaluationPlan, Feed
from northstar.evaluation.all_targets import figure_of
from northstar.simulation.scenario.errors import InvalidScenario
from northstar.simulation.scenario.policies import POLICIES
from northstar.simulation.scenario.reading import ReadScenario, scenario_of, scenario_text
from northstar.simulation.scenario.shape import DoesNotFit, shaped
from northstar.simulation.scenario.yaml_text import Document, read_document, written

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Where the scenarios lie that come with North Star: a folder for each set.
PACKAGED: Final = Path(__file__).parent
#: small: some minutes, on a workload that is made · full: hours, on real traces.
SETS: Final = ("small", "full")
_KEY: Final = "evaluation"
_ENDING: Final = ".yaml"
_NOT_SIMULATED: Final = frozenset({"about", "seeds", "policies"})
#: Files that lie beside the scenario; all others are traces.
_BESIDE: Final = ("pools", "tenants")


class Agreed(NamedTuple):
    """An agreed scenario."""

    name: str
    plan: EvaluationPlan
    read: ReadScenario
    #: Of what is simulated and worked out, without the files that it names; which seeds and policies it has, and what it feeds, does not count.
    digest: str

    @property
    def policy(self) -> str:
        """The policy that is judged."""
        return self.read.scenario.policies[0]

    def lacking(self) -> tuple[str, ...]:
        """Traces and other files that it names and that are not there."""
        return tuple(file.name for file in self.read.files() if not file.is_file())


def agreed_set(name: str, *, traces: Path | None = None, folder: Path | None = None) -> tuple[Agreed, ...]:
    """The scenarios of a set, in the order of their names.

    Args:
        name: one of `SETS`, or of a folder of one's own: a folder in it.
        traces: where the real traces are; None: nowhere, so that scenarios which replay one lack it.
        folder: a folder of one's own with sets, in place of those that come with North Star.

    Raises:
        UnknownAgreed: there is no such set. What `read_agreed` raises.
    """
    where = folder or PACKAGED
    known = sorted({file.parent.name for file in where.glob(f"*/*{_ENDING}")}, key=_in_order)
    if name not in known:
        raise UnknownAgreed("set", name, known)
    found = tuple(read_agreed(file, traces=traces) for file in sorted((where / name).glob(f"*{_ENDING}")))
    _check_others(found)
    return found


def chosen(agreed: Sequence[Agreed], only: Sequence[str]) -> tuple[Agreed, ...]:
    """Those of these names; all of them if none is named. Raises UnknownAgreed."""
    known = [one.name for one in agreed]
    for name in only:
        if name not in known:
            raise UnknownAgreed("scenario", name, known)
    return tuple(one for one in agreed if not only or one.name in only)


def read_agreed(file: Path, *, traces: Path | None = None) -> Agreed:
    """One scenario with what is made of its runs.

    Raises:
        InvalidScenario, PlanImpossible and what else `read_scenario` raises. UnknownFigure, AgreedImpossible: what it feeds cannot be.
    """
    document = read_document(scenario_text(file), source=str(file))
    data = document.data
    if not isinstance(data, dict):
        raise InvalidScenario("is no object of keys", source=str(file))
    plan = _plan(document, data.pop(_KEY, {}), source=str(file))
    digest = _digest(data, plan)
    _place(data, folder=file.parent.resolve())
    read = scenario_of(document, source=str(file), folder=traces or Path("traces"), policies=POLICIES)
    found = Agreed(file.name.removesuffix(_ENDING), plan, read, digest)
    for figure, feed in plan.feeds.items():
        figure_of(figure)
        _check(found, figure, feed)
    return found


def _plan(document: Document, data: Any, *, source: str) -> EvaluationPlan:
    try:
        return shaped(data, EvaluationPlan)
    except DoesNotFit as exc:
        path = (_KEY, *exc.wrong.path)
        raise InvalidScenario(
            exc.wrong.problem, source=source, line=document.line_of(path), path=written(path)
        ) from exc


def _digest(data: dict[str, Any], plan: EvaluationPlan) -> str:
    simulated = {key: value for key, value in data.items() if key not in _NOT_SIMULATED}
    worked_out = [plan.sizes_by_seed, plan.every_model, plan.replays_durations, plan.caching_frame]
    return hashlib.sha256(msgspec.json.encode([simulated, worked_out], order="sorted")).hexdigest()


def _place(data: dict[str, Any], *, folder: Path) -> None:
    """Pools and tenants lie beside the scenario, and not beside the traces."""
    settings = data.get("settings")
    if not isinstance(settings, dict):
        return
    for key in _BESIDE:
        if isinstance(settings.get(key), str):
            settings[key] = str(folder / settings[key])


def _check(agreed: Agreed, figure: str, feed: Feed) -> None:
    policies = agreed.read.scenario.policies
    if (feed.cut is None) != (feed.against is None):
        raise AgreedImpossible(agreed.name, figure, "has one of `cut` and `against`, which go together")
    if feed.cut is not None and feed.number is not None:
        raise AgreedImpossible(agreed.name, figure, "has both `number` and `cut`; take one out")
    if feed.of is not None and feed.against is None:
        raise AgreedImpossible(agreed.name, figure, "has `of`, which says whose `against` is meant, and no `against`")
    for policy in (feed.beside, feed.against if feed.of is None else None):
        if policy is not None and policy not in policies:
            raise AgreedImpossible(
                agreed.name, figure, f"names policy {policy}, which the scenario does not run: {', '.join(policies)}"
            )


def _check_others(agreed: Sequence[Agreed]) -> None:
    """What one scenario says of another, and of figures: each is fed once."""
    by_name = {one.name: one for one in agreed}
    fed: dict[str, str] = {}
    for one in agreed:
        for figure, feed in one.plan.feeds.items():
            if figure in fed:
                raise AgreedImpossible(one.name, figure, f"is fed by {fed[figure]} too; take one out")
            fed[figure] = one.name
            if feed.of is None:
                continue
            if feed.of not in by_name:
                raise AgreedImpossible(one.name, figure, f"names scenario {feed.of}, which the set does not have")
            other = by_name[feed.of].read.scenario
            if feed.against not in other.policies:
                raise AgreedImpossible(one.name, figure, f"names {feed.against}, which {feed.of} does not run")


def _in_order(name: str) -> tuple[int, str]:
    return (SETS.index(name) if name in SETS else len(SETS), name)
