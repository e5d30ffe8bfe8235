"""A run is measured from the reports that people are shown."""

from __future__ import annotations

from northstar.agent.run_meter import MAX_METERS, RunMeter, RunMeters, model_used
from northstar.domain.progress import Progress
from northstar.domain.run_reports import RunReport, from_wire


def measured(*reports: tuple[float, Progress], end: float) -> RunReport:
    meter = RunMeter(now=0.0)
    for now, news in reports:
        meter.hear(news, now=now)
    return meter.report(now=end)


def fetching(model: str, done: int) -> Progress:
    return Progress(phase="fetching", model=model, bytes_done=done)


def test_each_phase_gets_the_time_until_the_next_one() -> None:
    report = measured(
        (0.0, fetching("a", 0)),
        (4.0, fetching("a", 400)),
        (4.0, Progress(phase="loading")),
        (7.0, Progress(phase="running", step=1)),
        (9.0, Progress(phase="running", step=2)),
        (12.0, Progress(phase="storing")),
        end=12.5,
    )
    assert (report.fetching_s, report.loading_s, report.running_s, report.storing_s) == (4.0, 3.0, 5.0, 0.5)
    assert (report.fetched_bytes, report.link_bytes_per_s, report.waiting_s) == (400, 100.0, 0.0)


def test_an_engine_that_names_no_phase_has_worked_all_the_time() -> None:
    report = measured((1.0, Progress(message="thinking")), (8.0, Progress(phase="storing")), end=9.0)
    assert (report.running_s, report.storing_s, report.waiting_s) == (8.0, 1.0, 0.0)


def test_what_comes_before_the_first_phase_of_an_engine_that_names_them_is_its_own_queue() -> None:
    report = measured((3.0, Progress(phase="running")), end=5.0)
    assert (report.waiting_s, report.running_s) == (3.0, 2.0)


def test_a_job_that_has_fetched_and_waits_inside_its_engine_fetches_no_more() -> None:
    report = measured(
        (0.0, fetching("a", 10)), (2.0, Progress(message="third in line")), (6.0, Progress(phase="running")), end=7.0
    )
    assert (report.fetching_s, report.waiting_s, report.running_s) == (2.0, 4.0, 1.0)


def test_a_graph_that_loads_again_in_its_middle_is_charged_to_both() -> None:
    report = measured(
        (0.0, Progress(phase="running", node=1)),
        (2.0, Progress(phase="loading", node=2)),
        (5.0, Progress(phase="running", node=2)),
        end=6.0,
    )
    assert (report.running_s, report.loading_s) == (3.0, 3.0)


def test_of_several_files_all_bytes_count() -> None:
    report = measured(
        (0.0, fetching("a", 1)), (1.0, fetching("b", 5)), (2.0, fetching("a", 100)), (2.0, fetching("b", 50)), end=2.0
    )
    assert report.fetched_bytes == 150


def test_the_largest_files_are_named() -> None:
    meter = RunMeter(now=0.0)
    meter.used(model_used(f"m{size}", size_bytes=size, sha256="ab" * 32) for size in range(20))
    models = meter.report(now=1.0).models
    assert [model.size_bytes for model in models] == [19, 18, 17, 16, 15, 14, 13, 12]
    assert models[0].sha256 == "ab" * 8


def test_runs_are_measured_side_by_side_and_forgotten_when_they_end() -> None:
    now = 0.0
    meters = RunMeters(lambda: now)
    meters.begin("1.a.1")
    now = 2.0
    meters.begin("1.b.1")
    now = 5.0
    first, second = from_wire(meters.end("1.a.1")), from_wire(meters.end("1.b.1"))
    assert first is not None
    assert second is not None
    assert (first.running_s, second.running_s) == (5.0, 3.0)
    assert meters.end("1.a.1") == ""


def test_meters_that_nobody_ends_are_bounded() -> None:
    meters = RunMeters(lambda: 0.0)
    for number in range(MAX_METERS + 1):
        meters.begin(str(number))
    assert meters.end("0") == ""
    assert meters.end("1") == "{}"
