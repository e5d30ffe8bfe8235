"""How long a job will run: learned online from finished runs, key by key, each key drawn towards the coarser one above it.

The estimate of a level is (weight x mean + prior x estimate of its parent) / (weight + prior): an empirical Bayes shrinkage of
exponentially weighted means of logarithms. So a user's fifth run of a graph counts for much, the first for a little, and nothing
switches. Deterministic, with no clock: what was learned in which order is all that counts. Bounded memory. An estimate takes some 5 µs, a run
to learn some 20 µs, and 90 µs where many machines of several tenants have run the same (measured on a busy machine; decision 10).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from northstar.domain.estimates import DurationEstimate, EstimateSource
from northstar.domain.workloads import Workload
from northstar.policy.routing.duration_levels import Heard, LevelKey, LevelRule, Seen, level_keys
from northstar.policy.routing.duration_memory import Memory
from northstar.policy.routing.duration_rules import RULE_CONFIDENCE, RULE_FACTOR, rule_s, work_of
from northstar.policy.routing.duration_spread import is_judged
from northstar.policy.routing.duration_telling import remembered, telling

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from northstar.domain.estimates import FinishedRun
    from northstar.policy.routing.duration_summary import Learned
    from northstar.policy.routing.gpu_pace import GpuPaces

#: What became of a run that was to be learned; only the first changed anything.
Verdict = Literal["learned", "not-a-number", "not-positive", "absurd"]

#: Seconds beyond which a run says nothing about others: the bound of an estimate.
LONGEST_S: Final = 30 * 86_400.0
_SHORTEST_S: Final = 1e-3
_MOST_WORK: Final = 1e30
#: A declared time: nobody has measured how well submitters know; a guess between rule and measurement.
_DECLARED_CONFIDENCE: Final = 0.2
_DECLARED_FACTOR: Final = 3.0
#: Own runs of a class from which on other classes are not asked.
_ENOUGH_OWN: Final = 3
#: Keys that are remembered, where nobody says otherwise.
MAX_KEYS: Final = 50_000
_UNSEEN: Final[dict[str, Seen]] = {}
_RANK: Final[dict[EstimateSource, int]] = {"features": 0, "model": 1, "shape": 2, "user": 3}


class JobToTime(msgspec.Struct, frozen=True, kw_only=True):
    """The names under which a job's time is looked up; empty is not known. `declared_s` is its submitter's word, 0 for none."""

    service: str
    workload: Workload
    model: str = ""
    user: str = ""
    gpu_class: str = ""
    declared_s: float = 0.0


class _Look(msgspec.Struct, frozen=True):
    log_s: float
    source: EstimateSource
    runs: int
    trust: float
    has_like_work: bool


class DurationEstimator:
    """Knows the runs it was given.

    >>> from northstar.domain.estimates import FinishedRun
    >>> from northstar.domain.workloads import Workload
    >>> estimator, graph = DurationEstimator(), Workload(shape="a1", modalities=("image",), steps=30, pixels=1_048_576)
    >>> job = JobToTime(service="picture", workload=graph, model="sdxl", user="ada", gpu_class="rtx-4090")
    >>> before = estimator.estimate(job)
    >>> (before.source, round(before.p50_s, 1), before.confidence)
    ('rules', 6.2, 0.1)
    >>> run = FinishedRun(shape="a1", service="picture", model="sdxl", user="ada", gpu_class="rtx-4090", ran_s=20.0)
    >>> [estimator.learn(run) for _ in range(3)]
    ['learned', 'learned', 'learned']
    >>> after = estimator.estimate(job)
    >>> (after.source, round(after.p50_s), after.runs)
    ('user', 20, 3)
    """

    def __init__(self, *, max_keys: int = MAX_KEYS, memory: Memory | None = None) -> None:
        """`max_keys` bounds what it remembers, as `Memory` does; `memory` is what it knows already, with a bound of its own."""
        self._memory = memory or Memory(max_keys=max_keys)
        self._runs = 0

    @property
    def key_count(self) -> int:
        """Keys that are remembered, at most `max_keys`."""
        return len(self._memory.keys)

    def learn(self, run: FinishedRun) -> Verdict:
        """Take in a run that succeeded; one with an impossible time or amount of work changes nothing, and is named.

        Its time is its machine's word: it counts as no longer than the cell saw the machine hold the job, and beside what other machines
        said as `duration_voices` says.
        """
        verdict = _judge(run)
        if verdict != "learned":
            return verdict
        log_s, log_work = math.log(believed_s(run)), _log_work(run.work)
        levels = level_keys(service=run.service, model=run.model, shape=run.shape, user=run.user, work=run.work)
        heard = Heard(run.machine, run.tenant, run.finished_ms)
        self._runs += 1
        if is_judged(self._runs) or not self._memory.is_of_several(levels[0][1], run.gpu_class):
            before = self._look(levels, run.gpu_class, log_work)
            if before is not None:
                self._memory.missed(before.source, log_s - before.log_s, machine=run.machine)
        self._memory.learn(levels, run.gpu_class, log_s, log_work, heard)
        return "learned"

    def estimate(self, job: JobToTime) -> DurationEstimate:
        """What the job is expected to take on its GPU class, by the best that is known of it."""
        work = work_of(job.workload)
        levels = level_keys(service=job.service, model=job.model, shape=job.workload.shape, user=job.user, work=work)
        look = self._look(levels, job.gpu_class, _log_work(work))
        if _says_more(job, look):
            return _guess(job, job.declared_s, "declared")
        if look is None:
            return _guess(job, rule_s(job.workload), "rules")
        spread = self._memory.spread(look.source)
        widen = 1 / look.trust
        return DurationEstimate(
            p10_s=_seconds(look.log_s + spread.low * widen),
            p50_s=_seconds(look.log_s),
            p90_s=_seconds(look.log_s + spread.high * widen),
            source=look.source,
            confidence=spread.near * look.trust,
            runs=look.runs,
            gpu_class=job.gpu_class,
        )

    def summary(self, *, most_keys: int) -> Generator[None, None, Learned]:
        """What it knows, for `knowing`: at most so many keys, made as `telling` makes it, with pauses in which others can have their turn."""
        return telling(self._memory, most_keys=most_keys)

    @classmethod
    def knowing(cls, learned: Learned) -> DurationEstimator:
        """One that estimates as the one whose summary this is, as far as the summary goes."""
        return cls(memory=remembered(learned, max_keys=MAX_KEYS))

    def run_times(self, job: JobToTime, gpu_classes: Iterable[str]) -> dict[str, float]:
        """Seconds that the job is expected to take (the median), by class of GPU; only of classes that have run something like it.

        Of these it is what `estimate` says, at a fraction of the work. What others take follows from these by the `paces`.
        """
        work = work_of(job.workload)
        levels = level_keys(service=job.service, model=job.model, shape=job.workload.shape, user=job.user, work=work)
        log_work, seen = _log_work(work), [self._memory.keys.get(key, _UNSEEN) for _, key in levels]
        known = [name for name in gpu_classes if any(name in classes for classes in seen)]
        found = ((name, self._look(levels, name, log_work)) for name in known)
        return {name: _seconds(look.log_s) for name, look in found if look is not None and not _says_more(job, look)}

    def paces(self) -> GpuPaces:
        """How fast classes of GPU are beside each other, by the shapes that more than one has run; the same object until more is learned."""
        return self._memory.paces()

    def _look(self, levels: Sequence[tuple[LevelRule, LevelKey]], gpu_class: str, log_work: float) -> _Look | None:
        # A job passes here once for each class of GPU that pools count by, so nothing is made on the way but what is given.
        value, source, runs, trust, has_like_work = 0.0, None, 0, 1.0, False
        keys = self._memory.keys
        for rule, key in levels:
            classes = keys.get(key)
            if not classes:
                continue
            prior, own = (0.0 if source is None else rule.prior), classes.get(gpu_class)
            here_trust, here_runs = 1.0, 0
            if own is None or own.runs < _ENOUGH_OWN:
                other = _most_seen(classes, gpu_class)
                if other is not None:
                    shift, here_trust = self._memory.ratio(other, gpu_class)
                    seen = classes[other].agreed()
                    here_runs, mean, weight = seen.runs, _mean(seen, rule, log_work) + shift, seen.weight * here_trust
                    value, prior = (weight * mean + prior * value) / (weight + prior), rule.prior
            if own is not None:
                if own.due is not None:
                    own.agreed()
                here_runs, here_trust = own.runs, 1.0
                value = (own.weight * _mean(own, rule, log_work) + prior * value) / (own.weight + prior)
            has_like_work = has_like_work or rule.name == "service-work"
            if source is None or _RANK[rule.source] >= _RANK[source]:
                source, runs, trust = rule.source, here_runs, here_trust
        return None if source is None else _Look(value, source, runs, trust, has_like_work)


def _says_more(job: JobToTime, look: _Look | None) -> bool:
    """Whether the submitter's word counts: runs of the same service with another amount of work say less than who wrote the job."""
    is_declared = math.isfinite(job.declared_s) and 0 < job.declared_s <= LONGEST_S
    return is_declared and (look is None or (look.source == "features" and not look.has_like_work))


