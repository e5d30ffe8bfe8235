"""What processes of this host log is kept in bounded files, and one job is followed through those of broker and machine."""

from __future__ import annotations

import io
import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from northstar import telemetry
from northstar.assembly.log_files import kept_log
from northstar.client import Client
from northstar.config import Settings, load
from northstar.surfaces.cli.log_reading import ProcessLog, Wanted, latest
from tests.northstar_command import Northstar, eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def line(event: str, at: int, **said: Any) -> str:
    return json.dumps({"event": event, "level": "info", "timestamp": f"2026-01-01T00:00:{at:02}Z"} | said) + "\n"


def events(text: str) -> list[str]:
    return [json.loads(one)["event"] for one in text.splitlines()]


@pytest.fixture
def logs_of_three(tmp_path: Path) -> Northstar:
    northstar = Northstar(tmp_path)
    folder = northstar.data_dir / "logs"
    folder.mkdir(parents=True)
    (folder / "up.log.1").write_text(line("first", 1, job="a") + "Fatal Python error\n")
    (folder / "up.log").write_text(line("third", 3, jobs=["a", "b"]) + line("fifth", 5, level="warning"))
    (folder / "machine-local.log").write_text(
        line("second", 2, job="b", trace=TRACE) + line("fourth", 4, machine="local")
    )
    return northstar


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("", "first second third fourth fifth"),
        ("--job a", "first third"),
        ("--job b", "second third"),
        (f"--trace {TRACE}", "second"),
        ("--machine local", "fourth"),
        ("--level warning", "fifth"),
        ("--since 2026-01-01T00:00:04", "fourth fifth"),
        ("--process up", "first third fifth"),
        ("--lines 2", "fourth fifth"),
    ],
)
def test_lines_of_all_processes_are_told_in_order_and_chosen(logs_of_three: Northstar, asked: str, told: str) -> None:
    answer = logs_of_three.run("logs", "--json", *asked.split())
    assert (answer.code, events(answer.out)) == (0, told.split())


def test_people_get_time_level_process_and_what_is_said(logs_of_three: Northstar) -> None:
    answer = logs_of_three.run("logs", "--job", "a")
    assert answer.out.splitlines() == [
        "2026-01-01 00:00:01Z  info     up  first job=a",
        '2026-01-01 00:00:03Z  info     up  third jobs=["a","b"]',
    ]


def test_lines_of_a_journal_or_a_container_come_through_a_pipe(tmp_path: Path) -> None:
    given = "North Star serves: cell x\n" + line("one", 1, job="a") + line("two", 2)
    answer = Northstar(tmp_path).run("logs", "--from", "-", "--job", "a", "--json", stdin=given)
    assert (answer.code, events(answer.out)) == (0, ["one"])
    assert answer.err.startswith("1 line left out")


def test_where_nothing_is_kept_the_error_says_where_logs_are(tmp_path: Path) -> None:
    for folder in ("", "none"):
        answer = Northstar(tmp_path).run("logs", NORTHSTAR_LOG_FOLDER=folder)
        assert (answer.code, answer.err.partition(":")[0]) == (4, "NS_NO_LOGS")


def settings(data_dir: Path, **log: Any) -> Settings:
    return load(
        environment={}, file=None, options={"data_dir": str(data_dir)} | {f"log.{key}": v for key, v in log.items()}
    )


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_kept_log_never_grows_beyond_its_bound_and_is_its_owners_alone(
    tmp_path: Path, logging_as_before: None
) -> None:
    kept = kept_log(settings(tmp_path, max_mib=0.01, keep=2), "up", by_default=True)
    assert kept is not None
    telemetry.configure(stream=io.StringIO())
    telemetry.also_to(kept)
    reading = ProcessLog(tmp_path / "logs", "up")
    heard = [one.said["number"] for one in reading.past()]
    for number in range(300):
        telemetry.logger("x").info("something", number=number, text="x" * 200)
        heard += [one.said["number"] for one in reading.news()]
    kept.close()
    files = sorted(path for path in (tmp_path / "logs").iterdir() if not path.name.startswith("."))
    assert [path.name for path in files] == ["up.log", "up.log.1", "up.log.2"]
    assert all(path.stat().st_size <= 0.01 * 1024**2 for path in files)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert heard == list(range(300)), "who follows misses no line where a file is put aside"
    again = ProcessLog(tmp_path / "logs", "up")
    (last,) = latest([again.past()], Wanted(), count=1)
    assert last.said["number"] == 299
    reading.close()
    again.close()


