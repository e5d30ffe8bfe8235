"""What has run as a trace: round trip from the history's rows to jobs, and nothing in it that is nobody's business."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from northstar.simulation.workload.own_jobs import OwnJobs
from northstar.simulation.workload.own_trace import TracedJob, traced_jobs
from northstar.store.history import Attempt
from northstar.store.history.attempts import ModelInAttempt
from northstar.surfaces.trace_csv import COLUMNS, header, line, traced
from tests.surfaces.test_attempt_csv import an_attempt

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "trace-csv.md"
BASE = ModelInAttempt(name="sdxl, base", kind="checkpoint", size_bytes=7, sha256="a" * 64)


def back(tmp_path: Path, *jobs: TracedJob) -> list[TracedJob]:
    """Written and read again."""
    path = tmp_path / "trace.csv"
    path.write_text(header() + "".join(map(line, jobs)), encoding="utf-8")
    return list(traced_jobs(path))


def ran(**fields: Any) -> Attempt:
    return an_attempt(**{"service": "paint", "submitted_ms": 1_000} | fields)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    job = traced(
        ran(
            tenant="ada",
            user="=u7",
            session="s, 1",
            modality="image",
            shape="abc",
            work=31_457_280.0,
            models=(BASE,),
            gpu_class="rtx-4090",
            region="eu",
            running_s=2.25,
            pool="heavy",
            route="pinned",
        )
    )
    assert back(tmp_path, job) == [job]
    assert (job.submitted_s, job.user, job.ran_s, job.asked_pool, job.pool) == (1.0, "=u7", 2.25, "heavy", "heavy")
    assert [(one.name, one.size_bytes) for one in job.files] == [("sdxl, base", 7)]


@given(user=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_any_word_for_a_user_comes_back(user: str) -> None:
    job = traced(ran(user=user))
    (row,) = csv.DictReader(io.StringIO(header() + line(job)))
    assert not row["user"].startswith(("=", "+", "-", "@", "\t"))
    assert row["user"].removeprefix("'") == job.user


def test_the_pool_that_north_star_chose_is_not_asked_for_again() -> None:
    job = traced(ran(pool="standard", route="matrix", optimal_pool="standard-art"))
    assert (job.asked_pool, job.pool, job.speciality, job.experimental) == (None, "standard", "art", False)
    assert traced(ran(pool="research", route="matrix", optimal_pool="research")).experimental


def test_the_work_itself_is_what_was_measured_or_what_is_left() -> None:
    assert traced(ran(running_s=2.0, started_ms=0, ended_ms=9_000)).ran_s == 2.0
    assert traced(ran(started_ms=0, ended_ms=9_000, fetching_s=3.0, loading_s=1.5)).ran_s == 4.5
    # A machine's word is bounded by what the cell saw.
    assert traced(ran(running_s=1e9, started_ms=0, ended_ms=9_000)).ran_s == 9.0
    broken_off = traced(ran(outcome="lost", started_ms=0, ended_ms=9_000, running_s=3.0))
    assert (broken_off.ran_s, broken_off.outcome) == (None, "lost")


def test_what_is_written_is_never_more_than_the_reader_takes(tmp_path: Path) -> None:
    many = tuple(ModelInAttempt(name=f"m{number}", size_bytes=100 - number) for number in range(40))
    job = traced(ran(models=many, work=1e60, running_s=1.0))
    assert back(tmp_path, job) == [job]
    assert [one.name for one in job.files] == [f"m{number}" for number in range(32)]
    (simulated,) = OwnJobs([job])
    assert len(simulated.request.requires.models) == 32


def test_a_replay_is_placed_where_it_began() -> None:
    assert traced(ran(submitted_ms=None, started_ms=7_500)).submitted_s == 7.5


def test_no_column_could_hold_a_prompt_an_address_or_a_result() -> None:
    """Neither payload nor result is in the history's attempts; what could lead to a model's source is not copied."""
    assert not {"payload", "prompt", "result", "error", "message", "sources", "url", "machine"} & set(COLUMNS)
    assert "http" not in line(traced(ran(models=(BASE,))))


def test_the_page_names_every_column_in_its_order() -> None:
    told = [
        row.split("|")[1].strip().strip("`")
        for row in PAGE.read_text(encoding="utf-8").splitlines()
        if row.startswith("| `")
    ]
    assert tuple(told) == COLUMNS
