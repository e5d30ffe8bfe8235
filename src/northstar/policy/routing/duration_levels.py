"""What is remembered of the runs of one key: a mean of logarithms that forgets, one for each GPU class, and how times grow with work."""

from __future__ import annotations

import math
from typing import Final, Literal, TypeAlias

import msgspec

from northstar.domain.estimates import EstimateSource

LevelName = Literal["service", "service-work", "model", "model-work", "shape", "user-model", "user-shape"]
#: A level and what the run or job is called there.
LevelKey: TypeAlias = tuple[str, ...]

#: Classes remembered for one key; the one with the fewest runs goes first.
MAX_CLASSES: Final = 8
#: Pulls the growth with work towards this until runs say otherwise: half of the time is not the work itself.
_GROWTH: Final = 0.5
_GROWTH_WEIGHT: Final = 5.0


class LevelRule(msgspec.Struct, frozen=True, kw_only=True):
    """How a level learns: `forgets` is the share of weight lost with each run; `prior` is how many runs its parent counts for."""

    name: LevelName
    source: EstimateSource
    forgets: float
    prior: float
    #: Whether its mean is moved to the job's amount of work.
    grows: bool = False


#: The coarsest first. Each is drawn towards the one before.
LEVELS: Final = (
    LevelRule(name="service", source="features", forgets=0.01, prior=1, grows=True),
    LevelRule(name="service-work", source="features", forgets=0.02, prior=3),
    LevelRule(name="model", source="model", forgets=0.03, prior=3, grows=True),
    LevelRule(name="model-work", source="model", forgets=0.1, prior=3),
    LevelRule(name="shape", source="shape", forgets=0.15, prior=3),
    LevelRule(name="user-model", source="model", forgets=0.35, prior=4),
    LevelRule(name="user-shape", source="user", forgets=0.35, prior=2),
)
_SERVICE, _SERVICE_WORK, _MODEL, _MODEL_WORK, _SHAPE, _USER_MODEL, _USER_SHAPE = LEVELS


class Seen(msgspec.Struct, kw_only=True):
    """Runs of one key on one GPU class. All are of natural logarithms, of seconds and of work."""

    weight: float = 0.0
    mean: float = 0.0
    runs: int = 0
    work_mean: float = 0.0
    work_square: float = 0.0
    work_product: float = 0.0

    def learn(self, log_s: float, log_work: float, *, forgets: float) -> None:
        """Add a run; the others lose `forgets` of their weight (West, "Updating Mean and Variance Estimates", CACM 22, 1979)."""
        kept = self.weight * (1 - forgets)
        self.weight = kept + 1
        self.runs += 1
        off, off_work = log_s - self.mean, log_work - self.work_mean
        self.mean += off / self.weight
        self.work_mean += off_work / self.weight
        share = kept / self.weight
        self.work_square = (1 - forgets) * self.work_square + share * off_work * off_work
        self.work_product = (1 - forgets) * self.work_product + share * off_work * off

    def at(self, log_work: float) -> float:
        """The mean, moved to an amount of work."""
        slope = (self.work_product + _GROWTH * _GROWTH_WEIGHT) / (self.work_square + _GROWTH_WEIGHT)
        return self.mean + min(max(slope, 0.0), 1.2) * (log_work - self.work_mean)


def level_keys(*, service: str, model: str, shape: str, user: str, work: float) -> list[tuple[LevelRule, LevelKey]]:
    """The levels at which a job is known, the coarsest first; those of a name that is not known are left out.

    >>> [rule.name for rule, _ in level_keys(service="picture", model="sdxl", shape="", user="ada", work=0.0)]
    ['service', 'model', 'user-model']
    """
    amount = str(round(2 * math.log2(work))) if work > 0 else ""
    found: list[tuple[LevelRule, LevelKey]] = [(_SERVICE, ("service", service))]
    if amount:
        found.append((_SERVICE_WORK, ("service-work", service, amount)))
    if model:
        found.append((_MODEL, ("model", service, model)))
        if amount:
            found.append((_MODEL_WORK, ("model-work", service, model, amount)))
    if shape:
        found.append((_SHAPE, ("shape", service, model, shape)))
    if user and model:
        found.append((_USER_MODEL, ("user-model", service, user, model)))
    if user and shape:
        found.append((_USER_SHAPE, ("user-shape", service, user, model, shape)))
    return found
