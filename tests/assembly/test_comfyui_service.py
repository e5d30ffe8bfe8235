"""From a settings file to a stored picture: a machine whose service is a ComfyUI server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from northstar.assembly.connectors import check_services
from northstar.assembly.worker import run_worker
from northstar.config import InvalidSettings, Settings, load
from northstar.domain.jobs import JobRequest
from northstar.store.assets import AssetRef, AssetStore
from tests import servers
from tests.agent.rig import Rig
from tests.connectors.comfyui.graphs import picture
from tests.connectors.fake_comfyui.server import FakeComfyUI

FILE = """
cell = "{cell}"
data_dir = "{folder}"
[valkey]
url = "{valkey}"
[[machines]]
name = "gpu-1"
services = ["picture"]
[services.picture]
connector = "comfyui"
base_url = "{comfyui}"
max_output_mib = 8
patience = {{ poll_s = 1.0 }}
"""


def settings_of(tmp_path: Path, *, cell: str = "c", valkey: str = "", comfyui: str, more: str = "") -> Settings:
    file = tmp_path / "northstar.toml"
    file.write_text(FILE.format(cell=cell, folder=tmp_path / "data", valkey=valkey, comfyui=comfyui) + more)
    return load(environment={"HOME": "/nobody"}, file=file)


async def test_a_job_for_a_comfyui_service_ends_with_a_stored_picture(tmp_path: Path) -> None:
    async with (
        servers.embedded_valkey() as server,
        Rig(server.url) as rig,
        rig.dispatching(),
        FakeComfyUI().serving() as fake,
    ):
        settings = settings_of(tmp_path, cell=rig.name, valkey=server.url, comfyui=fake.url)
        stop = asyncio.Event()
        working = asyncio.create_task(run_worker(settings, "gpu-1", engines={}, environment={}, stop=stop))
        try:
            await rig.cell.declare(["service:picture"], by="test")
            (job,) = await rig.submitter.submit([JobRequest(service="picture", payload=picture())])
            await rig.becomes(job.id, "succeeded")
            (found,) = (await rig.cell.inspect([job.id], results=True)).jobs
        finally:
            stop.set()
            await working
    (output,) = msgspec.json.decode(found.result or "")["outputs"]
    stored = msgspec.convert(output["asset"], AssetRef)
    assert stored.media_type == "image/png"
    assert (await AssetStore(settings.assets_url).get(stored)).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("comfyui", "more", "sentence"),
    [
        ("127.0.0.1:8188", "", "the engine's address must be http"),
        ("http://127.0.0.1:8188", 'api_key_variable = "COMFY_KEY"\n', "environment variable COMFY_KEY holds no key"),
    ],
)
def test_a_service_that_cannot_be_made_is_found_out_before_anything_starts(
    tmp_path: Path, comfyui: str, more: str, sentence: str
) -> None:
    with pytest.raises(InvalidSettings, match=sentence):
        check_services(settings_of(tmp_path, comfyui=comfyui, more=more), environment={})
