"""What a finished job left is brought to a folder whole, whatever the folder is and whatever a machine said of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from northstar.broker.gateway.outputs import ResultMalformed
from northstar.broker.job_outputs import OutputExists, OutputFolderUnusable, save_outputs
from northstar.domain.jobs import JobStatus, JobView
from northstar.store.asset_errors import AssetNameRefused
from northstar.store.assets import AssetStore


def finished(result: Any) -> JobView:
    numbers: dict[str, Any] = dict.fromkeys(
        ("priority", "attempts", "max_attempts", "recoveries", "submitted_ms", "started_ms", "finished_ms", "due_ms"), 0
    )
    return JobView(id="j", status=JobStatus.SUCCEEDED, tenant="t", machine="m", lane_key="", result=result, **numbers)


async def saved(folder: Path, *outputs: Any) -> list[str]:
    store = AssetStore(folder.parent / "assets")
    return [one.name for one in await save_outputs(finished({"outputs": list(outputs)}), store, folder)]


@pytest.mark.parametrize("links", [True, False])
async def test_a_file_gets_its_name_with_and_without_links_and_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    folder = tmp_path / "out"
    assert await saved(folder, {"name": "a", "text": "hello"}) == ["a"]
    with pytest.raises(OutputExists):
        await saved(folder, {"name": "a", "text": "other"})
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("a.txt", "hello")]


async def test_a_folder_that_cannot_be_written_to_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputFolderUnusable, match="name another folder with --out"):
        await saved(tmp_path / "out", {"name": "a", "text": "hello"})


@pytest.mark.parametrize("output", [{"text": "no name"}, 7, {"name": "a", "asset": "no reference"}])
async def test_a_result_that_says_nothing_readable_is_said_to_be_so(tmp_path: Path, output: Any) -> None:
    with pytest.raises(ResultMalformed):
        await saved(tmp_path / "out", output)


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../../b"])
async def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(AssetNameRefused):
        await saved(tmp_path / "out", {"name": name, "text": "x"})
