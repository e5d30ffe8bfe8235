"""Verdicts, spreads and files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from northstar.evaluation.all_targets import FIGURES
from northstar.evaluation.comparison import compare
from northstar.evaluation.errors import MeasurementImpossible, ResultsUnreadable, UnknownFigure
from northstar.evaluation.results import BaselineMeasured, Measured, Results, read_kept, results_of
from northstar.evaluation.run_figures import summary_of
from northstar.evaluation.scorecard import Scorecard, scorecard_of
from northstar.evaluation.spread import Spread
from tests.evaluation.runs import job, run


def card(about: str = "a test", **values: tuple[float, ...]) -> Scorecard:
    measured = {name.replace("_", "-"): Measured(values=some) for name, some in values.items()}
    return scorecard_of(Results(about=about, measured=measured), version="1")


def test_nothing_measured_leaves_every_row_and_says_so() -> None:
    found = card()
    assert {figure.verdict for figure in found.figures.values()} == {"not measured"}
    assert set(found.figures) == set(FIGURES)
    assert found.totals.not_measured == len(FIGURES)


def test_the_median_is_judged_and_the_spread_is_shown() -> None:
    # .975 is the goal: the median of five seeds is .976, two are below.
    figure = card(wait_10s=(0.98, 0.97, 0.976, 0.974, 0.99)).figures["wait-10s"]
    assert figure.measured == Spread(median=0.976, least=0.97, most=0.99, runs=5)
    assert (figure.verdict, figure.with_every_seed, figure.meets_spec) == ("pass", False, True)


def test_short_of_the_goal_may_meet_the_specification_and_the_other_way_round() -> None:
    figures = card(wait_10s=(0.96,), hours_cut_ephemeral=(0.45,)).figures
    assert (figures["wait-10s"].verdict, figures["wait-10s"].meets_spec) == ("short", True)
    assert (figures["hours-cut-ephemeral"].verdict, figures["hours-cut-ephemeral"].meets_spec) == ("pass", False)


def test_a_border_that_is_to_be_undercut_is_not_met_by_itself() -> None:
    assert card(lightning_p95=(3.0,)).figures["lightning-p95"].verdict == "short"
    assert card(dispatch_p99=(10.0,)).figures["dispatch-p99"].verdict == "pass"


def test_a_figure_can_be_too_good_for_a_range() -> None:
    assert card(coverage_model_day=(0.97,)).figures["coverage-model-day"].verdict == "short"


def test_runs_of_other_policies_are_the_baseline_of_the_same_figure() -> None:
    def waits(policy: str, seed: int, *seconds: float) -> object:
        return summary_of(run([job(0, wait_s=wait) for wait in seconds], policy=policy, seed=seed))

    runs = [
        waits("north-star", 1, 1, 2, 3, 4),
        waits("north-star", 2, 1, 2, 3, 40),
        waits("uniform", 1, 1, 20, 30, 40),
        waits("uniform", 2, 1, 2, 30, 40),
        waits("fixed", 1, 1, 1, 1, 1),
    ]
    found = scorecard_of(results_of(runs, policy="north-star", about="two seeds"), version="1").figures["wait-10s"]  # type: ignore[arg-type]
    assert found.measured == Spread(median=0.875, least=0.75, most=1.0, runs=2)
    assert found.baseline is not None
    assert (found.baseline.policy, found.baseline.spread.median) == ("uniform", 0.375)


def test_a_baseline_is_shown_where_nothing_of_our_own_was_measured() -> None:
    results = Results(about="", baselines={"replicas": BaselineMeasured(policy="uniform", values=(3.95,))})
    figure = scorecard_of(results, version="1").figures["replicas"]
    assert figure.verdict == "not measured"
    assert figure.baseline is not None


@pytest.mark.parametrize(
    ("figure", "value", "why"),
    [
        ("wait-10s", 1.2, "it cannot be 1.2"),
        ("wait-10s", -0.1, "it cannot be -0.1"),
        ("redundant-cut-40", 1.1, "it cannot be 1.1"),
        ("replicas", -1.0, "it cannot be -1.0"),
        ("wait-10s", float("nan"), "a value is not a finite number"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_figure(figure: str, value: float, why: str) -> None:
    with pytest.raises(MeasurementImpossible, match=f"figure {figure}: {why}"):
        scorecard_of(Results(about="", measured={figure: Measured(values=(value,))}), version="1")


def test_what_got_worse_than_its_baseline_is_told_as_a_negative_cut() -> None:
    figures = card(redundant_cut_40=(-0.5,), prewarm_extra=(1.4,), demand_model=(-0.2,), duration_wape=(1.7,)).figures
    assert {figure.verdict for figure in figures.values() if figure.measured} == {"short"}


def test_what_no_target_speaks_of_is_refused() -> None:
    with pytest.raises(UnknownFigure, match="no target has a figure 'waits'"):
        scorecard_of(Results(about="", measured={"waits": Measured(values=(1.0,))}), version="1")


def test_a_scorecard_is_the_same_after_it_was_kept(tmp_path: Path) -> None:
    before = card(wait_10s=(0.98, 0.97))
    path = tmp_path / "card.json"
    path.write_bytes(msgspec.json.encode(before))
    assert read_kept(path, Scorecard) == before


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is not what this version writes as results: Input data was truncated; make it anew"),
        ('{"about": "x", "measure": {}}', "unknown field `measure`"),
        ('{"about": "x", "measured": {"wait-10s": {"values": []}}}', "length >= 1"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_with_what_is_wrong(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ResultsUnreadable, match=why) as refused:
        read_kept(path, Results)
    assert refused.value.code == "NS_RESULTS_UNREADABLE"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsUnreadable, match=r"none\.json: cannot be read: No such file"):
        read_kept(tmp_path / "none.json", Results)


def test_a_change_within_the_spread_of_the_seeds_is_none() -> None:
    before = card("A", wait_10s=(0.95, 0.97), replicas=(1.5,), uptime=(0.9999,), lightning_p95=(2.0,))
    after = card("B", wait_10s=(0.96, 0.99), replicas=(1.7,), lightning_p95=(1.0,), completion=(1.0,))
    found = compare(before, after)
    assert {one.id: one.change for one in found.figures if one.change != "not measured"} == {
        "wait-10s": "same",
        "replicas": "worse",
        "uptime": "gone",
        "lightning-p95": "better",
        "completion": "new",
    }
    assert [one.id for one in found.worse] == ["uptime", "replicas"]
    replicas = next(one for one in found.figures if one.id == "replicas")
    assert (replicas.before, replicas.after, replicas.verdicts) == (1.5, 1.7, ("pass", "short"))
