"""What an estimator hands to whoever cannot read the runs themselves."""

from __future__ import annotations

import zlib
from collections.abc import Generator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.estimates import FinishedRun
from northstar.domain.workloads import Workload
from northstar.policy.routing import duration_telling
from northstar.policy.routing.duration import DurationEstimator, JobToTime
from northstar.policy.routing.duration_summary import MOST_KEYS, VERSION, Learned, Said, pack, said, unpack
from northstar.policy.routing.duration_telling import LOOKED_AT, TOLD

_NAMES = st.sampled_from(["", "a", "b"])
_CLASSES = st.sampled_from(["", "rtx-4090", "a100"])
_RUNS = st.builds(
    FinishedRun,
    shape=_NAMES,
    service=st.sampled_from(["picture", "text"]),
    model=_NAMES,
    user=_NAMES,
    gpu_class=_CLASSES,
    machine=_NAMES,
    ran_s=st.floats(0.1, 10_000),
    work=st.floats(0, 1e12),
)
_JOBS = st.builds(
    JobToTime,
    service=st.sampled_from(["picture", "text"]),
    workload=st.builds(Workload, shape=_NAMES, steps=st.integers(0, 100), pixels=st.integers(0, 10**7)),
    model=_NAMES,
    user=_NAMES,
    gpu_class=_CLASSES,
    declared_s=st.sampled_from([0.0, 90.0]),
)


def knowing(*runs: FinishedRun) -> DurationEstimator:
    estimator = DurationEstimator()
    for run in runs:
        estimator.learn(run)
    return estimator


def summary_of(estimator: DurationEstimator) -> Learned:
    return finished(estimator.summary(most_keys=MOST_KEYS))


def finished(making: Generator[None, None, Learned]) -> Learned:
    while True:
        try:
            next(making)
        except StopIteration as made:
            learned: Learned = made.value
            return learned


def run(number: int = 0, **changes: object) -> FinishedRun:
    first = FinishedRun(
        shape=f"s{number}", service="picture", model=f"m{number}", user=f"u{number}", gpu_class="", ran_s=20.0 + number
    )
    return msgspec.structs.replace(first, **changes)


@given(runs=st.lists(_RUNS, max_size=30), job=_JOBS)
def test_who_has_the_whole_summary_estimates_as_who_has_learned(runs: list[FinishedRun], job: JobToTime) -> None:
    """To the digits that are kept; sources, runs and confidence too."""
    learned = knowing(*runs)
    handed = unpack(pack(summary_of(learned), most_bytes=48_000))
    assert handed is not None
    one, two = learned.estimate(job), DurationEstimator.knowing(handed).estimate(job)
    assert (two.source, two.runs, two.gpu_class) == (one.source, one.runs, one.gpu_class)
    for name in ("p10_s", "p50_s", "p90_s"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), rel=0.05)
    assert two.confidence == pytest.approx(one.confidence, abs=0.001)


def test_of_much_that_was_learned_it_holds_what_fits_those_that_most_jobs_share_first() -> None:
    """Three thousand users with a model each: models come before shapes, shapes before users, the latest first."""
    learned = knowing(*(run(number) for number in range(3_000)))
    packed = pack(summary_of(learned), most_bytes=8_000)
    assert len(packed) <= 8_000
    handed = unpack(packed)
    assert handed is not None
    levels = [key[0] for key, _ in handed.keys]
    assert 300 < len(levels) < 3_000
    assert set(levels) == {"service", "model"}
    assert ("model", "picture", "m2999") in dict(handed.keys)
    whole = unpack(pack(summary_of(learned), most_bytes=1_000_000))
    assert whole is not None
    assert len(whole.keys) == MOST_KEYS


def test_who_goes_on_learning_from_a_summary_keeps_to_its_bounds() -> None:
    """What was handed over is a crowd beside the machines that are heard now."""
    estimator = DurationEstimator.knowing(summary_of(knowing(*[run()] * 20)))
    for _ in range(100):
        estimator.learn(run(ran_s=0.01, machine="liar"))
    job = JobToTime(service="picture", workload=Workload(shape="s0"), model="m0")
    assert estimator.estimate(job).p50_s > 10.0 * 0.999


def test_between_two_pauses_little_is_done_however_much_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve thousand keys: counted is what is looked at and what is told, not the time, which is another on each machine."""
    estimator = knowing(*(run(number) for number in range(3_000)))
    done = {"looked at": 0, "told": 0}

    class _Ranks(dict[str, int]):
        def get(self, key: str, default: int = 0) -> int:  # type: ignore[override]
            done["looked at"] += 1
            return super().get(key, default)

    def counted(weight: float, mean: float, runs: int, *work: float) -> Said:
        done["told"] += 1
        return said(weight, mean, runs, *work)

    monkeypatch.setattr(duration_telling, "_SHARED", _Ranks(duration_telling._SHARED))
    monkeypatch.setattr(duration_telling, "said", counted)
    most, before = dict(done), dict(done)
    making = estimator.summary(most_keys=MOST_KEYS)
    is_made = False
    while not is_made:
        is_made = next(making, "made") == "made"
        most = {name: max(most[name], done[name] - before[name]) for name in done}
        before = dict(done)
    assert done["looked at"] == estimator.key_count > 2 * LOOKED_AT
    assert done["told"] == MOST_KEYS
    assert most == {"looked at": LOOKED_AT, "told": TOLD}


def test_who_learns_while_the_keys_are_looked_at_is_told() -> None:
    """What came of it would be of no one moment."""
    estimator = knowing(*(run(number) for number in range(1_000)))
    making = estimator.summary(most_keys=MOST_KEYS)
    next(making)
    estimator.estimate(JobToTime(service="picture", workload=Workload(shape="s0"), model="m0"))
    next(making)
    estimator.learn(run(1))
    with pytest.raises(RuntimeError, match="mutated"):
        next(making)


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no summary",
        zlib.compress(b"{}"),
        zlib.compress(b'{"version":1,"keys":7}'),
        zlib.compress(msgspec.json.encode(Learned(version=VERSION + 1))),
        zlib.compress(b" " * 5_000_000),
    ],
)
def test_what_another_version_wrote_or_what_is_no_summary_is_not_read(packed: bytes) -> None:
    assert unpack(packed) is None


def test_a_bound_that_nothing_fits_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="without any key"):
        pack(summary_of(knowing(run())), most_bytes=10)
