"""The output of a simulation: whole lines, each run once, and only of one simulation."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec
import pytest

from northstar.simulation.scenario.errors import RunFileBusy, RunFileDiffers, RunFileExists, RunFileUnwritable
from northstar.simulation.scenario.results import FaultCount, RunResult
from northstar.simulation.scenario.run_file import Heading, RunFile, RunKey, RunLine

HEADING = Heading(scenario="abc", about="a trial", northstar="1.0")
RESULT = RunResult(
    jobs=3,
    endings={"succeeded": 2, "failed": 1},
    ended_s=12.5,
    from_s=0,
    until_s=None,
    pools=(),
    use={},
    machines=1,
    machines_lost=0,
    fetches=0,
    fetched_gb=0,
    redundant=0,
    redundant_gb=0,
    faults=FaultCount(befell=0, missed=0),
)


def line(seed: int) -> RunLine:
    return RunLine(seed=seed, policy="north-star", result=RESULT)


def written(path: Path, *seeds: int) -> None:
    with RunFile.begun(path, HEADING) as file:
        for seed in seeds:
            file.add(line(seed))


def test_each_run_is_a_line_of_json_after_one_that_says_what_is_simulated(tmp_path: Path) -> None:
    written(tmp_path / "out", 1, 2)
    first, *runs = map(msgspec.json.decode, (tmp_path / "out").read_bytes().splitlines())
    assert first == {"kind": "simulation", "scenario": "abc", "about": "a trial", "northstar": "1.0"}
    assert [(run["kind"], run["seed"], run["policy"], run["result"]["jobs"]) for run in runs] == [
        ("run", 1, "north-star", 3),
        ("run", 2, "north-star", 3),
    ]


def test_whoever_resumes_finds_the_runs_and_adds_others(tmp_path: Path) -> None:
    written(tmp_path / "out", 1)
    with RunFile.resumed(tmp_path / "out", HEADING) as file:
        assert file.done == {RunKey(1, "north-star"): line(1)}
        file.add(line(2))
    written(tmp_path / "whole", 1, 2)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("cut", [1, 20, 150])
def test_a_line_that_was_cut_off_is_taken_away(tmp_path: Path, cut: int) -> None:
    written(tmp_path / "out", 1)
    whole = (tmp_path / "out").read_bytes()
    written(tmp_path / "more", 1, 2)
    (tmp_path / "out").write_bytes((tmp_path / "more").read_bytes()[: len(whole) + cut])
    with RunFile.resumed(tmp_path / "out", HEADING) as file:
        assert set(file.done) == {RunKey(1, "north-star")}
    assert (tmp_path / "out").read_bytes() == whole


def test_a_file_cut_off_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b'{"kind":"simul')
    with RunFile.resumed(tmp_path / "out", HEADING) as file:
        assert file.done == {}
        file.add(line(1))
    written(tmp_path / "whole", 1)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


def test_where_there_is_no_file_resuming_begins_one(tmp_path: Path) -> None:
    with RunFile.resumed(tmp_path / "out", HEADING) as file:
        assert file.done == {}
        file.add(line(1))
    assert (tmp_path / "out").exists()


def test_a_new_file_that_came_to_no_run_is_in_nobody_s_way(tmp_path: Path) -> None:
    written(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    written(tmp_path / "out", 1)
    with RunFile.resumed(tmp_path / "out", HEADING):
        pass
    assert (tmp_path / "out").exists()


def test_two_simulations_do_not_write_one_file(tmp_path: Path) -> None:
    with RunFile.begun(tmp_path / "out", HEADING) as file:
        file.add(line(1))
        with pytest.raises(RunFileBusy, match="another simulation writes"):
            RunFile.resumed(tmp_path / "out", HEADING)
        file.add(line(2))
    with RunFile.resumed(tmp_path / "out", HEADING) as file:
        assert len(file.done) == 2


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(RunFileExists, match="--resume"):
        RunFile.begun(tmp_path / "out", HEADING)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    ("heading", "content", "says"),
    [
        (Heading(scenario="def", northstar="1.0"), None, "out:1: is of another scenario"),
        (Heading(scenario="abc", northstar="1.1"), None, "was begun by North Star 1.0, and this is 1.1"),
        (HEADING, b"mine\n", "out:1: is no line of a simulation"),
        (HEADING, msgspec.json.encode(line(1)) + b"\n", "does not say which simulation"),
        (HEADING, (msgspec.json.encode(HEADING) + b"\n") * 2, "out:2: begins a second simulation"),
    ],
)
def test_a_file_of_something_else_is_refused_and_left_as_it_is(
    tmp_path: Path, heading: Heading, content: bytes | None, says: str
) -> None:
    written(tmp_path / "out", 1)
    if content is not None:
        (tmp_path / "out").write_bytes(content)
    before = (tmp_path / "out").read_bytes()
    with pytest.raises(RunFileDiffers, match=says):
        RunFile.resumed(tmp_path / "out", heading)
    assert (tmp_path / "out").read_bytes() == before


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "out", 1)
    whole = (tmp_path / "out").read_bytes()
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if len(data) < 50:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, bytes(data)[:-40])

    with RunFile.resumed(tmp_path / "out", HEADING) as file:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(RunFileUnwritable, match="No space left"):
            file.add(line(2))
        monkeypatch.undo()
    assert (tmp_path / "out").read_bytes() == whole


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFileUnwritable, match="cannot be written"):
        RunFile.begun(tmp_path / "none" / "out", HEADING)
