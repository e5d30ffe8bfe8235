"""What a run left, and how it can be less than it says."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.connectors.comfyui import ComfyBounds
from northstar.connectors.errors import (
    EmptyOutput,
    EngineError,
    EngineGone,
    LimitExceeded,
    MalformedAnswer,
    OutputMissing,
    OutputTooLarge,
)
from tests.connectors.comfyui.graphs import names_outputs, picture
from tests.connectors.comfyui.rig import Connect
from tests.connectors.conformance import hear_nothing
from tests.connectors.conftest import MakeJob
from tests.connectors.fake_comfyui.pictures import png
from tests.connectors.fake_comfyui.server import FakeComfyUI

PNG = png(8, 8, 1)
MP4 = b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00" + b"\x00\x00\x00\x08moov"
GLB = b"glTF\x02\x00\x00\x00" + (16).to_bytes(4, "little") + b"data"
WAV = b"RIFF\x08\x00\x00\x00WAVEdata"


def named(name: str, *, kind: str = "output", below: str = "") -> dict[str, str]:
    return {"filename": name, "subfolder": below, "type": kind}


async def test_outputs_of_every_kind_are_fetched_and_known_by_their_bytes(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    files = {"a.png": PNG, "b.gif": b"GIF89a...;", "c.mp4": MP4, "d.flac": b"fLaC....", "e.glb": GLB, "f.wav": WAV}
    for name, data in files.items():
        fake.disk.files[("output", "deep/er", name)] = data
    ui = {
        "images": [named("a.png", below="deep/er")],
        "gifs": [named("b.gif", below="deep/er") | {"frame_rate": 8}],
        "video": [named("c.mp4", below="deep/er")],
        "audio": [named("d.flac", below="deep/er"), named("f.wav", below="deep/er")],
        "3d": [named("e.glb", below="deep/er")],
        "text": ["two", "lines"],
        "animated": [True],
    }
    job = make_job(names_outputs(ui))
    outputs = (await connect().run(job, hear_nothing)).outputs
    assert {output.name: output.media_type.partition(";")[0] for output in outputs} == {
        "a.png": "image/png",
        "b.gif": "image/gif",
        "c.mp4": "video/mp4",
        "d.flac": "audio/flac",
        "e.glb": "model/gltf-binary",
        "f.wav": "audio/wav",
        "text-9.txt": "text/plain",
    }
    assert next(output.text for output in outputs if output.text) == "two\nlines"
    assert all(output.path.is_relative_to(job.workspace) for output in outputs if output.path)


async def test_previews_are_left_out_unless_there_is_nothing_else(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    for kind in ("output", "temp", "input"):
        fake.disk.files[(kind, "", f"{kind}.png")] = PNG
    everything = {"images": [named("temp.png", kind="temp"), named("output.png"), named("input.png", kind="input")]}
    result = await connect().run(make_job(names_outputs(everything)), hear_nothing)
    assert [output.name for output in result.outputs] == ["output.png"]
    result = await connect().run(make_job(names_outputs({"images": everything["images"][:1]})), hear_nothing)
    assert [output.name for output in result.outputs] == ["temp.png"]


async def test_the_same_name_in_two_folders_is_two_outputs(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    fake.disk.files |= {("output", "x", "a.png"): PNG, ("output", "y", "a.png"): png(9, 9, 2)}
    ui = {"images": [named("a.png", below="x"), named("a.png", below="y"), named("a.png", below="x")]}
    result = await connect().run(make_job(names_outputs(ui)), hear_nothing)
    assert [output.name for output in result.outputs] == ["2-a.png", "a.png"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [("what's [this].png", "what_s _this_.png"), ("-a.png", "_-a.png"), ("ä 1.png", "ä 1.png"), (".a.png", "_.a.png")],
)
async def test_a_name_that_no_store_takes_is_made_usable(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob, name: str, kept: str
) -> None:
    fake.disk.files[("output", "", name)] = PNG
    (output,) = (await connect().run(make_job(names_outputs({"images": [named(name)]})), hear_nothing)).outputs
    assert output.name == kept


async def test_long_text_is_a_file(connect: Connect, make_job: MakeJob) -> None:
    (output,) = (await connect().run(make_job(names_outputs({"text": ["word " * 10_000]})), hear_nothing)).outputs
    assert output.path is not None
    assert output.path.stat().st_size == output.size_bytes == 50_000


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        (("a.png", b""), (EmptyOutput, "'a.png' is empty")),
        (("a.png", PNG[:-6]), (MalformedAnswer, "cut off before its end")),
        (("a.mp4", MP4[:-4]), (MalformedAnswer, "cut off before its end")),
        (("a.glb", GLB[:-1]), (MalformedAnswer, "cut off before its end")),
        (("a.wav", WAV[:-1]), (MalformedAnswer, "cut off before its end")),
        (("a.jpg", b"\xff\xd8\xff\xe0..."), (MalformedAnswer, "cut off before its end")),
        (("a.jpg", PNG), (MalformedAnswer, "'a.jpg' is of type image/png")),
        (("a.png", b"<html>not a picture</html>"), (MalformedAnswer, "is of type text/plain")),
        (("a.latent", b"\x00\x01\x02"), (OutputMissing, "of type application/octet-stream")),
        (("a.png", PNG + b"x" * 200_000), (OutputTooLarge, "larger than 100,000 bytes")),
        (("../../../etc/passwd", None), (OutputMissing, "the file '../../../etc/passwd'")),
        (("..", None), (MalformedAnswer, "unusable name")),
        (("a\nb.png", None), (MalformedAnswer, "unusable name")),
    ],
)
async def test_an_output_that_is_not_what_it_should_be_is_no_success(
    fake: FakeComfyUI,
    connect: Connect,
    make_job: MakeJob,
    file: tuple[str, bytes | None],
    fault: tuple[type[EngineError], str],
) -> None:
    (name, data), (error, sentence) = file, fault
    if data is not None:
        fake.disk.files[("output", "", name)] = data
    connector = connect(bounds=ComfyBounds(output_bytes=100_000))
    with pytest.raises(error, match=sentence):
        await connector.run(make_job(names_outputs({"images": [named(name)]})), hear_nothing)


async def test_a_transfer_that_breaks_off_is_no_output(fake: FakeComfyUI, connect: Connect, make_job: MakeJob) -> None:
    fake.disk.breaks_off_after = 20
    with pytest.raises(EngineGone, match="the engine is gone"):
        await connect().run(make_job(picture()), hear_nothing)


async def test_too_many_outputs_are_refused(connect: Connect, make_job: MakeJob) -> None:
    with pytest.raises(LimitExceeded, match="more files than the 2 allowed"):
        await connect(bounds=ComfyBounds(outputs=2)).run(make_job(picture(batch=3)), hear_nothing)


@pytest.mark.parametrize("ui", [{}, {"images": []}, {"animated": [True]}, {"text": [""]}])
async def test_a_run_without_outputs_is_an_error_with_a_name(
    connect: Connect, make_job: MakeJob, ui: dict[str, Any]
) -> None:
    with pytest.raises(OutputMissing, match="expected an output of any node but found nothing"):
        await connect().run(make_job(names_outputs(ui)), hear_nothing)
