"""The readers on the real traces, which are not part of the project: `NORTHSTAR_TRACES` names the folder that has them."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import pytest

from northstar.simulation.workload.chat_jobs import chat_jobs
from northstar.simulation.workload.gentd26 import PictureRequest, picture_requests
from northstar.simulation.workload.gpu_prices import cloud_prices, serverless_prices
from northstar.simulation.workload.llm_traces import azure_requests, mooncake_requests
from northstar.simulation.workload.media_law import workflows_of
from northstar.simulation.workload.picture_jobs import picture_jobs
from northstar.simulation.workload.scaling import compressed, resampled
from northstar.simulation.workload.service_days import cut, last_days, whole_days
from northstar.simulation.workload.spot_series import spot_series
from northstar.simulation.workload.templates import templates
from tests.simulation.workload.measured import figures
from tests.simulation.workload.test_generated_pictures import TRACE

FOLDER = Path(os.environ.get("NORTHSTAR_TRACES", "."))
pytestmark = pytest.mark.skipif(
    "NORTHSTAR_TRACES" not in os.environ, reason="NORTHSTAR_TRACES names no folder of traces"
)


@lru_cache
def requests() -> tuple[PictureRequest, ...]:
    return tuple(picture_requests(FOLDER / "gentd26_requests.csv.gz"))


def test_every_request_for_pictures_is_read() -> None:
    assert len(requests()) == 16_232
    assert sum(one.has_run for one in requests()) == 16_217
    assert len({one.model for one in requests() if one.model}) == 77
    assert len({one.user for one in requests()}) == 2_772


def test_the_committed_figures_are_those_of_the_trace() -> None:
    """What the generator is compared with is what the trace has, to the last digit that is written down."""
    found = figures(list(picture_jobs(requests())), settled=9)
    far = {name: found[name] for name, (wanted, _) in TRACE.items() if abs(found[name] - wanted) > 0.02 * wanted}
    assert not far


def test_the_last_days_and_their_scaling() -> None:
    jobs = list(picture_jobs(requests()))
    window = last_days(jobs[-1].at_ms)
    assert whole_days(jobs[-1].at_ms) == 17
    evaluated = sum(window.holds(job.at_ms) for job in jobs)
    assert (
        evaluated
        == len(list(cut(jobs, window)))
        == sum(window.faster(4).holds(job.at_ms) for job in compressed(jobs, 4))
    )
    assert len(list(resampled(jobs, 4, seed=1))) == 4 * len(jobs)
    files = {need.name: need.size_bytes for job in jobs for need in job.request.requires.models}
    # Measurements: 475 files and 404 GB for the 86 base models and 389 LoRAs of all days.
    assert len(files) == 77 + 272
    assert 300e9 < sum(files.values()) < 400e9


def test_every_request_for_text_is_read() -> None:
    assert sum(1 for _ in azure_requests(FOLDER / "azure_llm_2023_conv.csv.gz")) == 19_366
    assert sum(1 for _ in azure_requests(FOLDER / "azure_llm_2023_code.csv.gz")) == 8_819
    jobs = list(chat_jobs(mooncake_requests(FOLDER / "mooncake_conversation_trace.jsonl.gz"), seed=1))
    assert (len(jobs), jobs[0].at_ms, jobs[-1].at_ms) == (12_031, 0, 3_536_999)


def test_templates_spot_series_and_prices_are_read() -> None:
    listed = templates(FOLDER / "comfyui_templates_condensed.json.gz")
    assert (len(listed), sum(one.usage for one in listed)) == (644, 230_845)
    assert len(workflows_of(listed, modalities=("video", "audio", "3d"), seed=1)) > 90
    series = spot_series(FOLDER / "spot_traces_rle.json.gz")
    assert len(series) == 34
    assert [round(end([one.seconds for one in series]) / 86_400) for end in (min, max)] == [2, 45]
    assert {one.most for one in series} == {1, 4, 16}
    assert len(list(cloud_prices(FOLDER / "cloud_gpu_prices.csv"))) == 257
    assert len(list(serverless_prices(FOLDER / "serverless_gpu_prices.csv"))) == 72
