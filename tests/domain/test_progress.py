"""Progress travels within bounds, and what is shown of a job never goes back."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.progress import (
    MESSAGE_CHARS,
    TOKENS_CHARS,
    WIRE_BYTES,
    Phase,
    Progress,
    ProgressOrder,
    from_wire,
    to_wire,
)
from northstar.domain.progress_text import describe, printable

PHASES: tuple[Phase, ...] = ("fetching", "loading", "running", "storing")
counts = st.none() | st.integers(min_value=-(10**20), max_value=10**20)
reports = st.builds(
    Progress,
    phase=st.none() | st.sampled_from(PHASES),
    fraction=st.none() | st.floats(),
    message=st.text(max_size=MESSAGE_CHARS + 50),
    tokens=st.none() | st.text(max_size=40),
    preview=st.none() | st.binary(max_size=40),
    model=st.text(max_size=300),
    bytes_done=counts,
    bytes_total=counts,
    node=counts,
    nodes=counts,
    node_name=st.text(max_size=300),
    step=counts,
    steps=counts,
)


def running(node: int | None = None, **rest: Any) -> Progress:
    return Progress(phase="running", node=node, **rest)


def loading(node: int | None = None, **rest: Any) -> Progress:
    return Progress(phase="loading", node=node, **rest)


def shown_of(*news: Progress) -> list[Progress | None]:
    order = ProgressOrder()
    return [order.hear("1.n.1", one) for one in news]


# On the wire ----------------------------------------------------------------------------------------------------------


@given(reports)
def test_whatever_an_engine_reports_travels_within_the_bounds_that_readers_check(news: Progress) -> None:
    text = to_wire(news)
    assert len(text) <= WIRE_BYTES
    heard = from_wire(text)
    assert heard is not None
    assert heard.phase == news.phase
    assert to_wire(heard) == text


@pytest.mark.parametrize("letter", ["\x00", "€", "🌠"])
def test_the_largest_report_fits_into_one_message_if_need_be_without_its_preview(letter: str) -> None:
    widest = "\x00"  # six bytes of JSON
    news = Progress(
        phase="fetching",
        message=widest * MESSAGE_CHARS,
        tokens=letter * TOKENS_CHARS,
        preview=bytes(24 * 1024),
        model=widest * 256,
        node_name=widest * 256,
    )
    text = to_wire(news)
    assert len(text) <= WIRE_BYTES
    assert (b"preview" in text) == (letter == "€")


def test_half_a_letter_from_an_engine_costs_only_itself() -> None:
    assert from_wire(to_wire(Progress(tokens="a\ud83cb"))) == Progress(tokens="a?b")


def test_a_report_of_a_newer_machine_is_read_without_what_is_new() -> None:
    text = json.dumps({"phase": "running", "fraction": 0.5, "mood": {"deep": [1]}}).encode()
    assert from_wire(text) == Progress(phase="running", fraction=0.5)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no progress",
        b"[]",
        b'{"fraction": 2}',
        b'{"phase": "dreaming"}',
        b'{"bytes_done": -1}',
        b'{"message": 7}',
        b'{"message": "' + b"x" * 501 + b'"}',
        b"\xff",
        b'{"step": 1e400}',
    ],
)
def test_what_is_no_report_within_bounds_is_none(text: bytes) -> None:
    assert from_wire(text) is None


# Order ----------------------------------------------------------------------------------------------------------------


@given(st.lists(reports, max_size=30))
def test_the_shown_phase_never_goes_back_but_for_a_later_node_that_loads(news: list[Progress]) -> None:
    rank = {None: -1, "fetching": 0, "loading": 1, "running": 2, "storing": 3}
    shown = [one for one in shown_of(*news) if one is not None]
    for before, after in itertools.pairwise(shown):
        is_turn = (before.phase, after.phase) == ("running", "loading")
        waits_in_the_engine = (before.phase, after.phase) == ("fetching", None)
        assert is_turn or waits_in_the_engine or rank[after.phase] >= rank[before.phase]
        if is_turn:
            assert after.node is not None
            assert before.node is None or after.node > before.node
    phases = [phase for phase, _same in itertools.groupby(one.phase for one in shown)]
    assert phases.count("fetching") <= 1


@given(st.lists(reports, max_size=30))
def test_no_text_is_held_back_whatever_the_order(news: list[Progress]) -> None:
    assert [one.tokens for one in shown_of(*news) if one and one.tokens] == [one.tokens for one in news if one.tokens]


@given(st.permutations(range(6)))
def test_reports_of_one_run_in_any_order_never_show_an_earlier_phase_again(places: list[int]) -> None:
    told = [
        Progress(phase="fetching", model="sdxl", bytes_done=1),
        loading(1),
        running(2),
        loading(3),
        running(4, step=2, steps=9),
        Progress(phase="storing", bytes_done=3),
    ]
    shown = [told.index(one) for one in shown_of(*(told[place] for place in places)) if one is not None]
    assert shown == sorted(shown)


def test_a_graph_that_loads_a_second_model_is_seen_loading_again() -> None:
    news = (loading(1), running(2), loading(3), running(4))
    assert [one.phase for one in shown_of(*news) if one] == ["loading", "running", "loading", "running"]


def test_loading_that_was_overtaken_on_its_way_is_old_news() -> None:
    assert shown_of(running(), loading())[1] is None
    assert shown_of(running(2), loading(2))[1] is None
    assert shown_of(running(2), loading(1))[1] is None


def test_steps_of_a_node_may_begin_again_for_a_node_may_sample_twice() -> None:
    assert [one.step for one in shown_of(running(4, step=20), running(4, step=1)) if one] == [20, 1]


def test_a_newer_run_starts_anew_and_an_older_one_is_not_heard_any_more() -> None:
    order = ProgressOrder()
    order.hear("1.n.1", Progress(phase="storing"))
    assert order.hear("2.n.1", Progress(phase="fetching")) == Progress(phase="fetching")
    assert order.hear("1.n.1", Progress(phase="storing", tokens="ghost")) is None
    assert order.hear("no token", running()) is None
    assert order.shown == Progress(phase="fetching")


def test_a_fraction_goes_on_within_a_stretch_and_begins_anew_in_the_next() -> None:
    news = (
        Progress(phase="fetching", model="a", fraction=0.9),
        Progress(phase="fetching", model="b", fraction=0.1),
        loading(fraction=0.2),
        running(fraction=0.1),
        running(tokens="word"),
        Progress(phase="storing"),
    )
    assert [one.fraction for one in shown_of(*news) if one] == [0.9, 0.1, 0.2, 0.2, 0.2, None]


def test_a_job_that_waits_in_its_engine_after_a_fetch_is_not_shown_fetching() -> None:
    fetching, waits = (
        Progress(phase="fetching", model="a", fraction=1.0),
        Progress(message="queued in the engine, 1 ahead"),
    )
    assert shown_of(fetching, waits, fetching, loading(1)) == [fetching, waits, None, loading(1)]


def test_news_without_a_phase_keep_the_one_that_is_shown() -> None:
    (_, shown) = shown_of(running(fraction=0.5), Progress(message="still here"))
    assert shown == Progress(phase="running", fraction=0.5, message="still here")


# In words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("news", "sentence"),
    [
        (Progress(phase="fetching", model="a.gguf", bytes_done=0), "fetching a.gguf 0 bytes"),
        (
            Progress(phase="fetching", model="a.gguf", bytes_done=12_345, bytes_total=1_000_000),
            "fetching a.gguf 0.0 of 1.0 MB",
        ),
        (loading(model="llama"), "loading llama"),
        (loading(1, nodes=7, node_name="VAELoader"), "loading (node 1 of 7: VAELoader)"),
        (
            running(4, nodes=7, node_name="KSampler", step=12, steps=20),
            "running (node 4 of 7: KSampler, step 12 of 20)",
        ),
        (running(fraction=0.256), "running 26 %"),
        (Progress(phase="storing", bytes_done=512, bytes_total=2_048), "storing 0.5 of 2.0 kB"),
        (Progress(fraction=0.5, message="of an older machine"), "50 %: of an older machine"),
        (Progress(message="queued in the engine, 2 ahead"), "queued in the engine, 2 ahead"),
        (Progress(), ""),
    ],
)
def test_progress_is_said_in_one_line(news: Progress, sentence: str) -> None:
    assert describe(news) == sentence


@given(reports)
def test_nothing_that_a_machine_says_can_steer_a_terminal(news: Progress) -> None:
    assert describe(msgspec.structs.replace(news, fraction=None)).isprintable()
    assert printable("\x1b]0;title\x07\r\n") == "�]0;title�  "
