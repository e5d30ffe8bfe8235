"""Goals of a plan, as operators write them: `wait<10s@95%`."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from northstar.domain.misfits import alike
from northstar.evaluation.planning.errors import InvalidGoal

#: wait: from submit to the beginning of the work, with queue, fetch and load in it · response: from submit to the end of the work.
What = Literal["wait", "response"]
_WHATS: Final[tuple[What, ...]] = ("wait", "response")
_MS: Final = {"ms": 1.0, "s": 1_000.0, "m": 60_000.0, "h": 3_600_000.0}
_TIME: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h)")
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%")
#: As many goals as one plan may have.
MOST_GOALS: Final = 20
_LIKE: Final = "write it as wait<10s@95%, response<30s@95% or lightning:response<3s@95%"


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """A share of jobs for which something takes less than so long."""

    what: What
    below_ms: float
    #: From above 0 to 1.
    share: float
    #: The pool whose jobs it is for; empty: it holds for each pool by itself.
    pool: str = ""

    def __str__(self) -> str:
        pool = f"{self.pool}:" if self.pool else ""
        return f"{pool}{self.what}<{self.below_ms / 1_000:g}s@{round(self.share * 100, 6):g}%"


def parse_goal(text: str, *, pools: list[str] | None = None) -> Goal:
    """Read a goal. `pools` are those that there are; None: nobody knows yet.

    Raises:
        InvalidGoal: what was not understood is named.

    >>> str(parse_goal(" lightning: response < 3s @ 95% "))
    'lightning:response<3s@95%'
    """
    words = "".join(text.split())
    before, colon, rest = words.rpartition(":")
    if colon and not before:
        raise InvalidGoal(text, f"has no pool before the colon; {_LIKE}")
    if before and pools is not None and before not in pools:
        near = alike(before, pools)
        hint = f"; did you mean {near}?" if near else ""
        raise InvalidGoal(text, f"there is no pool {before!r}, only {', '.join(pools)}{hint}")
    what, less, rest = rest.partition("<")
    if not less:
        raise InvalidGoal(text, f"has no '<'; {_LIKE}")
    found = next((one for one in _WHATS if one == what), None)
    if found is None:
        raise InvalidGoal(text, f"{what!r} is not understood before '<'; it is wait or response")
    time, at, share = rest.partition("@")
    if not at:
        raise InvalidGoal(text, f"does not say for which share of jobs; {_LIKE}")
    return Goal(what=found, below_ms=_time(text, time), share=_share(text, share), pool=before)


def parse_goals(texts: list[str], *, pools: list[str]) -> tuple[Goal, ...]:
    """Read all goals of a plan. Raises InvalidGoal: one of them is none, or stands there twice."""
    if len(texts) > MOST_GOALS:
        raise InvalidGoal(texts[MOST_GOALS], f"is one more than the {MOST_GOALS} that a plan may have")
    goals: list[Goal] = []
    for text in texts:
        goal = parse_goal(text, pools=pools)
        if goal in goals:
            raise InvalidGoal(text, "stands there twice; leave one out")
        goals.append(goal)
    return tuple(goals)


def _time(text: str, words: str) -> float:
    found = _TIME.fullmatch(words)
    if found is None:
        raise InvalidGoal(
            text, f"{words!r} between '<' and '@' is no length of time; write a number and ms, s, m or h, such as 10s"
        )
    below_ms = float(found[1]) * _MS[found[2]]
    if not 0 < below_ms <= 366 * 86_400_000:
        raise InvalidGoal(text, f"{words} is not between 0 and a year; nothing could be less")
    return below_ms


def _share(text: str, words: str) -> float:
    found = _SHARE.fullmatch(words)
    if found is None:
        raise InvalidGoal(text, f"{words!r} behind '@' is no share of jobs; write percent, such as 95%")
    share = round(float(found[1]) / 100, 9)
    if not 0 < share <= 1:
        raise InvalidGoal(text, f"{words} is not above 0 % and at most 100 %")
    return share
