"""What a machine tells of a job: a few reports a second, every phase to its end, and all of the text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from northstar.agent.telling import AGAIN_S, APART_S, MAX_WAITING, PREVIEWS_APART_S, Telling
from northstar.domain.progress import TOKENS_CHARS, Progress


def step(number: int) -> Progress:
    return Progress(phase="running", step=number, steps=20)


def drained(telling: Telling, *, now: float) -> list[Progress]:
    told: list[Progress] = []
    while len(telling):
        told.append(telling.take(now=now))
    return told


def test_the_first_report_is_told_at_once_and_the_next_when_its_turn_comes() -> None:
    telling = Telling()
    assert telling.due_in(5.0) is None
    telling.add(step(1), now=5.0)
    assert telling.due_in(5.0) == 0.0
    assert telling.take(now=5.0) == step(1)
    telling.add(step(2), now=5.01)
    assert 0.0 < (telling.due_in(5.01) or 0.0) <= APART_S


def test_the_state_is_told_again_for_those_who_come_late_but_no_text_and_no_picture() -> None:
    telling = Telling()
    telling.add(Progress(phase="running", step=3, tokens="word", preview=b"picture"), now=1.0)
    telling.take(now=1.0)
    assert telling.due_in(2.0) == AGAIN_S - 1.0
    assert telling.take(now=1.0 + AGAIN_S) == Progress(phase="running", step=3)
    assert telling.due_in(1.0 + AGAIN_S) == AGAIN_S


def test_of_reports_that_wait_the_last_of_each_phase_is_told_in_order() -> None:
    telling = Telling()
    loading = Progress(phase="loading", model="sdxl")
    for news in (loading, step(1), step(2), Progress(phase="storing", bytes_done=0), step(3)):
        telling.add(news, now=0.0)
    assert drained(telling, now=0.0) == [loading, step(2), Progress(phase="storing", bytes_done=0), step(3)]


def test_files_that_are_fetched_one_after_the_other_each_keep_their_last_report() -> None:
    telling = Telling()
    for name, done in (("a", 1), ("a", 9), ("b", 1)):
        telling.add(Progress(phase="fetching", model=name, bytes_done=done), now=0.0)
    assert [(news.model, news.bytes_done) for news in drained(telling, now=0.0)] == [("a", 9), ("b", 1)]


@given(st.lists(st.tuples(st.text(max_size=30), st.booleans()), max_size=60))
def test_no_text_is_skipped_however_reports_come_in(pieces: list[tuple[str, bool]]) -> None:
    telling, told = Telling(), ""
    for number, (text, takes) in enumerate(pieces):
        telling.add(Progress(phase="running", tokens=text), now=number / 100)
        if takes:
            told += telling.take(now=number / 100).tokens or ""
    told += "".join(news.tokens or "" for news in drained(telling, now=99.0))
    assert told == "".join(text for text, _ in pieces)


def test_text_beyond_one_report_comes_with_the_next() -> None:
    telling = Telling()
    telling.add(Progress(phase="running", tokens="x" * (TOKENS_CHARS + 5)), now=0.0)
    assert [len(news.tokens or "") for news in drained(telling, now=0.0)] == [TOKENS_CHARS, 5]


def test_previews_are_rarer_than_other_reports_and_outlive_the_report_they_came_with() -> None:
    telling = Telling()
    telling.add(Progress(phase="running", step=1, preview=b"one"), now=0.0)
    telling.add(Progress(phase="running", step=2, preview=b"two"), now=0.5)
    (news,) = drained(telling, now=0.6)
    assert (news.step, news.preview) == (2, b"one")
    telling.add(Progress(phase="running", preview=b"three"), now=PREVIEWS_APART_S)
    assert telling.take(now=PREVIEWS_APART_S).preview == b"three"


@given(st.lists(st.sampled_from(["loading", "running", "storing", None]), max_size=200))
def test_whatever_is_reported_only_so_much_waits(phases: list[None]) -> None:
    telling = Telling()
    for phase in phases:
        telling.add(Progress(phase=phase), now=0.0)
    assert len(telling) <= MAX_WAITING
