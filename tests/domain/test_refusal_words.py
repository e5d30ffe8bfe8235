"""What the queue says no to is said with units, and with what to do."""

from __future__ import annotations

import re

import pytest

from northstar.domain.refusals import REFUSALS, refusal


@pytest.mark.parametrize("kind", REFUSALS.values(), ids=lambda kind: kind.code)
def test_no_sentence_leaves_a_number_of_bytes_or_milliseconds_to_be_reckoned(kind: type) -> None:
    sentence: str = kind.sentence  # type: ignore[attr-defined]
    assert not re.search(r"_ms\}|\} (ms|bytes|MB)\b", sentence), sentence


@pytest.mark.parametrize(
    ("code", "facts", "sentence"),
    [
        (
            "NS_DESCRIPTION_TOO_LARGE",
            {"limit": "16384"},
            "the description of the machine is larger than 16,384 bytes (16.4 kB); let it declare fewer tags, node packs or engines",
        ),
        (
            "NS_TENANT_FULL",
            {"tenant": "ada", "limit": "100000", "retry_after_ms": "1500"},
            "tenant ada has 100,000 unfinished jobs, as many as it may; come back in 1.5 s",
        ),
        (
            "NS_INVITE_TOO_LONG",
            {"limit_ms": "7776000000"},
            "an invite may be open for at most 90 d here; ask for less or raise max_invite_ms",
        ),
        (
            "NS_BODY_TOO_LARGE",
            {"job": "j", "bytes": "65537", "limit": "65536"},
            "the body of job j has 65,537 bytes (65.5 kB), more than the 65,536 bytes (65.5 kB) allowed; store media elsewhere and send a reference",
        ),
    ],
)
def test_amounts_are_said_as_people_read_them(code: str, facts: dict[str, str], sentence: str) -> None:
    assert str(refusal(code, facts)) == sentence


def test_a_fact_that_is_no_number_or_not_there_does_not_fail_the_report() -> None:
    assert "come back in (unknown retry_after_ms)" in str(refusal("NS_CELL_FULL", {"limit": "many"}))
    assert "soon ms" in str(refusal("NS_CELL_FULL", {"limit": "1", "retry_after_ms": "soon"}))
