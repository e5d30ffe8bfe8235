"""What is wrong with a trace is named: file, line, column, what was found and what is expected."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from northstar.domain.errors import InvalidRequest
from northstar.simulation.workload.gentd26 import picture_requests
from northstar.simulation.workload.gpu_prices import cloud_prices
from northstar.simulation.workload.llm_traces import azure_requests, mooncake_requests
from northstar.simulation.workload.own_trace import traced_jobs
from northstar.simulation.workload.spot_series import spot_series
from northstar.simulation.workload.templates import templates
from tests.simulation.workload.rows import PICTURES, a_picture, pictures, written

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens"


def refused(read: Callable[[Path], Iterable[Any]], path: Path) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        list(read(path))
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("row", "column", "found", "expected"),
    [
        (a_picture(ran="long"), "exec_time_seconds", "'long'", "`float`"),
        (a_picture(ran="nan"), "exec_time_seconds", "'nan'", "`float` >= 0.0"),
        (a_picture(ran="-1"), "exec_time_seconds", "'-1'", "`float` >= 0.0"),
        (a_picture(status="DONE"), "predict_status", "'DONE'", "value"),
        (a_picture(at="yesterday"), "gmt_create", "'yesterday'", "RFC3339"),
        (a_picture(user=""), "groupId", "nothing", "a value"),
        (a_picture(count=2), "loras", "0 names", "num_lora, 2"),
        ("one,two", "predict_type", "2 fields", "13, one for each column"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, row: str, column: str, found: str, expected: str) -> None:
    """Issue: "Bad input: malformed or unsorted traces (line named)"."""
    error = refused(picture_requests, pictures(tmp_path / "trace.csv", a_picture("2029-01-01 00:00:00"), row))
    assert error.code == "NS_TRACE_ROW_INVALID"
    assert f"line 3, column {column}: found {found}" in str(error)
    assert expected in str(error).partition("expected ")[2]


def test_rows_out_of_order_are_named(tmp_path: Path) -> None:
    error = refused(
        picture_requests,
        pictures(tmp_path / "trace.csv", a_picture("2030-01-02 00:00:00"), a_picture("2030-01-01 00:00:00")),
    )
    assert error.code == "NS_TRACE_UNSORTED"
    assert "line 3, column gmt_create: found 2030-01-01 00:00:00, expected nothing before 2030-01-02 00:00:00" in str(
        error
    )


def test_an_unknown_column_is_refused_by_name(tmp_path: Path) -> None:
    """Issue: "unknown columns"."""
    near = refused(azure_requests, written(tmp_path / "a.csv", "TIMESTAMP,ContextTokens,GeneratedToken"))
    assert (near.code, "did you mean 'GeneratedTokens'?" in str(near)) == ("NS_TRACE_COLUMN_UNKNOWN", True)
    far = refused(azure_requests, written(tmp_path / "a.csv", f"{AZURE},colour"))
    assert "'colour' is no column" in str(far)
    assert "known are TIMESTAMP, ContextTokens, GeneratedTokens" in str(far)


def test_a_missing_column_and_one_named_twice_are_refused(tmp_path: Path) -> None:
    missing = refused(picture_requests, written(tmp_path / "a.csv", "gmt_create,predict_type"))
    assert missing.code == "NS_TRACE_COLUMN_MISSING"
    assert "predict_status, exec_time_seconds, groupId, num_lora" in str(missing)
    twice = refused(azure_requests, written(tmp_path / "a.csv", f"{AZURE},TIMESTAMP"))
    assert "column TIMESTAMP: found the column twice" in str(twice)


@pytest.mark.parametrize("lines", [(), (PICTURES,), (PICTURES, "", "")])
def test_a_trace_without_rows_is_no_trace(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert refused(picture_requests, written(tmp_path / "a.csv", *lines)).code == "NS_TRACE_EMPTY"


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    none = refused(picture_requests, tmp_path / "none.csv")
    assert (none.code, "No such file" in str(none)) == ("NS_TRACE_UNREADABLE", True)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress((PICTURES + "\n" + "\n".join([a_picture()] * 500)).encode())[:-30])
    assert refused(picture_requests, cut).code == "NS_TRACE_UNREADABLE"
    latin = tmp_path / "latin.csv"
    latin.write_bytes((PICTURES + "\n" + a_picture(user="Zoë") + "\n").encode("latin-1"))
    assert "line 2 is not UTF-8" in str(refused(picture_requests, latin))
    assert refused(picture_requests, tmp_path).code == "NS_TRACE_UNREADABLE"


def test_a_quote_that_never_ends_is_found_before_memory_is_full(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", AZURE, '"2030-01-01', *["x" * 1_000] * 200)
    assert refused(azure_requests, path).code == "NS_TRACE_ROW_INVALID"


def test_errors_in_json_name_the_place_in_it(tmp_path: Path) -> None:
    lines = [
        '{"timestamp": 5, "input_length": 1, "output_length": 2, "hash_ids": []}',
        '{"timestamp": 4, "input_length": 1}',
    ]
    wrong = refused(mooncake_requests, written(tmp_path / "a.jsonl", *lines))
    assert "line 2, column output_length: found nothing" in str(wrong)
    lines[1] = lines[0].replace("5", "4")
    assert refused(mooncake_requests, written(tmp_path / "a.jsonl", *lines)).code == "NS_TRACE_UNSORTED"
    lines[1] = lines[0].replace("hash_ids", "hashes")
    assert "'hashes' is no column" in str(refused(mooncake_requests, written(tmp_path / "a.jsonl", *lines)))
    lines[1] = "{"
    assert "line 2, column (the whole of it)" in str(refused(mooncake_requests, written(tmp_path / "a.jsonl", *lines)))


@pytest.mark.parametrize(
    ("document", "column"),
    [
        ('[{"name": "a", "modality": "smell", "usage": 1}]', "[0].modality"),
        ('[{"name": "a", "modality": "video", "usage": -1}]', "[0].usage"),
        ('[{"name": "a", "modality": "video", "usage": 1, "models": [{"name": "m"}]}]', "[0].models[0].directory"),
    ],
)
def test_a_template_that_is_none_is_named(tmp_path: Path, document: str, column: str) -> None:
    assert f"column {column}: found" in str(refused(templates, written(tmp_path / "a.json", document)))


def test_series_and_prices_that_are_none_are_named(tmp_path: Path) -> None:
    spot = '{"%s": {"gap_seconds": 10, "rle": [[0, %s]]}}'
    named = refused(spot_series, written(tmp_path / "a.json", spot % ("elsewhere", 1)))
    assert "column elsewhere: found the name of the series" in str(named)
    assert "rle" in str(refused(spot_series, written(tmp_path / "a.json", spot % ("availability/a/b", 0))))
    assert refused(spot_series, written(tmp_path / "a.json", "{}")).code == "NS_TRACE_EMPTY"
    header = "Cloud,GPU Type,GPU Arch,GPUs,GPU RAM,vCPUs,RAM,On-demand,Per-GPU,Spot,Name"
    for row, column in (
        ("S,T4,T,0,16,,,1,,,", "GPUs"),
        ("S,T4,T,1,much,,,1,,,", "GPU RAM"),
        ("S,T4,T,1,16,,,free,,,", "On-demand"),
    ):
        error = refused(cloud_prices, written(tmp_path / "p.csv", header, row))
        assert f"line 2, column {column}: found" in str(error)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("1,copy,smell,[]", "modality"),
        ("1,copy,image,{}", "models"),
        ('1,copy,image,"[{""name"":""m"",""path"":""/x""}]"', "models"),
        ("1,Not A Service,image,", "service"),
        ("1e99,copy,image,", "submitted_s"),
    ],
)
def test_a_trace_of_ones_own_is_read_as_strictly(tmp_path: Path, row: str, column: str) -> None:
    error = refused(traced_jobs, written(tmp_path / "a.csv", "submitted_s,service,modality,models", row))
    assert f"line 2, column {column}: found" in str(error)
