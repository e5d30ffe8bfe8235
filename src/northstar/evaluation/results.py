"""What evaluations keep in a file: measured figures by seed, baselines measured beside them, and the runs in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import msgspec

from northstar.evaluation.errors import NothingToMeasure, ResultsUnreadable
from northstar.evaluation.measures import cut
from northstar.evaluation.run_figures import RunSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: Of a file of results or a scorecard; a week of runs has less than a hundredth of it.
MOST_BYTES: Final = 64_000_000
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Text = Annotated[str, msgspec.Meta(max_length=1_000)]
Kept = TypeVar("Kept")


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure's values, one for each seed. `tuned`: settings were chosen on the same window, so it flatters."""

    values: Annotated[tuple[float, ...], msgspec.Meta(min_length=1, max_length=10_000)]
    note: _Text = ""
    tuned: bool = False


class BaselineMeasured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same figure of another policy, on the same workload."""

    policy: _Name
    values: Annotated[tuple[float, ...], msgspec.Meta(min_length=1, max_length=10_000)]


class ForecastPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was foreseen for an hour, with its 80 % interval, and what came."""

    hour: float
    foreseen: float
    low: float
    high: float
    came: float


class Results(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a scorecard is made from."""

    about: _Text
    measured: dict[str, Measured] = {}
    baselines: dict[str, BaselineMeasured] = {}
    runs: Annotated[tuple[RunSummary, ...], msgspec.Meta(max_length=1_000)] = ()
    forecasts: Annotated[tuple[ForecastPoint, ...], msgspec.Meta(max_length=10_000)] = ()
    #: Figure -> why nothing was measured of it, as far as somebody knows.
    why_not: dict[str, _Text] = {}
    #: Of agreed scenarios that were run: name -> digest of what is simulated; and the version of North Star that did it. What is not equal is not resumed.
    scenarios: dict[str, str] = {}
    northstar: str = ""


def results_of(
    runs: Sequence[RunSummary], *, policy: str, about: str, beside: dict[str, Measured] | None = None
) -> Results:
    """The results of runs of one policy, and of what else was measured; other policies' runs are its baselines.

    Where several others were run, the baseline of a figure is the policy that was named first. A figure that a run of the policy lacks is not
    measured: the other seeds alone would be another workload.
    """
    own = [run for run in runs if run.policy == policy]
    measured = {figure: Measured(values=values) for figure, values in _by_figure(own).items()}
    baselines: dict[str, BaselineMeasured] = {}
    for other in dict.fromkeys(run.policy for run in runs if run.policy != policy):
        for figure, values in _by_figure([run for run in runs if run.policy == other]).items():
            baselines.setdefault(figure, BaselineMeasured(policy=other, values=values))
    return Results(about=about, measured=measured | (beside or {}), baselines=baselines, runs=tuple(runs))


def paired(
    runs: Sequence[RunSummary],
    *,
    policy: str,
    against: str,
    measure: Callable[[RunSummary, RunSummary], float],
) -> tuple[float, ...]:
    """A figure that compares two policies, seed by seed: `measure` gets each run of `policy` with that of `against` on the same workload.

    Raises NothingToMeasure: a seed was run with one of them only.
    """
    own = {run.seed: run for run in runs if run.policy == policy}
    others = {run.seed: run for run in runs if run.policy == against}
    if not own or own.keys() != others.keys():
        raise NothingToMeasure(f"{policy} and {against} were not run with the same seeds")
    return tuple(measure(own[seed], others[seed]) for seed in sorted(own))


def redundant_cut(own: RunSummary, other: RunSummary) -> float:
    """By how much fewer bytes were fetched again; of simulations, for jobs (what was ordered for none is told apart)."""
    return cut(own.redundant_bytes, other.redundant_bytes, "redundant bytes")


def hours_cut(own: RunSummary, other: RunSummary) -> float:
    """By how much fewer machine-hours were paid for."""
    return cut(own.machine_hours, other.machine_hours, "machine-hours")


def dollars_cut(own: RunSummary, other: RunSummary) -> float:
    """By how much less was paid."""
    return cut(own.usd, other.usd, "costs")


def _by_figure(runs: Sequence[RunSummary]) -> dict[str, tuple[float, ...]]:
    names = dict.fromkeys(name for run in runs for name in run.figures)
    return {
        name: tuple(run.figures[name] for run in runs) for name in names if all(name in run.figures for run in runs)
    }


def read_kept(path: Path, kind: type[Kept]) -> Kept:
    """A file of this kind. Raises ResultsUnreadable."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ResultsUnreadable(
                str(path), f"has {size} bytes, more than the {MOST_BYTES} that a file of results may have"
            )
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise ResultsUnreadable(str(path), f"cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ResultsUnreadable(
            str(path), f"is not what this version writes as {kind.__name__.lower()}: {error}; make it anew"
        ) from error
