"""The file that simulators and spreadsheets read."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from northstar.store.history import Attempt
from northstar.store.history.attempts import ModelInAttempt
from northstar.surfaces.attempt_csv import COLUMNS, harmless_field, header, lines

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "history-csv.md"


def an_attempt(**fields: Any) -> Attempt:
    given: dict[str, Any] = {"job_id": "a", "claim": 1, "outcome": "succeeded", "started_ms": 1_500, "ended_ms": 4_000}
    return Attempt(**given | {"epoch": 1, "sequence": 3} | fields)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(header() + text)))


def test_what_is_known_is_there_and_what_is_not_is_empty() -> None:
    model = ModelInAttempt(name="sdxl, base", kind="checkpoint", size_bytes=7)
    (row,) = read(lines([an_attempt(tenant="ada", running_s=2.0, models=(model,))]))
    assert (row["job"], row["tenant"], row["ran_s"], row["held_s"]) == ("a", "ada", "2.0", "2.5")
    assert (row["started_s"], row["submitted_s"], row["price_usd_per_hour"]) == ("1.5", "", "")
    assert row["models"] == '[{"name":"sdxl, base","kind":"checkpoint","size_bytes":7}]'


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1))
def test_no_text_is_a_formula_and_every_text_can_be_had_back(text: str) -> None:
    """A tenant may call its users what it likes; whoever opens the file runs none of it."""
    (row,) = read(lines([an_attempt(user=text)]))
    kept = row["user"]
    assert not kept.startswith(("=", "+", "-", "@", "\t"))
    assert kept.removeprefix("'") == text
    assert harmless_field(text) == kept


def test_the_page_names_every_column_in_its_order() -> None:
    told = [line.split("|")[1:3] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert [(name.strip(), meaning.strip()) for name, meaning in told] == [
        (f"`{name}`", meaning) for name, meaning, _ in COLUMNS
    ]