def _mean(seen: Seen, rule: LevelRule, log_work: float) -> float:
    return seen.at(log_work) if rule.grows and log_work > 0 and seen.work_mean > 0 else seen.mean


def _most_seen(classes: dict[str, Seen], besides: str) -> str | None:
    if len(classes) == 1:
        (only,) = classes
        return None if only == besides else only
    others = [name for name in classes if name != besides]
    return max(others, key=lambda name: (classes[name].runs, name)) if others else None


def believed_s(run: FinishedRun) -> float:
    """How long a run took, in seconds: what its machine says, but no longer than the cell saw it hold the job, from claim to end.

    >>> from northstar.domain.estimates import FinishedRun
    >>> run = FinishedRun(shape="", service="picture", model="", user="", gpu_class="", ran_s=900.0, held_s=12.5)
    >>> believed_s(run)
    12.5
    """
    longest_s = run.ran_s if run.held_s is None else min(run.ran_s, run.held_s)
    return max(longest_s, _SHORTEST_S)


def _judge(run: FinishedRun) -> Verdict:
    if not math.isfinite(run.ran_s) or not math.isfinite(run.work):
        return "not-a-number"
    if run.ran_s <= 0 or run.work < 0:
        return "not-positive"
    return "learned" if run.ran_s <= LONGEST_S and run.work <= _MOST_WORK else "absurd"


def _log_work(work: float) -> float:
    return math.log(work) if work > 1 else 0.0


def _seconds(log_s: float) -> float:
    return math.exp(min(log_s, math.log(LONGEST_S)))


def _guess(job: JobToTime, seconds: float, source: Literal["declared", "rules"]) -> DurationEstimate:
    factor, confidence = (
        (_DECLARED_FACTOR, _DECLARED_CONFIDENCE) if source == "declared" else (RULE_FACTOR, RULE_CONFIDENCE)
    )
    return DurationEstimate(
        p10_s=seconds / factor,
        p50_s=seconds,
        p90_s=min(seconds * factor, LONGEST_S),
        source=source,
        confidence=confidence,
        gpu_class=job.gpu_class,
    )
