"""What is said of a deadline that passed: which one it was, and when."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.domain.expiry_text import expiry_sentence

SUBMITTED_MS = 1_700_000_000_000
SAID = "the deadline that was set at submit has passed"


def sentence(code: str, **times: Any) -> str:
    fields: dict[str, Any] = {"submitted_ms": SUBMITTED_MS, "start_by_ms": 0, "finish_by_ms": 0}
    return expiry_sentence(code, SAID, **fields | times)


@pytest.mark.parametrize(
    ("code", "times", "told"),
    [
        (
            "NS_NOT_STARTED_IN_TIME",
            {"start_by_ms": SUBMITTED_MS + 90_000, "finish_by_ms": SUBMITTED_MS + 500_000},
            "it was to start within 90 s of its submission (start_within_s), by 2023-11-14 22:14:50 UTC, and did not",
        ),
        (
            "NS_NOT_FINISHED_IN_TIME",
            {"start_by_ms": SUBMITTED_MS + 90_000, "finish_by_ms": SUBMITTED_MS + 2_500},
            "it was to end within 2.5 s of its submission (finish_within_s), by 2023-11-14 22:13:22 UTC, and did not",
        ),
    ],
)
def test_the_deadline_that_passed_is_told_as_it_was_asked_for_and_as_a_time(
    code: str, times: dict[str, int], told: str
) -> None:
    assert sentence(code, **times) == told


def test_a_deadline_of_thirty_days_is_told_in_full() -> None:
    assert "within 2592000 s of" in sentence("NS_NOT_STARTED_IN_TIME", start_by_ms=SUBMITTED_MS + 2_592_000_000)


def test_where_no_deadline_is_known_any_more_the_sentence_stays() -> None:
    """Of a job that was given out once, the queue forgets by when it had to start."""
    assert sentence("NS_NOT_STARTED_IN_TIME") == SAID


def test_other_errors_keep_their_sentence() -> None:
    assert sentence("NS_ENGINE_DIED", start_by_ms=SUBMITTED_MS + 1) == SAID
