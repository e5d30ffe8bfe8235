"""A figure beside its limits: which side it left them on, and what a person is told."""

from __future__ import annotations

import pytest

from northstar.evaluation.gate.figures import FEWEST_JOBS, GATE_FIGURES, figure_named
from northstar.evaluation.gate.limits import scenario_limits
from northstar.evaluation.gate.verdicts import GateVerdict, complaint, judged

LIMITS = scenario_limits(
    "ab",
    {
        seed: {
            "lost-jobs": 0.0,
            "wait-10s": 0.8 + 0.01 * seed,
            "redundant": 100.0 + seed,
            "utilisation": 0.5 + 0.01 * seed,
        }
        for seed in range(1, 6)
    },
)
GOOD = {"lost-jobs": 0.0, "wait-10s": 0.83, "redundant": 103.0, "utilisation": 0.53}


@pytest.mark.parametrize(
    ("figure", "value", "verdict"),
    [
        ("wait-10s", 0.85, "within"),
        ("wait-10s", 0.5, "worse"),
        ("wait-10s", 0.99, "better"),
        ("redundant", 140.0, "worse"),
        ("redundant", 40.0, "better"),
        ("utilisation", 0.9, "changed"),
        ("lost-jobs", 1.0, "worse"),
    ],
)
def test_a_figure_leaves_its_limits_on_the_bad_or_the_good_side(
    figure: str, value: float, verdict: GateVerdict
) -> None:
    found = {one.figure: one for one in judged("some", GOOD | {figure: value}, LIMITS)}
    assert found[figure].verdict == verdict
    assert found[figure].fails == (verdict != "within")
    assert all(one.verdict == "within" for name, one in found.items() if name != figure)


def test_a_figure_that_is_gone_or_has_no_limits_fails_too() -> None:
    found = {
        one.figure: one.verdict
        for one in judged("some", {"lost-jobs": 0.0, "wait-10s": 0.83, "utilisation": 0.53, "fetched": 9.0}, LIMITS)
    }
    assert found == {
        "lost-jobs": "within",
        "wait-10s": "within",
        "utilisation": "within",
        "fetched": "new",
        "redundant": "gone",
    }


def test_a_pool_that_had_too_few_jobs_in_some_run_behind_the_limits_is_not_judged() -> None:
    assert "wait-10s/lightning" not in {
        one.figure for one in judged("some", GOOD | {"wait-10s/lightning": 0.1}, LIMITS)
    }


def test_a_person_is_told_figure_value_limits_and_how_to_set_new_ones() -> None:
    told = complaint(judged("some", GOOD | {"redundant": 140.0}, LIMITS))
    first, _, how = told.partition("\n\n")
    assert first == (
        "some/redundant (GB fetched that the fleet had fetched before): 140 with seed 3 is worse than the limits 96.9 to 109, "
        "which follow from 5 runs of 103 on average (sd 1.58)"
    )
    assert "northstar gate --measure --seeds 20 --write FILE" in how
    assert "never widened by hand" in how


def test_nothing_is_said_where_all_is_well() -> None:
    assert complaint(judged("some", GOOD, LIMITS)) == ""


def test_every_name_says_what_it_is() -> None:
    assert figure_named("wait-10s/fast-lane").worse == "less"
    assert figure_named("redundant") == GATE_FIGURES["redundant"]
    assert FEWEST_JOBS > 1
    with pytest.raises(KeyError):
        figure_named("weather")
