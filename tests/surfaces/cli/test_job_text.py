"""A job in sentences."""

from __future__ import annotations

from pathlib import Path

from northstar.domain.jobs import JobStatus, JobView
from northstar.surfaces.cli.job_text import describe_result


def finished(url: str) -> JobView:
    asset = {"url": url, "size_bytes": 4, "sha256": "0" * 64, "media_type": "image/png"}
    return JobView(
        id="j",
        status=JobStatus.SUCCEEDED,
        tenant="t",
        priority=50,
        attempts=0,
        max_attempts=3,
        recoveries=0,
        submitted_ms=1,
        started_ms=2,
        finished_ms=3,
        due_ms=0,
        machine="m",
        lane_key="",
        result={"outputs": [{"name": "1.png", "asset": asset}]},
    )


def test_a_file_that_is_not_here_is_named_all_the_same_and_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "1.png"
    path.write_bytes(b"data")
    assert list(describe_result(finished(path.as_uri()))) == [f"1.png: {path} (4 bytes)"]
    path.unlink()
    assert list(describe_result(finished(path.as_uri()))) == [f"1.png: {path} (4 bytes, not found on this host)"]


def test_a_file_elsewhere_is_not_looked_for() -> None:
    assert list(describe_result(finished("s3://b/1.png"))) == ["1.png: s3://b/1.png (4 bytes)"]
