"""The estimator of durations: what it learns, from what, and what it leaves alone."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.estimates import DurationEstimate, FinishedRun
from northstar.domain.workloads import Workload
from northstar.policy.routing.duration import LONGEST_S, DurationEstimator, JobToTime

_GRAPH = Workload(modalities=("image",), shape="a", steps=30, pixels=1_048_576, images=1)
_JOB = JobToTime(service="picture", workload=_GRAPH, model="sdxl", user="ada", gpu_class="rtx-4090")
_RUN = FinishedRun(
    shape="a", service="picture", model="sdxl", user="ada", gpu_class="rtx-4090", ran_s=20.0, work=30 * 1_048_576.0
)

_NAMES = st.sampled_from(["", "a", "b"])
_RUNS = st.builds(
    FinishedRun,
    shape=_NAMES,
    service=st.sampled_from(["picture", "text"]),
    model=_NAMES,
    user=_NAMES,
    gpu_class=st.sampled_from(["", "rtx-4090", "a100"]),
    ran_s=st.floats(allow_nan=True, allow_infinity=True),
    work=st.floats(allow_nan=True, allow_infinity=True),
)
_JOBS = st.builds(
    JobToTime,
    service=st.sampled_from(["picture", "text"]),
    workload=st.builds(Workload, shape=_NAMES, steps=st.integers(0, 10**15), pixels=st.integers(0, 10**15)),
    model=_NAMES,
    user=_NAMES,
    gpu_class=st.sampled_from(["", "rtx-4090", "a100"]),
    declared_s=st.floats(allow_nan=True, allow_infinity=True),
)


def _knowing(*runs: FinishedRun, times: int = 1) -> DurationEstimator:
    estimator = DurationEstimator()
    for _ in range(times):
        for run in runs:
            assert estimator.learn(run) == "learned"
    return estimator


def _run(ran_s: float = 20.0, **changes: object) -> FinishedRun:
    return msgspec.structs.replace(_RUN, ran_s=ran_s, **changes)


def _job(**changes: object) -> JobToTime:
    return msgspec.structs.replace(_JOB, **changes)


@given(runs=st.lists(_RUNS, max_size=30), job=_JOBS)
def test_whatever_it_was_told_an_estimate_is_finite_and_its_quantiles_are_in_order(
    runs: list[FinishedRun], job: JobToTime
) -> None:
    """Numbers that are none, negative ones and absurd ones included."""
    estimator = DurationEstimator()
    for run in runs:
        estimator.learn(run)
    estimate = estimator.estimate(job)
    assert 0 <= estimate.p10_s <= estimate.p50_s <= estimate.p90_s <= LONGEST_S
    assert 0 <= estimate.confidence <= 1
    assert msgspec.convert(msgspec.to_builtins(estimate), DurationEstimate) == estimate


@given(runs=st.lists(_RUNS, max_size=30), job=_JOBS)
def test_the_same_runs_in_the_same_order_give_the_same_estimates(runs: list[FinishedRun], job: JobToTime) -> None:
    """It can be rebuilt from the history."""
    one, two = DurationEstimator(), DurationEstimator()
    for run in runs:
        assert one.learn(run) == two.learn(run)
    assert one.estimate(job) == two.estimate(job)


@given(times=st.lists(st.floats(0.01, 10_000), min_size=1, max_size=20))
def test_another_service_learns_nothing_from_a_run_of_the_first_but_how_far_off_estimates_are(
    times: list[float],
) -> None:
    """Keys share only the levels above them, and two services have none in common."""
    estimator = _knowing(_RUN, times=5)
    before = estimator.estimate(_JOB)
    for ran_s in times:
        estimator.learn(_run(ran_s, service="text", model="llama", shape="t", user="bob"))
    after = estimator.estimate(_JOB)
    assert (after.p50_s, after.source, after.runs) == (before.p50_s, before.source, before.runs)


@pytest.mark.parametrize(
    ("ran_s", "work", "why"),
    [
        (math.nan, 0.0, "not-a-number"),
        (math.inf, 0.0, "not-a-number"),
        (1.0, math.nan, "not-a-number"),
        (0.0, 0.0, "not-positive"),
        (-3.0, 0.0, "not-positive"),
        (1.0, -1.0, "not-positive"),
        (LONGEST_S * 2, 0.0, "absurd"),
        (1.0, 1e31, "absurd"),
    ],
)
def test_an_impossible_run_changes_nothing_and_is_named(ran_s: float, work: float, why: str) -> None:
    """Nothing of it reaches an estimate."""
    estimator = _knowing(_RUN, times=3)
    before = estimator.estimate(_JOB)
    assert estimator.learn(_run(ran_s, work=work)) == why
    assert estimator.estimate(_JOB) == before


def test_it_goes_by_the_user_then_the_shape_then_the_model_then_the_features() -> None:
    """The surest that is known of a job."""
    estimator = _knowing(_RUN, times=5)
    jobs = [
        _JOB,
        _job(user="bob"),
        _job(user="bob", workload=msgspec.structs.replace(_GRAPH, shape="other")),
        _job(user="bob", workload=msgspec.structs.replace(_GRAPH, shape="other"), model="flux"),
        _job(service="text"),
    ]
    assert [estimator.estimate(job).source for job in jobs] == ["user", "shape", "model", "features", "rules"]


def test_one_run_of_a_user_moves_the_estimate_a_little_and_many_move_it_all_the_way() -> None:
    """Shrinkage instead of a switch."""
    estimator = _knowing(_run(20.0, user="bob"), times=50)
    alone = estimator.estimate(_JOB).p50_s
    estimator.learn(_run(80.0))
    once = estimator.estimate(_JOB).p50_s
    for _ in range(20):
        estimator.learn(_run(80.0))
    assert alone == pytest.approx(20.0)
    assert 22 < once < 60
    assert estimator.estimate(_JOB).p50_s == pytest.approx(80.0, rel=0.15)


def test_two_shapes_of_one_model_share_what_is_known_of_the_model() -> None:
    """A new graph of a slow model is expected to be slow."""
    slow, fast = _run(200.0, model="video", shape="v"), _run(5.0)
    estimator = _knowing(slow, fast, times=20)
    new = msgspec.structs.replace(_GRAPH, shape="new")
    assert estimator.estimate(_job(workload=new, model="video", user="")).p50_s > 100
    assert estimator.estimate(_job(workload=new, user="")).p50_s < 10


def test_more_work_of_a_known_model_takes_longer() -> None:
    """A batch of eight, of which none has run yet."""
    runs = [_run(10.0 * images, shape=f"b{images}", work=images * _RUN.work) for images in (1, 2, 4)]
    estimator = _knowing(*runs, times=20)
    eight = msgspec.structs.replace(_GRAPH, shape="b8", images=8)
    assert estimator.estimate(_job(workload=eight, user="")).p50_s > 40


def test_runs_of_another_class_count_scaled_by_what_shapes_seen_on_both_say() -> None:
    """The A100 took half the time for graph `a`, so also for graph `b`, and the confidence is lower than for an own run."""
    estimator = _knowing(_run(20.0), _run(10.0, gpu_class="a100"), times=10)
    for _ in range(10):
        estimator.learn(_run(40.0, shape="b"))
    job = _job(workload=msgspec.structs.replace(_GRAPH, shape="b"))
    there, here = estimator.estimate(msgspec.structs.replace(job, gpu_class="a100")), estimator.estimate(job)
    assert there.p50_s == pytest.approx(20.0, rel=0.25)
    assert there.confidence < here.confidence
    assert there.gpu_class == "a100"


def test_with_no_shape_seen_on_both_another_class_is_not_scaled_and_trusted_least() -> None:
    """Nothing is made up about a card that nobody has seen."""
    estimator = _knowing(_RUN, times=10)
    known, unknown = estimator.estimate(_JOB), estimator.estimate(_job(gpu_class="h200"))
    assert unknown.p50_s == pytest.approx(20.0)
    assert unknown.confidence == pytest.approx(known.confidence * 0.4)
    assert unknown.p90_s > known.p90_s


def test_a_submitters_word_counts_before_rules_and_behind_runs_of_like_work() -> None:
    """Declared: 90 s."""
    job, nothing = _job(declared_s=90.0), DurationEstimator()
    assert (nothing.estimate(job).source, nothing.estimate(job).p50_s) == ("declared", 90.0)
    other_work = _knowing(_run(20.0, model="flux", shape="", user="", work=4.0), times=5)
    assert other_work.estimate(job).source == "declared"
    like_work = _knowing(_run(20.0, model="flux", shape="", user=""), times=5)
    assert like_work.estimate(job).source == "features"


@pytest.mark.parametrize("declared_s", [math.nan, math.inf, -1.0, LONGEST_S * 2])
def test_a_senseless_word_of_a_submitter_is_passed_over_for_the_rules(declared_s: float) -> None:
    """Its source says so."""
    assert DurationEstimator().estimate(_job(declared_s=declared_s)).source == "rules"


def test_eight_of_ten_runs_lie_between_the_quantiles_whatever_the_spread() -> None:
    """Measured over 2,000 runs after 500 to learn the spread from."""
    for sigma in (0.1, 0.6):
        rng, estimator, inside = random.Random(7), DurationEstimator(), 0
        for number in range(2_500):
            run = _run(rng.lognormvariate(3.0, sigma))
            estimate = estimator.estimate(_JOB)
            inside += number >= 500 and estimate.p10_s <= run.ran_s <= estimate.p90_s
            estimator.learn(run)
        assert inside / 2_000 == pytest.approx(0.8, abs=0.03)


def test_its_memory_is_bounded_and_what_was_learned_from_longest_ago_goes_first() -> None:
    """A thousand users, room for forty keys."""
    estimator = DurationEstimator(max_keys=40)
    for number in range(1_000):
        estimator.learn(_run(20.0, user=f"u{number}"))
    assert estimator.key_count == 40
    assert estimator.estimate(_job(user="u999")).source == "user"
    assert estimator.estimate(_job(user="u1")).source == "shape"


@given(runs=st.lists(_RUNS, max_size=12), job=_JOBS)
def test_times_by_class_of_gpu_are_what_the_estimates_say_where_runs_say_it(
    runs: list[FinishedRun], job: JobToTime
) -> None:
    estimator = DurationEstimator()
    for run in runs:
        estimator.learn(run)
    classes = ("rtx-4090", "a100", "never-seen")
    estimates = {name: estimator.estimate(msgspec.structs.replace(job, gpu_class=name)) for name in classes}
    told = {name: one.p50_s for name, one in estimates.items() if one.source not in {"rules", "declared"}}
    times = estimator.run_times(job, classes)
    assert times == {name: told[name] for name in times}
    ran = {run.gpu_class for run in runs if run.service == job.service and estimator.learn(run) == "learned"}
    assert times.keys() == told.keys() & ran
