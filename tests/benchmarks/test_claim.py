"""The measurement of claims: a real server, queues that stay as they were filled, and a verdict that can be lost."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec
import pytest

from benchmarks.cell import BEGIN_MS, MeasuredCell, Served, info, served
from benchmarks.claim import report
from benchmarks.claim.fill import FilledCell
from benchmarks.claim.rounds import Round, View, take_round
from benchmarks.claim.shapes import CANDIDATES, FEW_LANES, FULL, QUICK, Plan, Reach, Shape
from benchmarks.claim.suite import fitting, measure_claims
from benchmarks.contract import Options
from benchmarks.jobs import lane_number, wanted_job, wanted_lane
from benchmarks.measure import Sample
from northstar.store import messages as m

HARD = Shape(jobs=60, lanes=20, unservable_lanes=5, unservable_head=3, profiles=2)
TINY = Plan(shapes=(Shape(jobs=40, lanes=10), HARD), visits=2, claims=6, credits_=5)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(append_only=False) as running:
        yield running


def filled(server: Served, shape: Shape) -> FilledCell:
    cell = FilledCell(server.client, shape, f"cell{len(server.client.keys('*:meta'))}")  # type: ignore[arg-type]
    cell.fill()
    return cell


def waiting(cell: MeasuredCell) -> dict[str, int]:
    lanes = cell.call("statistics", {"lanes": 500, "after": ""}, m.StatisticsReply).lanes
    return {lane.key: lane.waiting for lane in lanes}


def a_round(claim_us: float) -> Round:
    return Round(
        claim_p50_us=claim_us,
        claim_p99_us=2 * claim_us,
        claim_server_us=claim_us / 2,
        claim_calls=1.0,
        commands={"hget": 10.0},
        batch_p50_us=20.0,
        batch_server_us=15.0,
        batch_commands=4.0,
        batch_jobs=100.0,
    )


def verdict_on(*medians_us: float) -> list[str]:
    shapes = [Shape(jobs=jobs, lanes=10) for jobs in range(1_000, 1_000 + len(medians_us))]
    views = [report.Known(f"{shape.name} | all", shape, "all") for shape in shapes]
    phase = {
        view.name: [Sample(value=a_round(us), others_cores=0.0)] for view, us in zip(views, medians_us, strict=True)
    }
    return report.verdicts(views, phase)


def test_a_filled_cell_holds_the_jobs_of_its_shape_and_nothing_that_runs(server: Served) -> None:
    cell = filled(server, HARD)
    counts = cell.cell.call("statistics", {"lanes": 0, "after": ""}, m.StatisticsReply).counts
    assert counts["waiting_size"] == HARD.jobs + HARD.unservable_jobs + HARD.unservable_head
    assert counts["leases_size"] == 0
    assert counts["machines_size"] == HARD.profiles + 1  # and the one that serves few lanes


def test_the_head_is_older_than_overdue_and_the_rest_is_not(server: Served) -> None:
    cell = filled(server, HARD)
    ages = [member.decode()[6:17] for member in server.client.zrange(cell.cell.keys["ages"].decode(), 0, -1)]  # type: ignore[union-attr]
    overdue = [age for age in ages if int(age, 16) < cell.cell.now_ms - 60_000]
    assert len(overdue) == HARD.unservable_head
    assert all(int(age, 16) >= BEGIN_MS for age in ages)


def test_no_machine_gets_what_none_can_serve_even_when_it_is_first_and_overdue(server: Served) -> None:
    cell = filled(server, HARD)
    cell.make_all_overdue()
    got = cell.cell.claim("m0", credits_=500, nonce="everything").jobs
    assert len(got) == HARD.jobs
    assert {lane_number(job.id) for job in got} == set(range(HARD.lanes))


def test_a_machine_that_serves_few_lanes_gets_only_theirs(server: Served) -> None:
    cell = filled(server, HARD)
    got = cell.cell.claim("few", credits_=500, nonce="everything").jobs
    assert {lane_number(job.id) for job in got} == set(range(FEW_LANES))


@pytest.mark.parametrize("reach", HARD.views)
def test_after_a_round_the_queue_is_as_it_was(server: Served, reach: Reach) -> None:
    cell = filled(server, HARD)
    before = waiting(cell.cell)
    (sample,) = take_round([View(cell, reach)], TINY, server_pid=server.pid).values()
    assert waiting(cell.cell) == before
    assert sample.value.claim_p50_us > 0
    assert sample.value.claim_server_us > 0
    assert sample.value.batch_jobs == TINY.credits_


def test_commands_are_counted_as_the_server_counts_them(server: Served) -> None:
    (sample,) = take_round([View(filled(server, HARD), "all")], TINY, server_pid=server.pid).values()
    assert sample.value.commands["xadd"] == 1.0  # one event for each claim
    assert not {"info", "fcall"} & set(sample.value.commands)


def test_the_machines_of_all_profiles_take_turns(server: Served) -> None:
    cell = filled(server, HARD)
    assert [cell.machine("in turn") for _ in range(4)] == ["m1", "m0", "m1", "m0"]
    assert {cell.machine("all") for _ in range(2)} == {"m0"}


def test_the_plans_hold_every_size_and_every_difficulty() -> None:
    assert {shape.jobs for shape in FULL.shapes} == {1_000, 100_000, 1_000_000}
    assert {shape.lanes for shape in FULL.shapes} == {10, 1_000}
    assert any(shape.one_class for shape in FULL.shapes)
    assert [shape.jobs for shape in FULL.shapes if shape.hard] == [1_000, 100_000, 1_000_000]
    assert {shape.profiles for shape in FULL.shapes} == {1, 500}
    for plan in (FULL, QUICK):
        assert len({shape.name for shape in plan.shapes}) == len(plan.shapes)


def test_a_batch_of_claims_leaves_half_of_what_the_machine_sees() -> None:
    shape = Shape(jobs=1_000, lanes=1_000)
    assert (shape.room("all"), shape.room("few")) == (CANDIDATES // 2, FEW_LANES // 2)


def test_shapes_that_do_not_fit_into_memory_are_named_and_the_others_measured() -> None:
    small, large = Shape(jobs=1_000, lanes=10), Shape(jobs=1_000_000, lanes=10)
    assert fitting([large, small], available_bytes=1_100_000_000) == ([small], [large])
    assert fitting([large, small], available_bytes=8_000_000_000) == ([large, small], [])


def test_the_goal_is_held_up_to_one_and_a_half_and_missed_beyond() -> None:
    assert verdict_on(100.0, 150.0, 120.0)[0].startswith("goal held")
    assert verdict_on(100.0, 151.0, 120.0)[0].startswith("GOAL MISSED")


def test_the_verdict_names_the_fastest_and_the_slowest() -> None:
    assert verdict_on(100.0, 200.0)[0] == (
        "GOAL MISSED (at most 1.5): all of them: client p50 2.00 (1,000 in 10 | all to 1,001 in 10 | all), server 2.00"
    )


def test_the_suite_reports_every_view_in_time_and_overdue() -> None:
    outcome = measure_claims(Options(rounds=1), plan=TINY)
    assert not outcome.failures
    assert outcome.text.count(f"| {HARD.name} ") == 2 * len(HARD.views)
    assert {"in time", "overdue"} == set(outcome.figures["phases"])
    assert "goal held" in outcome.text or "GOAL MISSED" in outcome.text
    msgspec.json.encode(outcome.figures)


def test_a_job_tells_its_lane_and_lanes_have_classes_of_their_own_unless_one_is_named() -> None:
    assert lane_number(wanted_job(10**19, lane_number=99_999, lane=1).id) == 99_999
    assert wanted_lane(1).class_ != wanted_lane(2).class_
    assert wanted_lane(1, class_="any").class_ == wanted_lane(2, class_="any").class_


def test_the_server_is_gone_after_its_measurement() -> None:
    with served(append_only=True) as running:
        assert info(running.client, "persistence")["aof_enabled"] == 1
        pid = running.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
