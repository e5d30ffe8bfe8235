"""No machine alone, and no tenant's own machines, move what everybody is told of durations."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.estimates import DurationEstimate, FinishedRun
from northstar.domain.workloads import Workload
from northstar.policy.routing.duration import DurationEstimator, JobToTime
from northstar.policy.routing.duration_levels import ALIKE, LEVELS, Heard, LevelRule, Seen
from northstar.policy.routing.duration_spread import is_judged
from northstar.policy.routing.duration_voices import (
    VOICE_LASTS_MS,
    Voice,
    agree,
    agree_across_tenants,
    beside,
    limited,
    middle,
)

_WORK = 30 * 1_048_576.0
_RUN = FinishedRun(
    shape="a", service="picture", model="sdxl", user="acme/ada", gpu_class="rtx-4090", ran_s=20.0, work=_WORK
)
#: A job of somebody of whom nothing is known, so that it goes by what everybody's runs say.
_JOB = JobToTime(
    service="picture",
    workload=Workload(modalities=("image",), shape="a", steps=30, pixels=1_048_576, images=1),
    model="sdxl",
    gpu_class="rtx-4090",
)
_DAY_MS = 86_400_000

_HONEST_S = st.floats(math.log(10.0), math.log(30.0))
_LIES = st.floats(math.log(1e-3), math.log(2_592_000.0))
#: Who runs next and how long it says it took: the liar a whole stream, or one of two honest machines.
_COURSE = st.lists(
    st.one_of(
        st.tuples(st.just("liar"), _LIES, st.integers(1, 40)),
        st.tuples(st.sampled_from(["one", "two"]), _HONEST_S, st.just(1)),
    ),
    max_size=25,
)
_SHARED_LEVELS = [rule for rule in LEVELS if not rule.name.startswith("user")]


def run(ran_s: float = 20.0, machine: str = "", **changes: object) -> FinishedRun:
    return msgspec.structs.replace(_RUN, ran_s=ran_s, machine=machine, **changes)


def knowing(runs: Iterable[FinishedRun]) -> DurationEstimator:
    estimator = DurationEstimator()
    for one in runs:
        assert estimator.learn(one) == "learned"
    return estimator


def told(estimator: DurationEstimator) -> DurationEstimate:
    return estimator.estimate(_JOB)


# The rule of one key -------------------------------------------------------------------------------------------------


@given(
    rule=st.sampled_from(_SHARED_LEVELS),
    begin=st.lists(_HONEST_S, min_size=6, max_size=6),
    course=_COURSE,
)
def test_whatever_one_machine_reports_a_key_stays_within_half_the_bound_of_what_the_others_say(
    rule: LevelRule, begin: list[float], course: list[tuple[str, float, int]]
) -> None:
    """Two honest machines have run it three times; then the third says anything, any number of times, and they go on."""
    seen, honest = Seen(), list(begin)
    for number, log_s in enumerate(begin):
        seen.learn(log_s, 0.0, forgets=rule.forgets, within=rule.within, heard=Heard(("one", "two")[number % 2]))
    for machine, log_s, times in course:
        honest += [] if machine == "liar" else [log_s]
        for _ in range(times):
            seen.learn(log_s, 0.0, forgets=rule.forgets, within=rule.within, heard=Heard(machine))
        slack = rule.within / 2 + 1e-9
        assert min(honest) - slack <= seen.agreed().mean <= max(honest) + slack


@given(lies=st.lists(_LIES, min_size=1, max_size=200))
def test_a_newcomer_moves_nobody_far_from_the_one_machine_that_was_known_before_it(lies: list[float]) -> None:
    """Between two that are apart nobody can know who is right; the first one is the middle."""
    seen = Seen()
    for _ in range(3):
        seen.learn(3.0, 0.0, forgets=0.15, heard=Heard("first"))
    for log_s in lies:
        seen.learn(log_s, 0.0, forgets=0.15, heard=Heard("newcomer"))
    assert abs(seen.agreed().mean - 3.0) <= ALIKE / 2 + 1e-9


@given(times=st.lists(st.floats(0.0, 5.0), min_size=1, max_size=60), forgets=st.floats(0.01, 0.35))
def test_a_machine_that_is_alone_with_a_key_is_all_that_is_known_of_it(times: list[float], forgets: float) -> None:
    """The mean of one voice is the plain one that forgets."""
    seen, alone = Seen(), Voice()
    for log_s in times:
        seen.learn(log_s, 0.0, forgets=forgets, heard=Heard("only"))
        alone.take_in(log_s, 0.0, forgets=forgets)
    assert seen.agreed().mean == pytest.approx(alone.mean)
    assert seen.runs == len(times)
    assert seen.agreed().weight == pytest.approx(min(alone.weight, 1 / forgets))


def test_however_much_one_machine_has_run_since_three_runs_of_another_stand() -> None:
    """A thousand runs fade what the others said, but not their word: the busy one counts for half of it, and no more."""
    seen = Seen()
    for _ in range(3):
        for machine in ("one", "two"):
            seen.learn(3.0, 0.0, forgets=0.15, heard=Heard(machine))
    for _ in range(1_000):
        seen.learn(-5.0, 0.0, forgets=0.15, heard=Heard("busy"))
    assert seen.agreed().mean == pytest.approx(3.0 - ALIKE / 3)


def test_a_single_run_of_another_machine_is_soon_outweighed() -> None:
    """It may have been an accident, such as the first run of a cold engine."""
    seen = Seen()
    seen.learn(5.0, 0.0, forgets=0.15, heard=Heard("once"))
    for _ in range(30):
        seen.learn(3.0, 0.0, forgets=0.15, heard=Heard("busy"))
    assert seen.agreed().mean == pytest.approx(3.0 + ALIKE / 4)


def test_who_was_not_heard_for_a_day_says_nothing_any_more() -> None:
    """A machine that left must not share its word with its successor for ever."""
    seen = Seen()
    for _ in range(5):
        seen.learn(3.0, 0.0, forgets=0.15, heard=Heard("gone", at_ms=1))
    for number in range(5):
        seen.learn(4.0, 0.0, forgets=0.15, heard=Heard("new", at_ms=2 + VOICE_LASTS_MS + number))
    assert seen.agreed().mean == pytest.approx(4.0)
    assert seen.voices is None


def test_of_many_machines_the_voices_are_bounded_and_nothing_is_lost_of_what_all_said() -> None:
    """Those heard longest ago become a crowd, which counts in full."""
    seen, plain = Seen(), Voice()
    for number in range(200):
        seen.learn(3.0 + number % 7 / 100, 0.0, forgets=0.05, heard=Heard(f"m{number % 40}"))
        plain.take_in(3.0 + number % 7 / 100, 0.0, forgets=0.05)
    assert seen.voices is not None
    assert len(seen.voices) == 4
    assert seen.agreed().weight == pytest.approx(plain.weight)
    assert seen.agreed().mean == pytest.approx(plain.mean, abs=0.01)


def test_two_machines_with_different_amounts_of_work_learn_how_times_grow_with_it() -> None:
    """One always runs small jobs, the other large ones: the key knows both."""
    seen = Seen()
    for _ in range(50):
        for log_work in (1.0, 2.0, 3.0):
            seen.learn(log_work, log_work, forgets=0.03, within=math.log(4), heard=Heard("one"))
            seen.learn(log_work, log_work, forgets=0.03, within=math.log(4), heard=Heard("two"))
    assert seen.agreed().at(4.0) == pytest.approx(4.0, abs=0.2)


@given(weights=st.lists(st.floats(0.1, 100.0), min_size=2, max_size=6))
def test_no_machine_counts_for_more_than_half(weights: list[float]) -> None:
    """Unless the others have not even one run between them."""
    counted = limited([Voice(weight=weight) for weight in weights])
    assert all(one <= weight for one, weight in zip(counted, weights, strict=True))
    largest = max(counted)
    assert largest <= sum(counted) - largest + 1e-9 or largest <= 1.0


@given(
    values=st.lists(st.floats(-10, 10), min_size=3, max_size=7),
    lie=st.floats(-1e6, 1e6),
    place=st.integers(0, 2),
)
def test_the_middle_of_equal_voices_lies_among_the_others_whatever_one_says(
    values: list[float], lie: float, place: int
) -> None:
    honest = [value for number, value in enumerate(values) if number != place]
    values[place] = lie
    assert min(honest) <= middle(values, [1.0] * len(values)) <= max(honest)


def test_what_voices_agree_on_does_not_depend_on_how_loud_the_loudest_is() -> None:
    said = [agree([Voice(weight=2.0, mean=1.0), Voice(weight=loud, mean=9.0)], within=0.5).mean for loud in (2.0, 99.0)]
    assert said[0] == said[1] == pytest.approx(1.25)


# What everybody is told ----------------------------------------------------------------------------------------------


@given(course=_COURSE)
def test_one_machine_that_lies_moves_nobodys_estimate_by_more_than_a_factor_of_two(
    course: list[tuple[str, float, int]],
) -> None:
    """All levels together, for a job of somebody new: from half of the shortest honest run to twice the longest."""
    runs = [run(20.0, machine) for machine in ("one", "two") * 3]
    honest = [20.0]
    for machine, log_s, times in course:
        honest += [] if machine == "liar" else [math.exp(log_s)]
        runs += [run(math.exp(log_s), machine)] * times
    estimate = told(knowing(runs))
    assert min(honest) / 2 * 0.999 <= estimate.p50_s <= max(honest) * 2 * 1.001


def test_in_a_fleet_of_twenty_a_liar_that_reports_more_than_all_others_changes_hardly_anything() -> None:
    """Each honest machine is a little faster or slower; the liar reports four runs for each of theirs, of a hundredth of a second."""
    rng, runs = random.Random(5), []
    for _ in range(600):
        number = rng.randrange(20)
        runs.append(run(20.0 * (0.9 + number / 100) * rng.lognormvariate(0, 0.05), f"m{number}"))
    honest = told(knowing(runs)).p50_s
    mixed = [one for each in runs for one in (each, *[run(0.01, "liar")] * 4)]
    assert told(knowing(mixed)).p50_s == pytest.approx(honest, rel=0.45)
    assert honest == pytest.approx(20.0, rel=0.1)


def test_a_tenant_with_ten_machines_for_its_own_work_has_one_voice_in_what_others_are_told() -> None:
    """Its machines outnumber those that others' work runs on; its own users' estimates are its own affair."""
    runs = []
    for number in range(300):
        runs.append(run(20.0, f"shared-{number % 3}", tenant=("acme", "beta")[number % 2]))
        runs.append(run(0.01, f"own-{number % 10}", tenant="mallory", user="mallory/m"))
    assert told(knowing(runs)).p50_s > 20.0 / 2 * 0.999


def test_where_there_is_one_tenant_each_machine_has_its_own_voice() -> None:
    """Nine runs of a liar beside six of honest machines, all for the same tenant."""
    runs = [run(20.0, f"m{number % 2}", tenant="acme") for number in range(6)]
    runs += [run(0.01, "liar", tenant="acme")] * 9
    assert told(knowing(runs)).p50_s > 20.0 / 2 * 0.999


def test_a_report_longer_than_the_cell_saw_the_machine_hold_the_job_is_cut_to_that() -> None:
    """From claim to end by the cell's own clock."""
    believed = knowing([run(86_400.0, "m", held_s=12.0)] * 5)
    assert told(believed).p50_s == pytest.approx(12.0)
    unknown = knowing([run(90.0, "m", held_s=None)] * 5)
    assert told(unknown).p50_s == pytest.approx(90.0)


