"""Figures that benchmarks measured are taken from their JSON, and what is no such file is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from northstar.domain.errors import NorthstarError
from northstar.evaluation.benchmark_figures import benchmark_figures


def told(folder: Path, name: str, **benchmarks: Any) -> Path:
    (folder / f"{name}.json").write_text(json.dumps(benchmarks))
    return folder


def test_every_file_of_the_folder_is_read_and_what_speaks_of_no_target_is_passed_over(tmp_path: Path) -> None:
    told(tmp_path, "one", gateway={"rounds": [], "targets": {"dispatch-p99": [4.0, 5.0], "machines-connected": []}})
    told(tmp_path, "two", soak={"targets": {"hour-lost": [0]}}, plan={"ratio": 2.0})
    found = benchmark_figures(tmp_path)
    assert {name: one.values for name, one in found.items()} == {"dispatch-p99": (4.0, 5.0), "hour-lost": (0.0,)}
    assert found["hour-lost"].note == "by benchmarks soak, each round a value"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "has no \\*.json"),
        ({"one": {"gateway": {"targets": {"dispatch": [1.0]}}}}, "no target has a figure 'dispatch'"),
        ({"one": {"gateway": {"targets": {"dispatch-p99": 1.0}}}}, "one.json: gateway.targets: Expected `array`"),
        ({"one": {"gateway": [1]}}, "one.json: is not what this version writes as"),
        (
            {"one": {"a": {"targets": {"hour-lost": [0]}}}, "two": {"b": {"targets": {"hour-lost": [0]}}}},
            "two.json: tells of hour-lost, of which another file tells too",
        ),
    ],
)
def test_what_is_no_such_file_is_named(tmp_path: Path, files: dict[str, Any], says: str) -> None:
    for name, content in files.items():
        told(tmp_path, name, **content)
    with pytest.raises(NorthstarError, match=says):
        benchmark_figures(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NorthstarError, match="no-such: is no folder"):
        benchmark_figures(tmp_path / "no-such")
