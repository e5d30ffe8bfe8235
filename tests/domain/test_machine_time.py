"""Jobs that run side by side share their machine's time; what is shared out is what was used, neither more nor less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.machine_time import Bill, Work, shared

_spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 30)), max_size=20).map(
    lambda spans: [
        Work(name=str(number), since_ms=since, until_ms=since + length)
        for number, (since, length) in enumerate(sorted(spans))
    ]
)


def used_ms(works: list[Work]) -> int:
    """Milliseconds in which anything ran, counted one by one."""
    return len({at for work in works for at in range(work.since_ms, work.until_ms)})


def share_ms(work: Work, works: list[Work]) -> float:
    """Of each millisecond an equal part, counted one by one."""
    beside = [sum(one.since_ms <= at < one.until_ms for one in works) for at in range(work.since_ms, work.until_ms)]
    return sum(1 / count for count in beside)


@given(works=_spans)
def test_shares_add_up_to_the_time_in_which_anything_ran(works: list[Work]) -> None:
    told = list(shared(works))
    assert sorted(work.name for work, _ in told) == sorted(work.name for work in works)
    assert sum(share for _, share in told) == pytest.approx(used_ms(works))


@given(works=_spans)
def test_at_every_moment_those_that_run_share_equally(works: list[Work]) -> None:
    for work, share in shared(works):
        assert share == pytest.approx(share_ms(work, works))


def test_hours_without_a_price_are_counted_and_not_free() -> None:
    bill = Bill()
    bill.add(3_600_000, price_usd_per_hour=2.0)
    bill.add(1_800_000, price_usd_per_hour=None)
    assert (bill.runs, bill.hours, bill.usd, bill.unpriced_h) == (2, 1.5, 2.0, 0.5)
