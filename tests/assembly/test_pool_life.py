"""What a machine's pools ask of it reaches its store, its programs and its engines."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import structlog

from northstar.agent.kept_models import NoModels
from northstar.assembly.connectors import connector_of
from northstar.assembly.pool_life import PoolLife
from northstar.config import CommandService
from northstar.connectors.contract import Connector, ConnectorJob
from northstar.domain.pool_terms import PoolTerms

PRINTS_ITS_ENVIRONMENT = (
    "import json, os, pathlib; pathlib.Path('out/environment.json').write_text(json.dumps(dict(os.environ)))"
)


class Capped(NoModels):
    """A store that remembers what it was told."""

    cap = -1
    kept: Collection[str] = ()

    def cap_disk(self, most_bytes: int) -> None:
        self.cap = most_bytes

    def set_kept(self, names: Collection[str]) -> None:
        self.kept = names


def test_the_store_is_capped_as_the_broker_says() -> None:
    models = Capped()
    PoolLife(("lightning",), models).hear(PoolTerms(max_disk_bytes=20_000_000_000))
    assert models.cap == 20_000_000_000


def test_the_store_keeps_what_the_broker_says() -> None:
    models = Capped()
    life = PoolLife(("lightning",), models)
    told: list[Collection[str]] = []
    for keeps in (("a.safetensors",), ()):
        life.hear(PoolTerms(keeps=keeps))
        told.append(models.kept)
    assert told == [("a.safetensors",), ()]


def test_before_the_broker_speaks_the_pools_that_come_with_north_star_are_believed() -> None:
    """Spec, Fast Lane: `ENV COMFYUI_GPU_MEMORY_FRACTION=0.9`."""
    assert PoolLife(("fast-lane",), NoModels()).environment == {"COMFYUI_GPU_MEMORY_FRACTION": "0.9"}
    assert PoolLife(("standard",), NoModels()).environment == {}


def test_an_engine_that_runs_with_what_is_no_longer_so_is_told_of() -> None:
    life = PoolLife(("fast-lane",), NoModels())
    assert life.engine_environment("text") == {"COMFYUI_GPU_MEMORY_FRACTION": "0.9"}
    with structlog.testing.capture_logs() as logs:
        life.hear(PoolTerms(environment={"COMFYUI_GPU_MEMORY_FRACTION": "0.9"}))
        assert logs == []
        life.hear(PoolTerms(environment={"COMFYUI_GPU_MEMORY_FRACTION": "0.8"}))
    assert [(line["event"], line["services"]) for line in logs] == [("engine_environment_changed", ["text"])]


async def test_a_program_finds_what_the_pool_sets_now_and_what_its_service_sets_goes_first(tmp_path: Path) -> None:
    life = PoolLife(("fast-lane",), NoModels())
    service = CommandService(
        arguments=("@python", "-c", PRINTS_ITS_ENVIRONMENT), warm_up={}, expects=("*/*",), environment={"MINE": "1"}
    )
    connector = connector_of("x", service, address=None, environment={}, pool_environment=life.environment)
    first = await found_by(connector, tmp_path / "first")
    assert (first["COMFYUI_GPU_MEMORY_FRACTION"], first["MINE"]) == ("0.9", "1")
    life.hear(PoolTerms(environment={"POOL": "x", "MINE": "2"}))
    second = await found_by(connector, tmp_path / "second")
    assert (second["POOL"], second["MINE"], "COMFYUI_GPU_MEMORY_FRACTION" in second) == ("x", "1", False)
    await connector.close()


async def found_by(connector: Connector, workspace: Path) -> dict[str, Any]:
    """The environment that a run of the program finds."""
    workspace.mkdir()
    job = ConnectorJob(id="j", service="x", payload={}, workspace=workspace, deadline_s=30.0)
    await connector.run(job, lambda _: None)
    found: dict[str, Any] = json.loads((workspace / "out" / "environment.json").read_text())
    return found
