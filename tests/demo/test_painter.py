"""The program that paints."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from northstar.demo.scene import Ground, scene_of

SMALL = {"prompt": "a night over hills", "seed": 3, "width": 60, "height": 40, "steps": 5}


def paint(folder: Path, request: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "northstar.demo.painter"],
        input=json.dumps(request).encode(),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=60,
        check=False,
    )


def decode(png: bytes) -> tuple[int, int, bytes, dict[bytes, bytes]]:
    """Width, height, pixels and chunks of a PNG, with every checksum looked at."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", png, at + 8 + size) == (zlib.crc32(kind + data),)
        chunks[kind] = data
        at += 12 + size
    assert next(iter(chunks)) == b"IHDR"
    assert list(chunks)[-1] == b"IEND"
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour, rest) == (8, 2, [0, 0, 0])
    raw = zlib.decompress(chunks[b"IDAT"])
    stride = 3 * width + 1
    assert len(raw) == stride * height
    assert all(raw[row * stride] == 0 for row in range(height))
    pixels = b"".join(raw[row * stride + 1 : (row + 1) * stride] for row in range(height))
    return width, height, pixels, chunks


def test_it_paints_a_valid_picture_and_says_how_far_it_is(tmp_path: Path) -> None:
    ended = paint(tmp_path, SMALL)
    assert (ended.returncode, ended.stderr) == (0, b"")
    news = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [report["progress"] for report in news] == [0.2, 0.4, 0.6, 0.8, 1.0]
    width, height, pixels, chunks = decode((tmp_path / "out" / "picture.png").read_bytes())
    assert (width, height) == (60, 40)
    assert b"a night over hills (seed 3)" in chunks[b"iTXt"]
    assert len({pixels[at : at + 3] for at in range(0, len(pixels), 3)}) > 200


def test_the_star_shines_above_and_the_ground_is_dark(tmp_path: Path) -> None:
    paint(tmp_path, SMALL)
    width, height, pixels, _chunks = decode((tmp_path / "out" / "picture.png").read_bytes())
    light = [sum(pixels[at : at + 3]) for at in range(0, len(pixels), 3)]
    brightest = light.index(max(light))
    assert max(light) > 600
    assert brightest // width < height // 2
    assert sum(light[-width:]) / width < 100


def test_the_seed_and_the_words_decide_the_picture(tmp_path: Path) -> None:
    def picture(request: object) -> bytes:
        assert paint(tmp_path, request).returncode == 0
        return (tmp_path / "out" / "picture.png").read_bytes()

    first = picture(SMALL)
    assert picture(SMALL) == first
    assert picture(SMALL | {"steps": 40}) == first
    assert picture(SMALL | {"seed": 4}) != first
    assert picture(SMALL | {"prompt": "sunset at the sea"}) != first


@pytest.mark.parametrize("ground", list(Ground))
def test_every_ground_and_light_can_be_painted(tmp_path: Path, ground: Ground) -> None:
    request = SMALL | {"prompt": f"{ground} with moon and aurora at dawn", "width": 16, "height": 17}
    assert scene_of(str(request["prompt"])).ground is ground
    assert paint(tmp_path, request).returncode == 0


@pytest.mark.parametrize(
    "request_",
    [
        [],
        {},
        {"prompt": 3},
        SMALL | {"width": 0},
        SMALL | {"width": 99_999},
        SMALL | {"steps": 0},
        SMALL | {"shell": "x"},
    ],
)
def test_a_request_that_cannot_be_painted_ends_with_a_sentence(tmp_path: Path, request_: object) -> None:
    ended = paint(tmp_path, request_)
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"cannot paint this: ")
    assert not (tmp_path / "out").exists()
