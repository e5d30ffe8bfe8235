"""A validation beside the ones before it: what chance explains, and what is a regression."""

from __future__ import annotations

import math

import msgspec
import pytest

from northstar.evaluation.targets import Goal
from northstar.evaluation.validation.record import ValidatedFigure
from northstar.evaluation.validation.regression import ValidatedChange, changes_of
from tests.evaluation.validation.records import figure, record, records


def change(*found: ValidatedFigure) -> ValidatedChange:
    """How the last stands beside the others."""
    *earlier, last = records(*found)
    (told,) = changes_of(last, earlier)
    return told


def test_the_first_is_compared_with_nothing() -> None:
    told = change(figure(10.0, 12.0))
    assert (told.change, told.before, told.reach, told.earlier) == ("first", None, None, 0)
    assert not told.is_regression


def test_what_the_spread_of_its_runs_explains_is_the_same() -> None:
    # sd of its runs √2, two of them: four times √(2 · 2 / 2).
    told = change(figure(10.0, 12.0), figure(15.0, 17.0))
    assert told.reach == pytest.approx(4 * math.sqrt(2))
    assert told.change == "same"


@pytest.mark.parametrize(("worse", "said"), [("more", "worse"), ("less", "better"), ("other", "changed")])
def test_what_lies_farther_apart_is_worse_on_the_bad_side(worse: str, said: str) -> None:
    runs = [figure(9.9, 10.1, worse=worse), figure(19.9, 20.1, worse=worse)]  # type: ignore[arg-type]
    told = change(*runs)
    assert (told.change, told.is_regression) == (said, said != "better")


def test_a_figure_that_never_varied_may_not_vary_now() -> None:
    assert change(figure(0.0, 0.0), figure(0.0, 0.0)).change == "same"
    assert change(figure(0.0, 0.0), figure(1.0, 1.0)).change == "worse"


def test_of_single_runs_the_earlier_values_tell_what_chance_is() -> None:
    assert change(figure(10.0), figure(11.0), figure(99.0)).change == "first", "two earlier ones are too few"
    assert change(figure(10.0), figure(11.0), figure(12.0), figure(14.0)).change == "same"
    assert change(figure(10.0), figure(11.0), figure(12.0), figure(16.0)).change == "worse"


def test_of_other_jobs_each_time_the_earlier_values_tell_too() -> None:
    months = [msgspec.structs.replace(figure(mean, mean + 0.1), varies=True) for mean in (10.0, 14.0, 12.0, 30.0)]
    assert change(months[0], months[3]).change == "first"
    assert change(*months[:3], months[1]).change == "same"
    assert change(*months).change == "worse"


def test_only_what_was_measured_on_the_same_is_compared() -> None:
    told = change(figure(10.0, 10.1, basis="an older scenario"), figure(50.0, 50.1))
    assert (told.change, told.earlier) == ("first", 0)


def test_a_goal_that_was_met_and_is_missed_is_a_regression_however_small_the_step() -> None:
    goal = Goal(most=12.0)
    told = change(figure(10.0, 13.9, goal=goal), figure(10.0, 14.1, goal=goal))
    assert (told.change, told.meets_goal, told.is_regression) == ("below goal", False, True)
    assert change(figure(10.0, 14.1, goal=goal), figure(10.0, 14.2, goal=goal)).change == "same", "it was missed before"


def test_only_the_latest_earlier_values_count() -> None:
    told = change(*(figure(100.0 + at % 2, 101.0) for at in range(3)), *(figure(10.0, 10.2) for _ in range(13)))
    assert told.change == "same"
    assert told.earlier == 12
    assert told.before == pytest.approx(10.1)


def test_figures_that_are_new_or_gone_stand_in_nobody_s_way() -> None:
    last = record(2, new=figure(1.0, 2.0))
    assert [(one.figure, one.change) for one in changes_of(last, [record(1, old=figure(1.0, 2.0))])] == [
        ("new", "first")
    ]
