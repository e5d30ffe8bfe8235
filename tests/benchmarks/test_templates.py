"""The measurement of how well real workflows are read: it says so where there are none, and counts what is there."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from benchmarks import templates
from benchmarks.__main__ import main
from benchmarks.contract import Options
from tests.policy.models.saved_workflows import picture


def archive(folder: Path, files: dict[str, Any]) -> None:
    with tarfile.open(folder / templates.ARCHIVE, "w:gz") as packed:
        for name, content in files.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))


def test_without_real_workflows_a_graph_of_our_own_is_measured() -> None:
    outcome = templates.run(Options(rounds=1, quick=True))
    assert outcome.failures == ()
    assert set(outcome.figures) == {"200 nodes, s"}
    assert "no real workflows" in outcome.text


def test_our_own_graph_has_about_as_many_nodes_as_were_asked_for() -> None:
    assert 195 <= len(templates.chain(200)) <= 200


def test_readings_are_held_against_the_index_and_lists_against_another_search(tmp_path: Path) -> None:
    entry = {"name": "sdxl.safetensors", "url": "https://models.example/sdxl", "directory": "checkpoints"}
    workflow = picture().add(20, "Note", properties={"models": [entry]}).workflow()
    index = [
        {"type": "image", "templates": [{"name": "hare"}]},
        {"type": "video", "templates": [{"name": "fox"}]},
    ]
    archive(tmp_path, {"index.json": index, "hare.json": workflow, "fox.json": picture().workflow()})
    told = templates.agreement(templates.templates(tmp_path))
    assert (told.templates, told.agrees, told.listed, told.missed, told.unread) == (2, 0.5, 1, 0, ())
    assert told.disagreeing == ("fox: video, read image",)
    outcome = templates.run(Options(rounds=1, quick=True, traces=tmp_path))
    assert outcome.failures == ("only 50.0% agree with the index",)
    assert main(["templates", "--quick", "--rounds", "1", "--traces", str(tmp_path)]) == 1
    assert [name for name, _, _ in templates.read(tmp_path)] == ["hare", "fox"]
