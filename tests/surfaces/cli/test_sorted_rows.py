"""Rows in order, though they do not find room in memory."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from northstar.surfaces.cli.sorted_rows import SortedRow, SortedRows

ROWS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.integers(1, 4), st.just("x")), unique=True)


@given(rows=ROWS, piece=st.integers(1, 5), most_files=st.integers(1, 3))
def test_of_every_row_the_last_version_comes_in_order(rows: list[SortedRow], piece: int, most_files: int) -> None:
    expected = sorted({row[:2]: row for row in sorted(rows)}.values())
    with SortedRows(Path("/tmp"), piece=piece, most_files=most_files) as kept:
        for row in rows:
            kept.add(row)
        assert list(kept.latest()) == expected


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    rows = [(number, "job", 1, "text") for number in range(100)]
    with SortedRows(tmp_path, piece=7, most_files=3) as kept:
        for row in random.Random(1).sample(rows, 100):
            kept.add(row)
        assert list(kept.latest()) == rows
    assert list(tmp_path.iterdir()) == []
