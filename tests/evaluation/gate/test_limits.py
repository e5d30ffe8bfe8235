"""Limits follow from runs by one rule, and from nothing else."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from northstar.evaluation.gate.errors import GateLimitsUnreadable, GateTooFewRuns
from northstar.evaluation.gate.limits import GateLimits, limits_of, read_limits, scenario_limits, written_limits

RUNS = {seed: {"jobs": 100.0, "wait-10s": 0.9 + 0.01 * (seed % 3), "redundant": 50.0 + seed} for seed in range(1, 7)}


def written(folder: Path) -> Path:
    file = folder / "limits.json"
    limits = GateLimits(
        northstar="1.2.3", scenarios={"some": scenario_limits("ab", RUNS), "more": scenario_limits("cd", RUNS)}
    )
    file.write_text(written_limits(limits))
    return file


def test_limits_are_the_mean_less_and_plus_three_and_a_half_deviations_of_one_more_run() -> None:
    found = limits_of([10.0, 12.0, 14.0, 16.0, 18.0])
    reach = 3.5 * math.sqrt(10) * math.sqrt(1.2)
    assert (found.mean, found.lowest, found.highest, found.runs) == (14.0, 10.0, 18.0, 5)
    assert found.sd == pytest.approx(math.sqrt(10), rel=1e-5)
    assert found.least == pytest.approx(14 - reach, abs=1e-4)
    assert found.most == pytest.approx(14 + reach, rel=1e-5)
    assert found.hold(found.least)
    assert not found.hold(found.most + 0.001)


def test_limits_are_never_nearer_than_the_runs_behind_them_nor_beyond_what_can_be() -> None:
    far = limits_of([0.0] * 30 + [100.0])
    assert far.most == 100.0
    assert far.least == 0.0, "nothing is less than nothing"
    share = limits_of([0.9, 0.95, 1.0, 0.9, 1.0], is_share=True)
    assert share.most == 1.0
    assert share.least < 0.8


def test_what_was_the_same_in_every_run_has_to_stay_the_same() -> None:
    found = limits_of([0.1] * 7)
    assert (found.least, found.most, found.sd) == (0.1, 0.1, 0.0)


def test_too_few_runs_have_no_spread() -> None:
    with pytest.raises(GateTooFewRuns, match="take at least 5"):
        limits_of([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(GateTooFewRuns, match="4 seeds say too little"):
        scenario_limits("ab", {seed: {"jobs": 1.0} for seed in range(4)})


def test_the_gate_runs_the_seed_that_lies_nearest_to_the_means_of_all_figures() -> None:
    runs = {1: {"jobs": 1.0, "fetched": 0.0}, 2: {"jobs": 3.0, "fetched": 9.0}, 3: {"jobs": 5.0, "fetched": 5.0}}
    runs |= {4: {"jobs": 3.5, "fetched": 5.5}, 5: {"jobs": 3.0, "fetched": 5.0}}
    assert scenario_limits("ab", runs).gate_seed == 5


def test_a_figure_that_one_run_lacks_has_no_limits() -> None:
    runs = {seed: dict(RUNS[seed]) for seed in RUNS}
    del runs[3]["redundant"]
    assert set(scenario_limits("ab", runs).figures) == {"jobs", "wait-10s"}


def test_what_is_written_is_read_again_and_has_a_figure_on_a_line(tmp_path: Path) -> None:
    file = written(tmp_path)
    found = read_limits(file)
    assert written_limits(found) == file.read_text()
    assert set(found.scenarios) == {"some", "more"}
    line = next(line for line in file.read_text().splitlines() if '"redundant"' in line)
    figure = json.loads("{" + line.strip().rstrip(",") + "}")["redundant"]
    assert (figure["mean"], figure["lowest"], figure["highest"], figure["runs"]) == (53.5, 51.0, 56.0, 6)
    assert figure["values"] == [51.0, 52.0, 53.0, 54.0, 55.0, 56.0]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            '"most": 100.0',
            '"most": 120.0',
            "the limits of some/jobs do not follow from its runs, so they were changed by hand",
        ),
        ("[51.0, 52.0", "[51.5, 52.0", "the limits of some/redundant do not follow from its runs"),
        ('"gate_seed": 4', '"gate_seed": 1', "is not the one nearest to the means"),
        ('"northstar"', '"northstars"', "is not what this version writes"),
    ],
)
def test_limits_that_somebody_widened_by_hand_are_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    file = written(tmp_path)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(GateLimitsUnreadable, match=says):
        read_limits(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GateLimitsUnreadable, match="cannot be read: No such file"):
        read_limits(tmp_path / "none.json")
