"""A program that paints a landscape under the north star: `python -m northstar.demo.painter`.

It reads one JSON object from its standard input (`prompt`, `seed`, `width`, `height`, `steps`), says after every step how far
it is, and leaves `out/picture.png`. A request that it cannot paint ends with exit code 2 and a sentence.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from northstar.demo.land import picture_rows
from northstar.demo.png import png
from northstar.demo.scene import scene_of

_MAX_REQUEST_BYTES = 64 * 1024


class PaintingRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to paint."""

    #: What is to be seen. Words for an hour, a ground, an aurora or a moon are understood, all others are left to the seed.
    prompt: Annotated[str, msgspec.Meta(max_length=4_000)]
    #: The same prompt, size and seed give the same picture, byte for byte.
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 1
    #: Pixels.
    width: Annotated[int, msgspec.Meta(ge=16, le=2_048)] = 512
    #: Pixels.
    height: Annotated[int, msgspec.Meta(ge=16, le=2_048)] = 384
    #: In how many parts the work is done and reported; it does not change the picture.
    steps: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 12
    #: Hints that North Star reads and painters do not.
    northstar: dict[str, object] = {}


def paint(request: PaintingRequest) -> Iterator[bytes | float]:
    """Give the share of the work that is done after each step, then the PNG."""
    scene = scene_of(request.prompt)
    rows: list[bytes] = []
    painted = picture_rows(scene, width=request.width, height=request.height, seed=request.seed)
    steps = min(request.steps, request.height)
    for step in range(1, steps + 1):
        while len(rows) * steps < step * request.height:
            rows.append(next(painted))
        yield step / steps
    description = f"{request.prompt} (seed {request.seed})"
    yield png(rows, width=request.width, height=request.height, description=description)


def save(painting: Iterator[bytes | float]) -> int:
    """Say how far the painting is, and leave the picture in `out/`; gives the exit code."""
    for number, part in enumerate(painting, start=1):
        if isinstance(part, bytes):
            out = Path("out")
            out.mkdir(exist_ok=True)
            (out / "picture.png").write_bytes(part)
        else:
            news = {"progress": part, "message": f"step {number}"}
            sys.stdout.write(msgspec.json.encode(news).decode() + "\n")
            sys.stdout.flush()
    return 0


def main() -> int:
    """Paint what standard input asks for."""
    try:
        request = msgspec.json.decode(sys.stdin.buffer.read(_MAX_REQUEST_BYTES), type=PaintingRequest)
    except msgspec.MsgspecError as error:
        sys.stderr.write(f"cannot paint this: {error}\n")
        return 2
    return save(paint(request))


if __name__ == "__main__":
    sys.exit(main())
