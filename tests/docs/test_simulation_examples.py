"""The scenarios to begin with are what they say: each is read, and each runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.simulation.scenario.policies import POLICIES
from northstar.simulation.scenario.progress import Tally
from northstar.simulation.scenario.reading import ReadScenario, read_scenario
from northstar.simulation.scenario.results import RunResult
from northstar.simulation.scenario.running import ScenarioRuns

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "examples" / "simulation"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))


def read(example: Path) -> ReadScenario:
    return read_scenario(example, policies=POLICIES)


async def run_of(example: Path) -> RunResult:
    runs = ScenarioRuns(read(example))
    key = next(runs.keys())
    prepared = await runs.prepare(key.seed)
    return await runs.run(key, tally=Tally(from_ms=prepared.from_ms, until_ms=prepared.until_ms))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
async def test_an_example_fits_its_fleet_and_its_jobs(example: Path) -> None:
    found = read(example)
    assert found.scenario.about
    prepared = await ScenarioRuns(found).prepare(found.scenario.seeds[0])
    assert prepared.survey.jobs > 100
    assert {file.name for file in found.files()} <= {file.name for file in FOLDER.iterdir()}


def test_every_file_of_the_examples_belongs_to_one() -> None:
    named = {file.name for example in EXAMPLES for file in (example, *read(example).files())}
    assert named == {file.name for file in FOLDER.iterdir()}


async def test_one_s_own_history_runs() -> None:
    found = await run_of(FOLDER / "own-history.yaml")
    assert found.endings == {"succeeded": 160}
    assert found.pools[-1].jobs < 160, "the first half hour is not counted"


@pytest.mark.long
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
async def test_an_example_runs_to_its_end(example: Path) -> None:
    found = await run_of(example)
    assert sum(found.endings.values()) == found.jobs
    assert found.endings["succeeded"] > 0.9 * found.jobs
    assert not {"waiting", "running", "refused"} & set(found.endings)


@pytest.mark.long
async def test_all_six_pools_have_work_where_all_six_are_shown() -> None:
    found = await run_of(FOLDER / "six-pools.yaml")
    assert {"lightning", "fast-lane", "heavy", "research", "enterprise"} <= {pool.pool for pool in found.pools}
