"""Goals as operators write them; what is not understood is named."""

from __future__ import annotations

import pytest

from northstar.evaluation.planning.errors import InvalidGoal
from northstar.evaluation.planning.goals import Goal, parse_goal, parse_goals

POOLS = ["lightning", "fast-lane"]


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("wait<10s@95%", Goal(what="wait", below_ms=10_000, share=0.95)),
        ("response<30s@95%", Goal(what="response", below_ms=30_000, share=0.95)),
        ("lightning:response<3s@95%", Goal(what="response", below_ms=3_000, share=0.95, pool="lightning")),
        (" fast-lane : wait < 1.5 s @ 99.9 % ", Goal(what="wait", below_ms=1_500, share=0.999, pool="fast-lane")),
        ("wait<500ms@100%", Goal(what="wait", below_ms=500, share=1.0)),
        ("response<5m@90%", Goal(what="response", below_ms=300_000, share=0.9)),
    ],
)
def test_a_goal_is_read_and_reads_the_same_when_it_is_written(text: str, goal: Goal) -> None:
    assert parse_goal(text, pools=POOLS) == goal
    assert parse_goal(str(goal), pools=POOLS) == goal


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("wait", "has no '<'"),
        ("delay<10s@95%", "'delay' is not understood before '<'"),
        ("wait<10s", "does not say for which share"),
        ("wait<10@95%", "'10' between '<' and '@' is no length of time"),
        ("wait<ten s@95%", "'tens' between '<' and '@' is no length of time"),
        ("wait<0s@95%", "0s is not between 0 and a year"),
        ("wait<10s@95", "'95' behind '@' is no share of jobs"),
        ("wait<10s@0%", "0% is not above 0 %"),
        ("wait<10s@101%", "101% is not above 0 % and at most 100 %"),
        (
            "lightening:wait<10s@95%",
            "there is no pool 'lightening', only lightning, fast-lane; did you mean lightning?",
        ),
        (":wait<10s@95%", "has no pool before the colon"),
        ("", "has no '<'"),
    ],
)
def test_what_was_not_understood_is_named(text: str, says: str) -> None:
    with pytest.raises(InvalidGoal) as raised:
        parse_goal(text, pools=POOLS)
    assert raised.value.code == "NS_INVALID_GOAL"
    assert says in str(raised.value)
    assert repr(text) in str(raised.value)


def test_a_goal_stands_there_once_and_there_are_not_too_many() -> None:
    with pytest.raises(InvalidGoal, match="stands there twice"):
        parse_goals(["wait<10s@95%", "wait < 10000ms @ 95%"], pools=POOLS)
    with pytest.raises(InvalidGoal, match="one more than the 20"):
        parse_goals([f"wait<{at + 1}s@95%" for at in range(21)], pools=POOLS)
