"""A history: whole lines, a bound, and whoever writes at the same time or is cut off."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import msgspec
import pytest

from northstar.evaluation.validation.errors import ValidationHistoryUnreadable, ValidationHistoryUnwritable
from northstar.evaluation.validation.history import LineHistory
from northstar.evaluation.validation.record import ValidationRecord
from tests.evaluation.validation.records import figure, record


class Numbered(msgspec.Struct, frozen=True):
    """A line."""

    number: int


def history(path: Path, most: int = 100) -> LineHistory[Numbered]:
    return LineHistory(path / "kept" / "numbers.jsonl", Numbered, most=most)


def numbers(kept: LineHistory[Numbered]) -> list[int]:
    return [line.number for line in kept.read()]


def test_there_is_nothing_before_the_first_line_and_everything_after(tmp_path: Path) -> None:
    kept = history(tmp_path)
    assert kept.read() == ()
    for number in range(3):
        kept.append(Numbered(number))
    assert numbers(history(tmp_path)) == [0, 1, 2]


def test_only_the_latest_lines_are_kept(tmp_path: Path) -> None:
    kept = history(tmp_path, most=4)
    for number in range(11):
        kept.append(Numbered(number))
    assert numbers(kept) == [7, 8, 9, 10]
    assert sorted(file.name for file in kept.path.parent.iterdir()) == [".numbers.jsonl.lock", "numbers.jsonl"]


def test_half_a_line_that_a_crash_left_is_not_read_and_goes_with_the_next(tmp_path: Path) -> None:
    kept = history(tmp_path)
    kept.append(Numbered(1))
    with kept.path.open("ab") as file:
        file.write(b'{"numb')
    assert numbers(kept) == [1]
    kept.append(Numbered(2))
    assert kept.path.read_bytes() == b'{"number":1}\n{"number":2}\n'


def test_a_line_that_is_none_is_told_with_its_place(tmp_path: Path) -> None:
    kept = history(tmp_path)
    kept.append(Numbered(1))
    with kept.path.open("ab") as file:
        file.write(b'{"number":"two"}\n')
    with pytest.raises(ValidationHistoryUnreadable, match=r"numbers\.jsonl:2: is no line of this history"):
        kept.read()


def test_a_place_where_nothing_can_be_written_is_refused_and_keeps_what_it_had(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(ValidationHistoryUnwritable, match="cannot be written"):
        history(tmp_path).append(Numbered(1))
    assert (tmp_path / "kept").read_text() == "a file"


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = history(tmp_path)
    kept.append(Numbered(1))
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if len(data) > 4:
            return write(fd, data[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ValidationHistoryUnwritable, match="No space left"):
        kept.append(Numbered(2))
    monkeypatch.undo()
    assert kept.path.read_bytes() == b'{"number":1}\n'


def _appends(path: Path, begin: int) -> None:
    for number in range(begin, begin + 20):
        history(path, most=50).append(Numbered(number))


def test_several_writers_lose_no_line_of_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_appends, args=(tmp_path, begin)) for begin in (100, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert sorted(numbers(history(tmp_path))) == [*range(100, 120), *range(200, 220)]


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = LineHistory(tmp_path / "weekly.jsonl", ValidationRecord, most=5)
    told = record(3, wait=figure(1.0, 2.0), other=figure(5.0, worse="less"))
    kept.append(told)
    assert kept.read() == (told,)
    assert b'"machine":{"system":"Linux","processor":"x86_64","cores":2' in kept.path.read_bytes()
