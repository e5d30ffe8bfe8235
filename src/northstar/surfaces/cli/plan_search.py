"""The search behind `northstar plan`: what is asked, the file of its trials, and the fleet that is written."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from northstar import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from northstar.evaluation.planning.found import Plan
    from northstar.evaluation.planning.goals import Goal
    from northstar.evaluation.planning.question import Question, Wishes
    from northstar.evaluation.planning.trials import Show, TrialFile


class PlanSearch:
    """One plan, and its file; close it."""

    def __init__(
        self,
        wishes: Wishes,
        trace: Path | None,
        scenario: Path | None,
        out: Path | None,
        *,
        resume: bool,
        by_region: bool,
        most: int,
        trials: int,
        uniform: bool,
    ) -> None:
        self._wishes = wishes
        self._trace = trace
        self._scenario = scenario
        self._out = out
        self._resume = resume
        self._by_region = by_region
        self._most = most
        self._bound = trials
        self._uniform = uniform
        self._file: TrialFile | None = None
        self._questions: list[Question] = []

    async def plan(self) -> Plan:
        """Find it. Raises what the planner does, and what is wrong with the file."""
        from northstar.evaluation.planning.found import one_plan
        from northstar.evaluation.planning.question import digest_of
        from northstar.surfaces.cli.plan_progress import trials_shown

        self._questions = await self._asked()
        goals = self._questions[0].goals(self._wishes.goals)
        self._open(digest_of(self._questions, goals))
        with trials_shown() as show:
            return one_plan([await self._planned(question, goals, show) for question in self._questions])

    async def _asked(self) -> list[Question]:
        from northstar.evaluation.planning.errors import PlanOptions
        from northstar.evaluation.planning.question import question_of_scenario, question_of_trace, regions_of

        if self._trace is None:
            assert self._scenario is not None  # noqa: S101 -- one of them is
            if self._by_region:
                raise PlanOptions(
                    "--by-region goes with --trace; the kinds of a scenario say themselves where they stand"
                )
            return [question_of_scenario(self._scenario, self._wishes)]
        regions = await regions_of(self._trace) if self._by_region else ("",)
        return [await question_of_trace(self._trace, self._wishes, region=region) for region in regions]

    async def _planned(self, question: Question, goals: tuple[Goal, ...], show: Show) -> Plan:
        from northstar.evaluation.planning.planner import Planner, PlanTerms, Work
        from northstar.evaluation.planning.trials import Trials
        from northstar.simulation.scenario.jobs import jobs_of
        from northstar.simulation.scenario.running import ScenarioRuns

        scenario = question.read.scenario
        runs = ScenarioRuns(question.read)
        prepared = await runs.prepare(scenario.seeds[0])
        terms = PlanTerms(
            goals=goals,
            seeds=scenario.seeds,
            most=self._most,
            trials=self._bound,
            usd_per_gb_month=self._wishes.usd_per_gb_month,
            pools=question.read.pools(),
            load=scenario.workload.users,
            beside_uniform=self._uniform,
        )
        work = Work(
            lambda seed: jobs_of(scenario.workload, seed=seed, folder=question.read.folder),
            prepared.from_ms,
            prepared.until_ms,
        )
        return await Planner(question.parts, work, Trials(runs, file=self._file, show=show), terms).plan()

    def _open(self, digest: str) -> None:
        from northstar.evaluation.planning.trials import TrialFile
        from northstar.simulation.scenario.run_file import Heading

        if self._out is None:
            return
        heading = Heading(scenario=digest, about="a plan", northstar=__version__)
        self._file = TrialFile.resumed(self._out, heading) if self._resume else TrialFile.begun(self._out, heading)

    def close(self) -> None:
        """No trial is written down any more."""
        if self._file is not None:
            self._file.close()

    def write(self, found: Plan, file: Path) -> None:
        """The fleet as a scenario."""
        from northstar.evaluation.planning.question import with_fleet
        from northstar.simulation.scenario.writing import moved, scenario_text
        from northstar.surfaces.cli.new_file import NewFile

        scenario = with_fleet(self._questions, found)
        text = scenario_text(moved(scenario, from_folder=self._questions[0].read.folder, to_folder=file.parent))
        with NewFile(file) as new:
            new.write(text)

    def say_interrupted(self) -> None:
        """What is left of a search that was ended."""
        if self._file is None or not self._file.done:
            sys.stderr.write("interrupted; nothing was written down\n")
        else:
            sys.stderr.write(f"interrupted; in {self._file.path}: {len(self._file.done)} trials; go on with --resume\n")
