"""What `northstar machines show` prints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from northstar.domain.machine_rows import MachineRow
from northstar.domain.machines import EngineDescription, Gpu, MachineDescription, MachineProfile
from northstar.domain.models import ModelHeld
from northstar.store.machine_sheets import Fetch, MachineSheet
from northstar.surfaces.cli.machine_sheet import _show, as_document
from northstar.surfaces.cli.machines import machine_cells
from tests.northstar_command import Northstar

PROFILE = MachineProfile(
    pools=("standard",), services=("picture",), vram_mb=24_152, node_packs=("comfyui-impact-pack",), tags=("fast",)
)
SAID = MachineDescription(
    download_bytes_per_s=48e6,
    region="eu",
    price_usd_per_hour=0.25,
    gpu="2 x NVIDIA L4",
    gpus=(Gpu(index=0, name="NVIDIA L4", vram_mb=24_152, uuid="GPU-1"), Gpu(index=1, name="NVIDIA L4")),
    driver="550.90.07",
    engines=(
        EngineDescription(
            service="picture", kind="comfyui", version="0.3.64", node_classes=900, node_classes_digest="0123", models=7
        ),
    ),
)


def sheet(**more: Any) -> MachineSheet:
    fields: dict[str, Any] = {
        "id": "m",
        "status": "active",
        "slots": 2,
        "used": 1,
        "waits_for_work": True,
        "registered_ms": 1_700_000_000_000,
        "vram_mb": 48_304,
        "vram_used_mb": 20_000,
        "profile": PROFILE,
        "description": SAID,
        "held": (ModelHeld("sdxl.safetensors", "resident", 6_900_000_000), ModelHeld("vae.pt", "disk")),
        "fetching": (Fetch(model="flux.safetensors", started_ms=1, expected_ms=60_001, size_bytes=24_000_000_000),),
    }
    return MachineSheet(**fields | more)


def test_everything_known_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    _show(sheet())
    shown = " ".join(capsys.readouterr().out.split())
    for words in (
        "machine m, active, since 2023-11-14 22:13:20+00:00",
        "slots 1 of 2 busy, waits for work",
        "memory 20 GB of 48.3 GB promised to jobs",
        "node packs 1 pack: comfyui-impact-pack",
        "price 0.25 USD an hour",
        "link 48.0 MB/s down",
        "0 NVIDIA L4 24.2 GB GPU-1 1 NVIDIA L4 ? -",
        "picture comfyui 0.3.64 900 (0123) 7",
        "flux.safetensors 24.0 GB 1970-01-01 00:00:00+00:00",
        "sdxl.safetensors in memory 6.9 GB vae.pt on disk -",
    ):
        assert words in shown


def test_what_a_machine_says_cannot_play_with_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b[2J[red]eu\x07"
    said = MachineDescription(region=evil, gpus=(Gpu(index=0, name=evil),), trouble=evil)
    _show(sheet(description=said, profile=None))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert shown.count("[red]eu") == 3
    assert "unknown: a newer version wrote it" in shown


def test_the_document_has_every_key_even_of_a_machine_that_said_nothing() -> None:
    bare = json.loads(json.dumps(json_of(sheet(description=MachineDescription(), held=(), fetching=()))))
    full = json_of(sheet())
    assert bare.keys() == full.keys()
    assert bare["description"].keys() == full["description"].keys()
    assert full["description"]["gpus"][1] == {"index": 1, "name": "NVIDIA L4", "vram_mb": 0, "uuid": ""}
    assert full["held"][0] == {"name": "sdxl.safetensors", "state": "resident", "size_bytes": 6_900_000_000}
    assert full["profile"]["node_packs"] == ["comfyui-impact-pack"]


def json_of(shown: MachineSheet) -> Any:
    import msgspec

    return json.loads(msgspec.json.encode(as_document(shown)))


def test_the_list_has_gpu_region_and_price() -> None:
    row = MachineRow(
        id="m",
        status="active",
        because="",
        slots=2,
        busy=1,
        waits_for_work=False,
        pools=(),
        services=(),
        vram_mb=24_152,
        gpu="2 x NVIDIA L4",
        region="eu",
        price_usd_per_hour=0.25,
        tags=(),
        models={},
    )
    assert machine_cells(row) == ("m", "active", 2, 1, "", "", "2 x NVIDIA L4", "24.2 GB", "eu", "0.25", "-")


def test_a_machine_of_a_running_north_star_is_shown(running: Northstar) -> None:
    shown = running.good("machines", "show", "local")
    assert (shown["id"], shown["status"], shown["slots"]) == ("local", "active", 2)
    assert shown["description"]["keeps_models"] is False, "its settings name no models folder"
    assert [(engine["service"], engine["kind"]) for engine in shown["description"]["engines"]] == [("copy", "command")]
    assert "slots       0 of 2 busy" in running.run("machines", "show", "local").out
    assert running.run("machines", "show", "nobody").err.startswith(
        "NS_NO_SUCH_MACHINE: machine nobody is not registered"
    )


def test_a_machine_that_keeps_no_models_folder_is_shown_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    _show(sheet(description=MachineDescription(keeps_models=False)))
    shown = " ".join(capsys.readouterr().out.split())
    assert "models keeps no models folder: nothing is fetched to it, its engines must have what jobs name" in shown
    _show(sheet())
    assert "models folder" not in capsys.readouterr().out


def test_a_machine_whose_engines_are_out_is_not_shown_as_active(capsys: pytest.CaptureFixture[str]) -> None:
    out = sheet(description=MachineDescription(takes_work=False, trouble="it died"))
    _show(out)
    assert "machine     m, out of work, since" in capsys.readouterr().out
    assert as_document(out)["status"] == "out_of_work"
    assert as_document(sheet(status="draining", description=out.description))["status"] == "draining"