def test_one_machine_widens_nobodys_quantiles_without_end() -> None:
    """It says a thousandth of a second and a month in turn, more often than all others run."""
    rng = random.Random(7)
    honest = [run(20.0 * rng.lognormvariate(0, 0.1), f"m{number % 5}") for number in range(500)]
    calm = told(knowing(honest))
    lies = [(run(1e-3, "liar"), run(2_000_000.0, "liar"))[number % 2] for number in range(1_500)]
    wild = told(
        knowing([one for number, each in enumerate(honest) for one in (each, *lies[3 * number : 3 * number + 3])])
    )
    assert wild.p90_s / wild.p50_s < calm.p90_s / calm.p50_s * 2.5
    assert wild.p50_s / wild.p10_s < calm.p50_s / calm.p10_s * 2.5
    assert wild.confidence > 0


def test_what_one_machine_says_of_another_gpu_class_does_not_turn_the_ratio_of_the_two() -> None:
    """Three machines of one class and three of the other know graph `a`; a liar says that the slower class is a thousand times faster."""
    runs = []
    for number in range(60):
        runs.append(run(20.0, f"g{number % 3}"))
        runs.append(run(10.0, f"a{number % 3}", gpu_class="a100"))
        runs.append(run(0.01, "liar", gpu_class="a100"))
    runs += [run(40.0, f"g{number % 3}", shape="b") for number in range(30)]
    job = msgspec.structs.replace(_JOB, gpu_class="a100", workload=msgspec.structs.replace(_JOB.workload, shape="b"))
    assert knowing(runs).estimate(job).p50_s > 5.0