def test_two_processes_of_one_kind_keep_files_of_their_own(tmp_path: Path) -> None:
    wanted = settings(tmp_path, folder=str(tmp_path / "kept"))
    both = [kept_log(wanted, "serve", by_default=False) for _ in range(2)]
    assert sorted(path.name for path in (tmp_path / "kept").glob("*.log")) == ["serve-2.log", "serve.log"]
    for one in both:
        assert one is not None
        one.close()


def test_serve_and_agent_keep_nothing_unless_told_and_nobody_does_with_none(tmp_path: Path) -> None:
    assert kept_log(settings(tmp_path), "serve", by_default=False) is None
    assert kept_log(settings(tmp_path, folder="none"), "up", by_default=True) is None


def test_a_log_that_cannot_be_kept_ends_nothing_and_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert kept_log(settings(tmp_path, folder=str(tmp_path / "file")), "up", by_default=True) is None
    assert "is not kept in" in capsys.readouterr().err


async def test_one_job_is_followed_through_broker_and_machine_by_its_id_and_by_its_trace(running: Northstar) -> None:
    key = running.good("keys", "add", "logs", "--scope", "submit")["key"]
    front = json.loads((running.data_dir / "run.json").read_text())["front"]
    headers = {"Authorization": f"Bearer {key}", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for job_id, text in (("traced", "x"), ("traced-2", "y")):
            wanted = {"id": job_id, "service": "copy", "payload": {"text": text}}
            async with http.post(f"{front}/v1/jobs", json=wanted) as answer:
                assert answer.status == 202

    def told(*asked: str) -> list[tuple[str, str]]:
        answer = running.run("logs", "--json", *asked)
        return [(said["process"], said["event"]) for said in map(json.loads, answer.out.splitlines())]

    whole = {
        ("up", "job_accepted"),
        ("up", "job_given"),
        ("machine-local", "job_begins"),
        ("machine-local", "job_done"),
        ("up", "job_succeeded"),
    }
    eventually(lambda: set(told("--job", "traced")) == whole, what="the job's life is in the logs")
    eventually(lambda: len(told("--trace", TRACE)) == 2 * len(whole), what="both jobs of the trace are")
    lines = [json.loads(one) for one in running.run("logs", "--json", "--job", "traced").out.splitlines()]
    assert {one["trace"] for one in lines} == {TRACE}
    assert lines[0]["process"] == "up", "a machine that waits may have the job before its submitter is answered"


def test_a_run_is_in_the_trace_of_the_program_that_submitted_it_by_the_sdk(running: Northstar) -> None:
    key = running.good("keys", "add", "sdk", "--scope", "submit", "--scope", "read")["key"]
    front = json.loads((running.data_dir / "run.json").read_text())["front"]
    callers = "0af7651916cd43dd8448eb211c80319c"
    with Client(front, key=key) as north:
        north.run("copy", {"text": "x"}, traceparent=f"00-{callers}-b7ad6b7169203331-01", id="by-sdk")

    def told() -> set[tuple[str, str]]:
        lines = map(json.loads, running.run("logs", "--json", "--trace", callers).out.splitlines())
        return {(said["process"], said["event"]) for said in lines if said["job"] == "by-sdk"}

    eventually(
        lambda: {("up", "job_accepted"), ("machine-local", "job_begins"), ("machine-local", "job_done")} <= told(),
        what="broker and machine log the run in the caller's trace",
    )


def test_a_job_from_the_command_line_has_the_trace_of_its_environment_or_one_of_its_own(running: Northstar) -> None:
    job = json.dumps({"id": "cli-traced", "service": "copy"})
    assert running.run("submit", "-", stdin=job, TRACEPARENT=f"00-{TRACE}-00f067aa0ba902b7-01").code == 0
    assert running.good("jobs", "show", "cli-traced")["body"]["trace"] == TRACE
    assert running.run("submit", "-", stdin=job.replace("cli-traced", "cli-alone")).code == 0
    assert len(running.good("jobs", "show", "cli-alone")["body"]["trace"]) == 32


def test_following_tells_what_comes_until_a_signal(running: Northstar) -> None:
    with running.started("logs", "--follow", "--json", "--job", "followed") as process:
        running.good("submit", "-", "--wait", stdin=json.dumps({"id": "followed", "service": "copy"}))
        process.until(lambda: '"job_done"' in process.words(), what="the machine's line is told")
        assert process.stop() in {-15, 143}


def test_the_file_that_processes_write_is_theirs_alone(running: Northstar) -> None:
    assert stat.S_IMODE((running.data_dir / "logs").stat().st_mode) == 0o700
