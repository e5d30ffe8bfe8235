"""What a benchmark may say of its figures."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from benchmarks.measure import QUIET_CORES, ProcessorWatch, Sample, interleaved, percentile, quietest, spread


def sample(value: float, others_cores: float) -> Sample[float]:
    return Sample(value=value, others_cores=others_cores)


def test_a_spread_gives_the_median_and_both_ends() -> None:
    known = spread([5.0, 1.0, 2.0, 9.0])
    assert (known.median, known.low, known.high, known.samples) == (3.5, 1.0, 9.0, 4)


def test_nothing_measured_is_no_figure() -> None:
    with pytest.raises(ValueError, match="measure at least once"):
        spread([])
    with pytest.raises(ValueError, match="measure at least once"):
        percentile([], 50)


@pytest.mark.parametrize(("percent", "expected"), [(50, 150), (99, 297), (100, 300), (0, 1)])
def test_a_percentile_is_one_of_the_values(percent: float, expected: int) -> None:
    assert percentile(range(1, 301), percent) == expected


def test_every_round_holds_every_item_once_and_starts_with_another() -> None:
    turns = list(interleaved("abc", 3))
    assert [item for number, item in turns if number == 0] == ["a", "b", "c"]
    assert [item for number, item in turns if number == 1] == ["b", "c", "a"]
    assert [item for number, item in turns if number == 2] == ["c", "a", "b"]


def test_a_quiet_sample_is_taken_once() -> None:
    taken = iter([sample(1.0, 0.0)])
    assert quietest(lambda: next(taken), attempts=5).attempts == 1


def test_a_noisy_sample_is_taken_again_until_it_is_quiet() -> None:
    taken = iter([sample(1.0, 1.0), sample(2.0, QUIET_CORES), sample(3.0, 0.0)])
    best = quietest(lambda: next(taken), attempts=5)
    assert (best.value, best.attempts, best.quiet) == (2.0, 2, True)


def test_where_all_attempts_are_noisy_the_least_disturbed_is_kept_and_says_so() -> None:
    taken = iter([sample(1.0, 0.9), sample(2.0, 0.5), sample(3.0, 0.7)])
    best = quietest(lambda: next(taken), attempts=3)
    assert (best.value, best.attempts, best.quiet) == (2.0, 3, False)


def test_work_of_a_watched_group_is_ours_and_not_somebody_else_s() -> None:
    spin = "import time; print(flush=True)\nwhile time.process_time() < 20: pass"
    with subprocess.Popen(
        [sys.executable, "-c", spin], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True
    ) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        watch = ProcessorWatch({worker.pid})
        until_s = time.monotonic() + 20
        while (watched := watch.read()).own_s[worker.pid] < 0.3 and time.monotonic() < until_s:
            pass
        worker.kill()
    assert watched.own_s[worker.pid] >= 0.3
    assert watched.others_cores >= 0