# What it costs -------------------------------------------------------------------------------------------------------


def test_machines_are_asked_to_agree_when_somebody_reads_and_not_with_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first thousand runs one in four is foretold, to see how far off that is; else nobody reads while runs are learned."""
    asked = 0

    def counted(voices: Sequence[Voice], *, within: float) -> Voice:
        nonlocal asked
        asked += 1
        return agree_across_tenants(voices, within=within)

    monkeypatch.setattr("northstar.policy.routing.duration_levels.agree_across_tenants", counted)
    estimator = knowing(run(20.0, f"m{number % 40}") for number in range(1_000))
    asked = 0
    for number in range(800):
        estimator.learn(run(20.0, f"m{number % 40}"))
    levels = len(LEVELS)
    assert 190 * levels <= asked <= 210 * levels
    estimator.learn(run(20.0, "m1"))
    asked = 0
    first = told(estimator)
    assert 0 < asked <= levels
    asked = 0
    assert told(estimator) == first
    assert asked == 0


@pytest.mark.parametrize("machines", [["one"], ["", ""], ["one", "two"]])
def test_of_what_one_machine_alone_has_run_each_error_is_taken_in(machines: list[str]) -> None:
    """To foretell such a run costs next to nothing."""
    estimator = knowing(run(20.0, machines[number % len(machines)]) for number in range(3_001))
    judged = sum(known.said.runs for known in estimator._memory.spreads.values())
    assert judged == (3_000 if len(set(machines)) == 1 else pytest.approx(1_500, abs=5))


@pytest.mark.parametrize("period", range(2, 60))
def test_whose_errors_are_taken_in_follows_no_turn_of_the_machines(period: int) -> None:
    """Machines that end their runs one after the other, round by round, are all heard alike."""
    heard = Counter(number % period for number in range(1_001, 61_001) if is_judged(number))
    assert len(heard) == period
    assert max(heard.values()) <= 1.5 * min(heard.values())


@given(
    one=st.tuples(st.floats(1e-9, 50.0), st.integers(0, 9), _HONEST_S),
    two=st.tuples(st.floats(1e-9, 50.0), st.integers(0, 9), _HONEST_S),
)
def test_what_two_machines_may_count_for_is_what_the_rule_for_many_says(
    one: tuple[float, int, float], two: tuple[float, int, float]
) -> None:
    first, second = voices = [Voice(weight=weight, runs=runs, mean=mean) for weight, runs, mean in (one, two)]
    weights = limited(voices)
    centre = middle([voice.mean for voice in voices], weights)
    assert [beside(first, second, voice) for voice in voices] == [(weight, centre) for weight in weights]
