"""Chats by the lengths of real ones, and other media by how often their workflows are used."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from northstar.policy.models.workload_of import workload_of
from northstar.simulation.workload.chat_jobs import CHAT_MODELS, chat_jobs, generated_chats
from northstar.simulation.workload.fitted import CHAT_LAW, EVEN_SITTINGS
from northstar.simulation.workload.llm_traces import AzureRequest, azure_requests
from northstar.simulation.workload.media_jobs import media_jobs
from northstar.simulation.workload.media_law import workflows_of
from northstar.simulation.workload.templates import Template, TemplateModel
from tests.simulation.workload.rows import written


def a_template(name: str, usage: int, *files: str, modality: str = "video", size_bytes: int | None = None) -> Template:
    models = tuple(TemplateModel(directory=one.split("/")[0], name=one.split("/")[1]) for one in files)
    return Template(name=name, modality=modality, usage=usage, models=models, size_bytes=size_bytes)  # type: ignore[arg-type]


def test_a_chat_takes_as_long_as_its_tokens_and_its_model(tmp_path: Path) -> None:
    path = written(
        tmp_path / "azure.csv",
        "TIMESTAMP,ContextTokens,GeneratedTokens",
        "2030-01-01 00:00:01,1000,160",
        "2030-01-01 00:00:03,99999,1",
    )
    first, second = chat_jobs(azure_requests(path), seed=1, models=CHAT_MODELS[:1])
    assert (first.at_ms, second.at_ms) == (0, 2_000)
    assert first.run_s[""] == pytest.approx(0.05 + 1_000 / 5_000 + 160 / 80)
    read = workload_of("chat", first.request.payload, kind="simulated")
    assert (read.modalities, read.input_chars, read.tokens) == (("text",), 4_000, 256)
    # A body has its bound, whatever a conversation has.
    assert len(second.request.payload["messages"][0]["content"]) == 48_000
    assert second.request.payload["max_tokens"] == 64


def test_generated_chats_have_the_lengths_of_real_ones() -> None:
    jobs = list(generated_chats(CHAT_LAW, days=3, seed=1))
    letters = sorted(len(job.request.payload["messages"][0]["content"]) for job in jobs)
    # Half of Azure's conversations read 1,020 tokens at most, nine in ten 2,735.
    assert letters[len(letters) // 2] == pytest.approx(4 * 1_020, rel=0.06)
    assert letters[int(0.9 * len(letters))] == pytest.approx(4 * 2_735, rel=0.1)
    assert all(before.at_ms <= after.at_ms for before, after in pairwise(jobs))
    models = Counter(job.request.requires.models[0].name for job in jobs)
    assert {model.name for model in CHAT_MODELS} == set(models)
    by_user = {(job.request.user, job.request.requires.models[0].name) for job in jobs}
    assert len(by_user) == len({user for user, _ in by_user})


def test_usage_is_the_law_of_templates() -> None:
    """Issue: "ComfyUI templates with their usage counts as the law for video, audio, 3D"."""
    listed = [
        a_template("often", 75, "diffusion_models/a"),
        a_template("seldom", 25, "diffusion_models/b"),
        a_template("never", 0, "diffusion_models/c"),
        a_template("elsewhere", 900),
        a_template("picture", 900, "checkpoints/d", modality="image"),
    ]
    workflows = workflows_of(listed, modalities=("video", "audio", "3d"), seed=1)
    assert [one.name for one in workflows] == ["often", "seldom"]
    jobs = list(media_jobs(workflows, EVEN_SITTINGS.times(20), days=2, seed=1))
    used = Counter(job.request.requires.models[0].name for job in jobs)
    assert used["a"] / len(jobs) == pytest.approx(0.75, abs=0.05)
    assert workload_of("media", jobs[0].request.payload, kind="simulated").modalities == ("video",)


def test_a_file_has_its_part_of_what_all_files_take_and_one_size_everywhere() -> None:
    listed = [
        a_template("one", 1, "diffusion_models/a", "text_encoders/t", size_bytes=15_000),
        a_template("two", 1, "diffusion_models/b", "text_encoders/t", size_bytes=30_000),
        a_template("three", 1, "loras/l"),
    ]
    one, two, three = workflows_of(listed, modalities=("video",), seed=1)
    assert [(file.name, file.kind, file.size_bytes) for file in one.files] == [
        ("a", "diffusion_model", 10_000),
        ("t", "text_encoder", 7_500),
    ]
    assert [file.size_bytes for file in two.files] == [20_000, 7_500]
    assert three.files[0].size_bytes == 500_000_000


def test_what_reads_as_a_request_can_be_made_a_chat() -> None:
    """Readers and jobs meet in three facts: when, and how many tokens were read and made."""
    from datetime import datetime

    row = AzureRequest(submitted=datetime(2030, 1, 1), read_tokens=1, made_tokens=1)  # noqa: DTZ001
    (job,) = chat_jobs([row], seed=1, begins_ms=row.at_ms - 5_000)
    assert job.at_ms == 5_000
