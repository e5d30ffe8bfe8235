"""The page is whole in itself, has every row, and draws what the runs had."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from northstar.evaluation.all_targets import FIGURES
from northstar.evaluation.errors import ReportImpossible
from northstar.evaluation.plots import Axis, Bar, Curve, bars_plot, curves_plot
from northstar.evaluation.report import report_page
from northstar.evaluation.results import ForecastPoint, Measured, Results, results_of
from northstar.evaluation.run_figures import RunSummary, summary_of
from northstar.evaluation.scorecard import scorecard_of
from tests.evaluation.runs import fetch, job, machine, run


def some_run(policy: str, seed: int = 1) -> RunSummary:
    jobs = [job(number, wait_s=float(number % 15), pool=("fast-lane", "heavy")[number % 2]) for number in range(60)]
    return summary_of(
        run(jobs, policy=policy, seed=seed, machines=(machine(),), fetches=(fetch(1, "a", 4.0), fetch(2, "a", 4.0)))
    )


def page_of(results: Results) -> str:
    return report_page(scorecard_of(results, version="1.2.3"), results)


class Tags(HTMLParser):
    """Which tags are open at the end, and what any of them would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br", "link", "img"}:
            self.open.append(tag)
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href", "srcset", "data"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing stays open."""


def test_the_page_needs_nothing_from_elsewhere_and_is_well_formed() -> None:
    page = page_of(results_of([some_run("north-star"), some_run("uniform")], policy="north-star", about="a test"))
    tags = Tags()
    tags.feed(page)
    assert (tags.open, tags.loads) == ([], [])
    assert "<script" not in page
    assert not re.search(r"url\(|@import|https?://", page)


def test_every_figure_has_its_line_and_what_is_not_measured_says_so() -> None:
    page = page_of(
        Results(about="nothing", measured={"wait-10s": Measured(values=(0.98,), tuned=True, note="one run")})
    )
    assert all(f'<tr id="{name}"' in page for name in FIGURES)
    assert page.count('class="verdict not-measured"') == len(FIGURES) - 1
    line = page[page.index('<tr id="wait-10s"') :].split("</tr>")[0]
    for words in ("98 % (1 seed)", "≥ 97.5 %", "tuned on the same window", "one run", "pass"):
        assert words in line
    assert "there is nothing to draw" in page


def test_plots_are_drawn_for_each_policy_and_for_forecasts() -> None:
    results = results_of([some_run("north-star"), some_run("uniform")], policy="north-star", about="a test")
    forecasts = tuple(ForecastPoint(hour=h, foreseen=10.0 + h, low=5.0, high=20.0, came=11.0) for h in range(24))
    page = page_of(Results(about=results.about, runs=results.runs, forecasts=forecasts))
    titles = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert titles == [
        "How long jobs waited: north-star",
        "How long jobs waited: uniform",
        "Cold starts by pool, of 100 jobs",
        "GB fetched",
        "Machines that are paid for",
        "Machine-hours",
        "Cost, US dollars",
        "Forecasts against what came",
    ]
    for drawn in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(drawn)


def test_names_from_results_are_text_and_never_markup() -> None:
    page = page_of(results_of([some_run("<b>x</b>")], policy="<b>x</b>", about="<script>alert(1)</script>"))
    assert "<b>x" not in page
    assert "<script" not in page


def test_a_plot_of_nothing_says_so() -> None:
    assert "not measured" in curves_plot("Waits", [], x=Axis("s"), y=Axis("jobs"))
    assert "not measured" in bars_plot("Cold starts", [Bar("a", (0.0,))], parts=("cold",))


def test_a_curve_reaches_from_edge_to_edge_and_what_is_beyond_the_axis_lies_at_its_end() -> None:
    plot = curves_plot("t", [Curve("a", [(0.0, 0.0), (10.0, 2.0)])], x=Axis("s"), y=Axis("n"), y_range=(0.0, 1.0))
    # 720 wide: from 64 to 702; 300 high: from 256 up to 14.
    assert 'd="M64.0 256.0L702.0 14.0"' in plot


def test_a_logarithmic_axis_has_powers_of_ten() -> None:
    plot = curves_plot("t", [Curve("a", [(0.1, 0.0), (1_000.0, 1.0)])], x=Axis("s", is_log=True), y=Axis("n"))
    assert re.findall(r'<text class="x"[^>]*>([^<]*)<', plot) == ["0.1", "1", "10", "100", "1000"]


def test_without_jinja_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ReportImpossible, match=r"pip install northstar-broker\[serve\]"):
        page_of(Results(about=""))
