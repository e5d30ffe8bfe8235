"""The ground of a picture: ridges one behind the other, or water that mirrors the sky."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Final

import msgspec

from northstar.demo.noise import Noise
from northstar.demo.scene import Colour, Ground, Scene
from northstar.demo.sky import Row, Sky, blend

_WINDOW: Final = (255, 206, 120)
_SNOW: Final = (206, 216, 240)
_RIDGES: Final = 4
_SHORE: Final = 0.64


class Ridge(msgspec.Struct, frozen=True):
    """One line of hills: where its top is at each column, and its colour."""

    top: list[float]
    colour: Colour
    snow: tuple[float, ...] = ()  # how far down it lies, at each column
    windows: frozenset[tuple[int, int]] = frozenset()


def picture_rows(scene: Scene, *, width: int, height: int, seed: int) -> Iterator[bytes]:
    """The rows of the picture from the top, three bytes a pixel; equal arguments give equal rows."""
    source = random.Random(seed)
    sky = Sky(scene, width=width, height=height, source=source)
    ridges = _ridges(scene, width=width, height=height, source=source)
    shore = int(height * _SHORE) if scene.ground is Ground.SEA else height
    noise = Noise(source)
    above: list[Row] = []
    for y in range(height):
        if y < shore:
            row = sky.row(y)
            for ridge in ridges:
                _lay(row, ridge, y)
            if shore < height:
                above.append(row)
        else:
            row = _mirrored(above, y - shore, depth=height - shore, noise=noise, tint=scene.light.ground)
        yield bytes([0 if value < 0 else 255 if value > 255 else int(value) for value in row])


def _lay(row: Row, ridge: Ridge, y: int) -> None:
    red, green, blue = ridge.colour
    for x, top in enumerate(ridge.top):
        cover = y - top + 0.5
        if cover <= 0:
            continue
        at = 3 * x
        if cover >= 1:
            if ridge.snow and cover < ridge.snow[x]:
                row[at : at + 3] = blend(ridge.colour, _SNOW, 0.55 * min(1.0, (ridge.snow[x] - cover) / 6))
            elif ridge.windows and (x, y) in ridge.windows:
                row[at : at + 3] = _WINDOW
            else:
                row[at : at + 3] = (red, green, blue)
        else:
            row[at] += (red - row[at]) * cover
            row[at + 1] += (green - row[at + 1]) * cover
            row[at + 2] += (blue - row[at + 2]) * cover


def _mirrored(above: list[Row], down: int, *, depth: int, noise: Noise, tint: Colour) -> Row:
    width = len(above[0]) // 3
    share = 0.28 + 0.4 * down / depth
    row: Row = []
    for x in range(width):
        wave = noise.sheet(x * 0.018 + 5, down * 0.22, octaves=2) - 0.5
        source = above[
            max(0, min(len(above) - 1, len(above) - 1 - int(down * 1.35 + 14 * wave * (0.3 + down / depth))))
        ]
        at = 3 * max(0, min(width - 1, x + int(10 * wave)))
        row += blend((source[at], source[at + 1], source[at + 2]), tint, share)
    return row


def _ridges(scene: Scene, *, width: int, height: int, source: random.Random) -> list[Ridge]:
    count = 2 if scene.ground is Ground.SEA else _RIDGES
    return [
        _ridge(scene, width=width, height=height, source=source, nearness=(number + 1) / count)
        for number in range(count)
    ]


def _ridge(scene: Scene, *, width: int, height: int, source: random.Random, nearness: float) -> Ridge:
    noise, ground = Noise(source), scene.ground
    colour = blend(blend(scene.light.horizon, scene.light.ground, 0.45), scene.light.ground, nearness**0.7)
    if ground is Ground.SEA:
        top = [height * (_SHORE + 0.02 - 0.14 * noise.line(3 * x / width) * (1.2 - nearness)) for x in range(width)]
        return Ridge(top, colour)
    low = height * (0.6 + 0.28 * nearness)
    if ground is Ground.MOUNTAINS:
        rise = height * 0.42 * (1.15 - 0.75 * nearness)
        bends = 2 + 2 * nearness
        top = [low - rise * (1 - 2 * abs(noise.line(bends * x / width, octaves=6) - 0.5)) ** 2 for x in range(width)]
        return Ridge(top, colour, snow=tuple(_snow(top, line=low - 0.5 * rise, noise=noise)) if nearness < 0.7 else ())
    bends = 1.6 if ground is Ground.DESERT else 3.0
    rise = height * (0.2 - 0.07 * nearness)
    octaves = 2 if ground is Ground.DESERT else 5
    top = [low - rise * noise.line(bends * x / width + 9 * nearness, octaves=octaves) for x in range(width)]
    if ground is Ground.DESERT:
        colour = blend(colour, (196, 120, 62), 0.32 * (1.3 - nearness))
    if ground is Ground.FOREST and nearness > 0.4:
        _plant(top, height=height * 0.07 * nearness, source=source)
    if ground is Ground.CITY and nearness > 0.4:
        return Ridge(top, colour, windows=_build(top, height=height, nearness=nearness, source=source))
    return Ridge(top, colour)


def _snow(top: list[float], *, line: float, noise: Noise) -> Iterator[float]:
    """How far the snow comes down from each place of a ridge that rises above the snow `line`."""
    for x, height in enumerate(top):
        yield max(0.0, line - height) * (0.35 + 0.9 * noise.line(x * 0.11 + 300, octaves=3))


def _plant(top: list[float], *, height: float, source: random.Random) -> None:
    """Put fir trees on a ridge."""
    x = 0.0
    ground = list(top)
    while x < len(top):
        tall = height * source.uniform(0.5, 1.25)
        half = max(2.0, tall * 0.26)
        for column in range(max(0, int(x - half)), min(len(top), int(x + half) + 1)):
            away = abs(column - x) / half
            jagged = tall * (1 - away) * (0.88 + 0.12 * math.cos(away * 19))
            top[column] = min(top[column], ground[column] - jagged)
        x += half * source.uniform(0.7, 1.9)


def _build(top: list[float], *, height: int, nearness: float, source: random.Random) -> frozenset[tuple[int, int]]:
    """Put houses on a ridge; give the pixels of their lit windows."""
    windows: set[tuple[int, int]] = set()
    left = 0
    while left < len(top):
        wide = max(6, int(height * source.uniform(0.03, 0.08)))
        right = min(len(top), left + wide)
        roof = int(top[left] - height * source.uniform(0.02, 0.2) * (1.3 - 0.5 * nearness))
        top[left:right] = [float(roof)] * (right - left)
        for x in range(left + 2, right - 2, 4):
            for y in range(roof + 4, min(height, roof + int(height * 0.3)), 6):
                if source.random() < 0.32:
                    windows |= {(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)}
        left = right + source.choice((0, 0, 1, 3))
    return frozenset(windows)
