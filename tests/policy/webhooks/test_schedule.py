"""A delivery that failed is tried again over days, and a receiver that says when is believed within bounds."""

from __future__ import annotations

import pytest

from northstar.policy.webhooks.schedule import JITTER, MAX_RETRY_AFTER_S, MOST_ATTEMPTS, pause_ms, retry_after_s


def test_ten_attempts_are_made_in_three_days_as_the_specification_suggests() -> None:
    pauses = [pause_ms(attempts, jitter=0.0) for attempts in range(1, MOST_ATTEMPTS + 1)]
    assert pauses[-1] is None
    known = [pause for pause in pauses if pause is not None]
    assert known == sorted(known)
    assert (len(known), sum(known)) == (9, (75 * 3_600 + 35 * 60 + 5) * 1_000)


def test_what_failed_together_does_not_come_back_together() -> None:
    assert pause_ms(3, jitter=0.999) == pytest.approx(1_800_000 * (1 + JITTER), rel=1e-3)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        (" 30 ", 30.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 60.0),
        ("Wed, 31 Dec 1969 00:00:00 GMT", 0.0),
        ("9999999999999999999999", MAX_RETRY_AFTER_S),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_S),
        (None, None),
        ("", None),
        ("-5", None),
        ("nan", None),
        ("soon", None),
        ("١٢", None),
        ("x" * 10_000, None),
    ],
)
def test_when_to_come_back_is_read_as_seconds_or_a_date_and_nothing_else(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after_s(header, now_s=60.0) == seconds


def test_nobody_is_asked_before_he_said_and_never_sooner_than_planned() -> None:
    assert pause_ms(1, jitter=0.0, retry_after_s=3_600) == 3_600_000
    assert pause_ms(4, jitter=0.0, retry_after_s=1) == 7_200_000
    assert pause_ms(MOST_ATTEMPTS, jitter=0.0, retry_after_s=1) is None
