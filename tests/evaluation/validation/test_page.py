"""The page of a history, and its line in a terminal."""

from __future__ import annotations

from html.parser import HTMLParser

from northstar.evaluation.targets import Goal
from northstar.evaluation.validation.page import sparkline, validation_page
from northstar.evaluation.validation.regression import changes_of
from tests.evaluation.validation.records import figure, record, records


class Outside(HTMLParser):
    """Finds what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href", "srcset", "action"}]


def test_a_page_has_each_figure_over_time_with_its_goal_and_nothing_from_elsewhere() -> None:
    goal = Goal(most=12.0)
    known = records(*(figure(10.0 + at, 11.0 + at, goal=goal) for at in range(3)))
    page = validation_page(known, changes_of(known[-1], known[:-1]))
    assert page.startswith("<!doctype html>")
    assert "Weekly validation" in page
    assert "2026-03-01" in page
    assert page.count("<figure>") == 1
    assert "goal ≤ 12 s" in page
    assert 'class="verdict below-goal"' in page
    outside = Outside()
    outside.feed(page)
    assert outside.found == []
    assert ".totals" in page, "the style is in it"


def test_a_page_of_one_record_and_of_words_that_are_code_is_a_page() -> None:
    told = record(1, **{"a<b>": figure(1.0)})
    page = validation_page([told], changes_of(told, []))
    assert "a&lt;b&gt;" in page
    assert "<b>" not in page


def test_a_line_of_blocks_goes_from_the_lowest_to_the_highest() -> None:
    assert sparkline([0.0, 10.0, 5.0]) == "▁█▅"
    assert sparkline([]) == ""
