"""A set of agreed scenarios that is run: what it takes, what cannot be run here, what an earlier run left, and the results."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from northstar.evaluation.agreed.errors import ResultsDiffer, TracesMissing
from northstar.evaluation.agreed.feeding import fed_by
from northstar.evaluation.agreed.reading import chosen
from northstar.evaluation.agreed.running import run_scenario
from northstar.evaluation.agreed.unfed import why_unfed
from northstar.evaluation.results import Results
from northstar.simulation.scenario.errors import InvalidScenario

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from northstar.evaluation.agreed.reading import Agreed
    from northstar.evaluation.agreed.running import Hearer
    from northstar.evaluation.results import Measured
    from northstar.evaluation.run_figures import RunSummary

#: What has to be said of every figure of a set.
_ON_WHAT: Final = {"small": " (made workloads on small fleets, not those that the goals were set on)"}


class Campaign:
    """Scenarios that can be run here, with as many seeds as are wanted."""

    def __init__(
        self,
        agreed: Sequence[Agreed],
        *,
        set_name: str,
        version: str,
        only: Sequence[str] = (),
        seeds: int | None = None,
        traces: Path | None = None,
    ) -> None:
        """Choose what is run.

        Args:
            agreed: the whole set.
            set_name: its name.
            version: of North Star; results of another one are not gone on with.
            only: the names of those that are run; none: all of them.
            seeds: how many of each scenario's seeds are run, and further ones where it has fewer; None: its own.
            traces: where the real traces were looked for, to be named where they are missing.

        Raises:
            UnknownAgreed: the set has no scenario of such a name. TracesMissing: none of them can be run. InvalidScenario: a file that one names
            cannot be read.
        """
        self.set_name = set_name
        self.version = version
        wanted = chosen(agreed, only)
        self.lacking = {one.name: one.lacking() for one in wanted if one.lacking()}
        self._set = tuple(agreed)
        #: Those that are run.
        self.agreed = tuple(one for one in wanted if one.name not in self.lacking)
        self._skipped = tuple(one for one in wanted if one.name in self.lacking)
        if not self.agreed:
            raise TracesMissing(sorted({file for files in self.lacking.values() for file in files}), traces)
        self._seeds = {one.name: _seeds_of(one.read.scenario.seeds, seeds) for one in self.agreed}
        self.digests = {one.name: _digest(one) for one in agreed if not one.lacking()}

    @property
    def runs(self) -> int:
        """How many it makes."""
        return sum(len(self._seeds[one.name]) * len(one.read.scenario.policies) for one in self.agreed)

    def count_of(self, made: Collection[RunSummary]) -> int:
        """How many of its runs are among these."""
        wanted = {
            (one.name, policy, seed)
            for one in self.agreed
            for policy in one.read.scenario.policies
            for seed in self._seeds[one.name]
        }
        return len(wanted & {(run.scenario, run.policy, run.seed) for run in made})

    @property
    def takes_s(self) -> float:
        """About how long, on two cores that do nothing else."""
        return sum(
            len(self._seeds[one.name]) * len(one.read.scenario.policies) * one.plan.takes.ms / 1_000
            for one in self.agreed
        )

    @property
    def unmeasured(self) -> dict[str, str]:
        """Figures that scenarios feed which cannot be run here, and why."""
        return {
            figure: f"scenario {one.name} replays {', '.join(self.lacking[one.name])}, which is not there"
            for one in self._skipped
            for figure in one.plan.feeds
        }

    def left_by(self, kept: Results, path: Path) -> list[RunSummary]:
        """The runs of an earlier evaluation that are this one's too.

        Raises:
            ResultsDiffer: it was made by another version, or one of its scenarios says something else now.
        """
        if kept.northstar != self.version:
            made_by = f"North Star {kept.northstar}" if kept.northstar else "no run of agreed scenarios"
            raise ResultsDiffer(path, f"was made by {made_by}, and this is {self.version}")
        for name, digest in kept.scenarios.items():
            if name in self.digests and digest != self.digests[name]:
                raise ResultsDiffer(path, f"scenario {name}, or a trace that it names, is another one now")
        return list(kept.runs)

    async def run(self, *, made: Collection[RunSummary] = (), hearer: Hearer | None = None) -> list[RunSummary]:
        """Make the runs that were not made yet, scenario by scenario. Raises as `run_scenario`."""
        found: list[RunSummary] = []
        for one in self.agreed:
            found += await run_scenario(
                one.read, name=one.name, plan=one.plan, seeds=self._seeds[one.name], made=made, hearer=hearer
            )
        return found

    def results(self, runs: Sequence[RunSummary], *, beside: dict[str, Measured] | None = None) -> Results:
        """What the runs say, all of them or those that are over; `beside` is what was measured elsewhere and no run measures."""
        fed = fed_by(self._set, runs)
        measured = (beside or {}) | fed.measured
        why = fed.why_not | self.unmeasured
        why |= why_unfed({*measured, *why}, set_name=self.set_name)
        return Results(
            about=f"agreed scenarios, set {self.set_name}{_ON_WHAT.get(self.set_name, '')}",
            measured=measured,
            baselines=fed.baselines,
            runs=tuple(runs),
            why_not={figure: words for figure, words in why.items() if figure not in measured},
            scenarios={
                name: digest for name, digest in self.digests.items() if any(run.scenario == name for run in runs)
            },
            northstar=self.version,
        )


def _seeds_of(own: tuple[int, ...], count: int | None) -> tuple[int, ...]:
    """So many: the scenario's own first.

    >>> _seeds_of((3, 5), None), _seeds_of((3, 5), 1), _seeds_of((3, 5), 4)
    ((3, 5), (3,), (3, 5, 6, 7))
    """
    if count is None or count <= len(own):
        return own[:count]
    return (*own, *range(max(own) + 1, max(own) + 1 + count - len(own)))


def _digest(agreed: Agreed) -> str:
    """Of what is simulated, and of all files that it names. Raises InvalidScenario: one cannot be read."""
    found = hashlib.sha256(agreed.digest.encode())
    for file in agreed.read.files():
        try:
            with file.open("rb") as stream:
                found.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as exc:
            raise InvalidScenario(f"names {file}, which cannot be read: {exc.strerror}", source=agreed.name) from exc
    return found.hexdigest()
