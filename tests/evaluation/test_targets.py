"""Every row of the targets, and no figure twice."""

from __future__ import annotations

from collections import Counter

import pytest

from northstar.evaluation.all_targets import ALL_TARGETS, FIGURES, figure_of
from northstar.evaluation.errors import UnknownFigure
from northstar.evaluation.targets import Goal

#: "Enhanced Success Metrics" of the specification, word for word, and the five-second response of its fast lane.
OF_THE_SPECIFICATION = """
<3s end-to-end for 95% of requests
<30s total time for 95% of requests
<5min for 90% of complex workflows
<10s wait time for 95% of all requests
99.9% (8.77 hours downtime/year max)
99.95% successful completion
99.5% for baked models, 95% for dynamic downloads
90% when optimal pool unavailable
1000+ complex multi-step workflows
500+ machines across all pools
10,000+ requests per hour peak
1,000+ model predictions per minute
85% reduction in redundant downloads
80%+ average utilization across all pools
90%+ effective storage utilization
50% reduction vs. uniform machine approach
80%+ accuracy for 24-hour forecasts
95%+ jobs routed to optimal pool
70%+ pre-warmed models actually used
60%+ accuracy for multi-step workflows
<5 second total response time for 90% of requests
""".strip().splitlines()


@pytest.mark.parametrize("words", OF_THE_SPECIFICATION)
def test_every_success_metric_of_the_specification_has_its_row(words: str) -> None:
    assert [target.id for target in ALL_TARGETS if words in target.spec]


def test_there_are_25_rows_in_four_sections() -> None:
    assert Counter(target.section for target in ALL_TARGETS) == {
        "service": 10,
        "scale": 5,
        "models and cost": 5,
        "prediction": 5,
    }


def test_no_row_and_no_figure_is_there_twice_and_every_row_says_how_it_is_measured() -> None:
    assert len({target.id for target in ALL_TARGETS}) == len(ALL_TARGETS)
    assert sum(len(target.figures) for target in ALL_TARGETS) == len(FIGURES)
    assert all(target.definition and target.figures for target in ALL_TARGETS)
    assert all(goal.least is not None or goal.most is not None for goal in (one.goal for one in FIGURES.values()))


def test_a_goal_below_the_specification_says_why() -> None:
    """Where our goal is easier than the specification's number, the row has a note that says so."""
    for target in ALL_TARGETS:
        for figure in target.figures:
            if (
                figure.spec is not None
                and figure.spec.least is not None
                and (figure.goal.least or 0) < figure.spec.least
            ):
                assert target.note, figure.id


@pytest.mark.parametrize(
    ("figure", "goal"),
    [
        ("wait-10s", Goal(least=0.975)),
        ("redundant-cut-12h", Goal(least=0.87)),
        ("replicas", Goal(most=1.6)),
        ("coverage-total-hour", Goal(least=0.75, most=0.85)),
        ("dispatch-p99", Goal(most=10.0)),
        ("prewarm-extra", Goal(most=0.05)),
    ],
)
def test_goals_are_the_agreed_ones(figure: str, goal: Goal) -> None:
    assert figure_of(figure).goal == goal


def test_a_figure_that_no_target_speaks_of_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UnknownFigure, match=r"no target has a figure 'wait'; there are lightning-p95, "):
        figure_of("wait")


def test_better_is_nearer_to_a_range_and_farther_beyond_a_border() -> None:
    between = Goal(least=0.75, most=0.85)
    assert between.is_better(0.80, 0.90)
    assert not between.is_better(0.76, 0.84)
    assert Goal(most=3.0).is_better(1.0, 2.0)
    assert Goal(least=0.9).is_better(0.99, 0.95)
