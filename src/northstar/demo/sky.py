"""The sky of a picture, row by row: light, clouds, aurora, moon, stars, and the north star."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Final

from northstar.demo.noise import Noise
from northstar.demo.scene import Colour, Scene

_CELL: Final = 6  # pixels between two computed points of the clouds; what lies between is blended
_GRAIN: Final = 4096

Row = list[float]


def blend(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of `b`, the rest of `a`."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


class Sky:
    """Gives rows of red, green, blue, red, … as floats, not yet bounded to 0..255."""

    def __init__(self, scene: Scene, *, width: int, height: int, source: random.Random) -> None:
        self._scene, self._width, self._height = scene, width, height
        self._noise = Noise(source)
        self.star = (width * source.uniform(0.3, 0.7), height * source.uniform(0.16, 0.26))
        self._moon = (width * source.choice((0.16, 0.84)), height * source.uniform(0.2, 0.3), height * 0.055)
        self._clouds = self._cloud_grid()
        self._grain = [source.uniform(-0.6, 0.6) for _ in range(_GRAIN)]
        self._stars = self._scatter(source)
        self._curtain = [height * (0.2 + 0.34 * self._noise.line(3.1 * x / width + 40)) for x in range(width)]
        self._shine = [max(0.0, self._noise.line(14.0 * x / width + 90) - 0.32) * 2.2 for x in range(width)]
        self._fall = [math.exp(-7.5 * d / height) for d in range(2 * height)]

    def row(self, y: int) -> Row:
        """Row `y`, counted from the top."""
        row = self._air(y)
        if self._scene.aurora:
            self._add_aurora(row, y)
        for x, colour in self._stars.get(y, ()):
            _add(row, x, colour, 1.0)
        if self._scene.moon:
            self._add_moon(row, y)
        self._add_north_star(row, y)
        return row

    def _cloud_grid(self) -> list[list[float]]:
        noise, scale = self._noise, 3.4 / self._height
        columns, rows = self._width // _CELL + 2, self._height // _CELL + 2
        grid = []
        for j in range(rows):
            line = []
            for i in range(columns):
                x, y = i * _CELL * scale, j * _CELL * scale * 1.7
                bent_x = x + 1.6 * noise.sheet(x + 3.3, y + 9.1, octaves=2)
                bent_y = y + 1.6 * noise.sheet(x + 7.7, y + 1.3, octaves=2)
                line.append(max(0.0, noise.sheet(bent_x, bent_y) - 0.4) * 1.9)
            grid.append(line)
        return grid

    def _scatter(self, source: random.Random) -> dict[int, list[tuple[int, Colour]]]:
        stars: dict[int, list[tuple[int, Colour]]] = {}
        for _ in range(int(self._scene.light.stars * self._width * self._height / 1000)):
            x, y = source.randrange(self._width), int(self._height * source.random() ** 1.3)
            glow = 30 + 225 * source.random() ** 5
            warm = source.uniform(0.75, 1.0)
            stars.setdefault(y, []).append((x, (glow * warm, glow * (0.85 + 0.15 * warm), glow)))
        return stars

    def _air(self, y: int) -> Row:
        light, share = self._scene.light, min(1.0, y / (0.78 * self._height))
        if share < 0.5:
            base = blend(light.top, light.middle, share * 2)
        else:
            base = blend(light.middle, light.horizon, (share - 0.5) ** 1.5 * 2.828)
        line = self._cloud_line(y)
        grain, start = self._grain, (y * 1_237) % _GRAIN
        red, green, blue = base
        more_red, more_green, more_blue = (
            0.55 * (c - b) if c > b else 0.2 * (c - b) for c, b in zip(light.cloud, base, strict=True)
        )
        row: Row = []
        for x in range(self._width):
            cloud = line[x]
            speck = grain[(start + x * 7) % _GRAIN]
            row += (
                red + more_red * cloud + speck,
                green + more_green * cloud + speck,
                blue + more_blue * cloud + speck,
            )
        return row

    def _cloud_line(self, y: int) -> list[float]:
        j, v = divmod(y, _CELL)
        share = v / _CELL
        points = [a + (b - a) * share for a, b in zip(self._clouds[j], self._clouds[j + 1], strict=True)]
        steps = [k / _CELL for k in range(_CELL)]
        return [a + (b - a) * step for a, b in pairwise(points) for step in steps]

    def _add_aurora(self, row: Row, y: int) -> None:
        fall = self._fall
        for x, (low, shine) in enumerate(zip(self._curtain, self._shine, strict=True)):
            above = low - y
            glow = shine * (fall[int(above)] if above >= 0 else fall[min(len(fall) - 1, int(-above * 9))])
            if glow > 0.01:
                high = min(1.0, max(0.0, above / (0.3 * self._height)))
                at = 3 * x
                row[at] += glow * (30 + 130 * high)
                row[at + 1] += glow * (190 - 110 * high)
                row[at + 2] += glow * (110 + 60 * high)

    def _add_moon(self, row: Row, y: int) -> None:
        moon_x, moon_y, radius = self._moon
        for x in range(max(0, int(moon_x - 5 * radius)), min(self._width, int(moon_x + 5 * radius) + 1)):
            away = math.hypot(x - moon_x, y - moon_y)
            disc = min(1.0, max(0.0, radius - away + 0.5))
            shade = 0.8 + 0.3 * self._noise.sheet(x * 0.09 + 200, y * 0.09 + 200, octaves=2)
            halo = 46 * max(0.0, 1 - away / (5 * radius)) ** 2
            _add(row, x, (236 * shade, 232 * shade, 214 * shade), disc)
            _add(row, x, (halo, halo, halo * 0.9), 1 - disc)

    def _add_north_star(self, row: Row, y: int) -> None:
        star_x, star_y = self.star
        reach = self._height * 0.28
        up = abs(y - star_y)
        if up > reach:
            return
        for x in range(max(0, int(star_x - reach)), min(self._width, int(star_x + reach) + 1)):
            across = abs(x - star_x)
            core = 900 / (3 + across * across + up * up)
            fade = max(0.0, 1 - math.hypot(across, up) / reach)
            rays = 260 * fade**3 * (1 / (1 + up * up * 1.5) + 1 / (1 + across * across * 1.5))
            glow = (core + rays + 34 * fade * fade) * min(1.0, fade * 4)
            _add(row, x, (glow, glow * 0.97, glow * 0.88 + 6 * fade), 1.0)


def _add(row: Row, x: int, colour: Colour, share: float) -> None:
    at = 3 * x
    row[at] += colour[0] * share
    row[at + 1] += colour[1] * share
    row[at + 2] += colour[2] * share
