"""The readers of real traces, on rows of our own making."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from pathlib import Path

import pytest

from northstar.simulation.workload import trace_file
from northstar.simulation.workload.errors import TraceTooLarge
from northstar.simulation.workload.gentd26 import picture_requests
from northstar.simulation.workload.gpu_prices import cloud_prices, serverless_prices
from northstar.simulation.workload.llm_traces import azure_requests, mooncake_requests
from northstar.simulation.workload.spot_series import Stretch, spot_series
from northstar.simulation.workload.templates import templates
from tests.simulation.workload.rows import a_picture, pictures, written


@pytest.mark.parametrize("name", ["trace.csv", "trace.csv.gz"])
def test_a_request_for_pictures_is_read_with_its_adapters(tmp_path: Path, name: str) -> None:
    rows = (
        a_picture(loras="moss|rust", images="4.0", negative="26.0"),
        a_picture("2030-01-01 20:00:02", status="FAILED"),
    )
    first, second = picture_requests(pictures(tmp_path / name, *rows))
    assert (first.user, first.model, first.loras, first.images, first.steps) == (
        "ada",
        "dunes",
        ("moss", "rust"),
        4,
        30,
    )
    assert (first.ran_s, first.submitted, first.at_ms) == (23, datetime(2030, 1, 1, 20), 1_893_528_000_000)  # noqa: DTZ001
    assert (second.status, second.loras, second.negative_prompt_length) == ("FAILED", (), 0)


def test_what_had_not_ended_has_not_run(tmp_path: Path) -> None:
    rows = (a_picture(status="PENDING", ran="0.0", model="", images="", steps=""), a_picture())
    assert [one.has_run for one in picture_requests(pictures(tmp_path / "trace.csv", *rows))] == [False, True]


def test_rows_are_read_one_by_one(tmp_path: Path) -> None:
    """A bad row at the end is not met by who reads only the beginning: nothing is read ahead."""
    path = pictures(tmp_path / "trace.csv", *[a_picture()] * 3, "nonsense")
    assert len(list(islice(picture_requests(path), 3))) == 3


def test_a_blank_line_and_the_mark_of_windows_are_no_rows(tmp_path: Path) -> None:
    path = written(
        tmp_path / "trace.csv", "\ufeffTIMESTAMP,ContextTokens,GeneratedTokens", "2030-01-01 00:00:01.5000000,7,9", ""
    )
    (one,) = azure_requests(path)
    assert (one.read_tokens, one.made_tokens, one.at_ms % 10_000) == (7, 9, 1_500)


def test_mooncake_has_lengths_and_prefixes(tmp_path: Path) -> None:
    line = '{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}'
    (one,) = mooncake_requests(written(tmp_path / "trace.jsonl.gz", line))
    assert (one.at_ms, one.read_tokens, one.made_tokens, one.blocks) == (27_482, 6_955, 52, (46, 47))


def test_templates_tell_what_they_need_and_how_often_they_are_used(tmp_path: Path) -> None:
    line = (
        '[{"name": "a", "title": "A", "category": "Video", "modality": "video", "open_source": true, "size_bytes": 12, "usage": 5,'
        ' "date": "2030-01-01", "node_types": ["K"], "models": [{"directory": "vae", "name": "v", "url": "https://h.example/v"}]},'
        ' {"name": "b", "modality": "3d", "usage": 1}]'
    )
    first, second = templates(written(tmp_path / "list.json.gz", line))
    assert (first.modality, first.usage, first.models[0].name, first.runs_here) == ("video", 5, "v", True)
    assert not second.runs_here


def test_spot_series_are_unpacked(tmp_path: Path) -> None:
    line = '{"availability/1-node/aws-02-15-2030/zone_v100_1": {"gap_seconds": 10, "rle": [[0, 2], [3, 1], [1, 4], [0, 1], [2, 1]]}}'
    (one,) = spot_series(written(tmp_path / "spot.json", line))
    assert (one.kind, one.experiment, one.name) == ("availability", "1-node/aws-02-15-2030", "zone_v100_1")
    assert one.stretches[1] == Stretch(3, 10)
    assert (one.seconds, one.most, one.up_times_s()) == (90, 3, (50, 10))


def test_prices_are_of_machines_and_their_cards(tmp_path: Path) -> None:
    cloud = written(
        tmp_path / "cloud.csv",
        "Cloud,GPU Type,GPU Arch,GPUs,GPU RAM,vCPUs,RAM,On-demand,Per-GPU,Spot,Name",
        "Sky,A100 (80 GB),Ampere,8,640,96,1152,32.00,4.00,9.60,big",
        "Sky,3080Ti (12 GB),Ampere,1,12,,,,0.92,,small",
    )
    first, second = cloud_prices(cloud)
    assert (first.gpu_class, first.gpus, first.vram_gb, first.usd_per_hour) == ("a100", 8, 80, 32)
    assert (first.spot_usd_per_hour, second.usd_per_hour, second.spot_usd_per_hour) == (9.6, None, None)
    calls = written(
        tmp_path / "calls.csv",
        "Vendor,GPU Type,GPU Arch,GPUs,GPU RAM,vCPUs,RAM,Per-Hour,Per-GPU",
        "Sky,Nvidia T4,Turing,1,16GB,0,0,$0.4,$0.4",
    )
    (one,) = serverless_prices(calls)
    assert (one.gpu_class, one.vram_gb, one.usd_per_hour, one.serverless) == ("t4", 16, 0.4, True)


def test_no_more_than_a_line_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_file, "MAX_LINE", 100)
    path = written(tmp_path / "trace.csv", "x" * 101)
    with pytest.raises(TraceTooLarge, match="line 1: longer than 100 bytes"):
        list(trace_file.lines_of(path))
