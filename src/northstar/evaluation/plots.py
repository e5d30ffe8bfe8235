"""Plots as inline SVG, drawn here so that a page needs nothing from elsewhere: curves, bands and bars.

Colours come from the page's style sheet (classes s0 to s5), and every plot says in words what it shows, for whoever cannot see it.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH: Final = 720
HEIGHT: Final = 300
_LEFT: Final = 64
_RIGHT: Final = 18
_TOP: Final = 14
_BOTTOM: Final = 44
#: Colours in the style sheet.
COLOURS: Final = 6
_TICKS: Final = 5
_BAR: Final = 26


class Curve(NamedTuple):
    """A line: its name, and (x, y) in the order of x."""

    name: str
    points: Sequence[tuple[float, float]]


class Axis(NamedTuple):
    """An axis: its title, how its numbers are said, and whether it is logarithmic."""

    title: str
    said: Callable[[float], str] = "{:g}".format
    is_log: bool = False


class Bar(NamedTuple):
    """A bar of several parts, one after the other."""

    name: str
    parts: Sequence[float]


class _Scale:
    """Numbers to pixels."""

    def __init__(self, low: float, high: float, begin: float, end: float, *, is_log: bool) -> None:
        self._is_log = is_log
        self.low = max(low, 1e-3) if is_log else low
        self.high = high if high > self.low else self.low * 10 if is_log else self.low + 1
        self._begin, self._end = begin, end

    def at(self, value: float) -> float:
        """Where a number lies; what is beyond the axis lies at its end."""
        inside = min(max(value, self.low), self.high)
        if self._is_log:
            part = math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            part = (inside - self.low) / (self.high - self.low)
        return round(self._begin + part * (self._end - self._begin), 1)

    def ticks(self) -> list[float]:
        """Round numbers along it."""
        if self._is_log:
            powers = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            return [10.0**power for power in powers]
        step = _round_step((self.high - self.low) / _TICKS)
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def curves_plot(
    title: str,
    curves: Sequence[Curve],
    *,
    x: Axis,
    y: Axis,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    mark: tuple[float, str] | None = None,
    band: Sequence[tuple[float, float, float]] = (),
) -> str:
    """Curves over one x; without ranges the axes reach as far as the curves. `mark` is an upright line with a word, `band` an area of (x, low, high) behind them."""
    points = [point for curve in curves for point in curve.points]
    if not points:
        return _nothing(title)
    ys = [value for _, value in points] + [edge for _, low, high in band for edge in (low, high)]
    xs = [value for value, _ in points]
    begin, end = x_range or (min(xs), max(xs))
    across = _Scale(begin, end, _LEFT, WIDTH - _RIGHT, is_log=x.is_log)
    low, high = y_range or (min(0.0, *ys), max(ys))
    up = _Scale(low, high, HEIGHT - _BOTTOM, _TOP, is_log=y.is_log)
    parts = [_grid(across, up, x, y)]
    if band:
        upper = [(at, edge) for at, _, edge in band]
        lower = [(at, edge) for at, edge, _ in reversed(band)]
        parts.append(f'<path class="band" d="{_path([*upper, *lower], across, up)}Z"/>')
    if mark is not None:
        place = across.at(mark[0])
        parts.append(
            f'<line class="mark" x1="{place}" x2="{place}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
            f'<text class="mark" x="{place + 5}" y="{_TOP + 12}">{escape(mark[1])}</text>'
        )
    parts += [
        f'<path class="line s{number % COLOURS}" d="{_path(curve.points, across, up)}"><title>{escape(curve.name)}</title></path>'
        for number, curve in enumerate(curves)
        if curve.points
    ]
    return _figure(title, "".join(parts), HEIGHT, _legend([curve.name for curve in curves]))


def bars_plot(
    title: str, bars: Sequence[Bar], *, parts: Sequence[str], said: Callable[[float], str] = "{:g}".format
) -> str:
    """Lying bars, each of the named parts, with its sum at its end."""
    longest = max((sum(bar.parts) for bar in bars), default=0.0)
    if longest <= 0:
        return _nothing(title)
    name_width = 216
    across = _Scale(0.0, longest, name_width, WIDTH - 110, is_log=False)
    drawn: list[str] = []
    for row, bar in enumerate(bars):
        top, begin = _TOP + row * (_BAR + 8), 0.0
        drawn.append(f'<text class="name" x="{name_width - 8}" y="{top + _BAR * 0.68:.1f}">{escape(bar.name)}</text>')
        for number, part in enumerate(bar.parts):
            left, right = across.at(begin), across.at(begin + part)
            what = f"{bar.name}: {parts[number]} {said(part)}" if number < len(parts) else bar.name
            drawn.append(
                f'<rect class="s{number % COLOURS}" x="{left}" y="{top}" width="{max(0.0, right - left):.1f}" height="{_BAR}">'
                f"<title>{escape(what)}</title></rect>"
            )
            begin += part
        drawn.append(f'<text x="{across.at(begin) + 6}" y="{top + _BAR * 0.68:.1f}">{escape(said(begin))}</text>')
    height = _TOP + len(bars) * (_BAR + 8) + 6
    return _figure(title, "".join(drawn), height, _legend(parts) if len(parts) > 1 else "")


def _grid(across: _Scale, up: _Scale, x: Axis, y: Axis) -> str:
    bottom = HEIGHT - _BOTTOM
    lines = [
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{up.at(tick)}" y2="{up.at(tick)}"/>'
        f'<text class="y" x="{_LEFT - 8}" y="{up.at(tick) + 4}">{escape(y.said(tick))}</text>'
        for tick in up.ticks()
    ]
    lines += [
        f'<text class="x" x="{across.at(tick)}" y="{bottom + 18}">{escape(x.said(tick))}</text>'
        for tick in across.ticks()
    ]
    lines += [
        f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{bottom}" y2="{bottom}"/>',
        f'<text class="x title" x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 6}">{escape(x.title)}</text>',
        f'<text class="x title" transform="rotate(-90)" x="{-(_TOP + bottom) / 2}" y="14">{escape(y.title)}</text>',
    ]
    return "".join(lines)


def _path(points: Sequence[tuple[float, float]], across: _Scale, up: _Scale) -> str:
    return "M" + "L".join(f"{across.at(x)} {up.at(y)}" for x, y in points)


def _legend(names: Sequence[str]) -> str:
    items = (f'<li><i class="s{number % COLOURS}"></i>{escape(name)}</li>' for number, name in enumerate(names))
    return f'<ul class="legend">{"".join(items)}</ul>'


def _figure(title: str, inside: str, height: int, legend: str) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption>{legend}<svg viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title, quote=True)}">{inside}</svg></figure>'
    )


def _nothing(title: str) -> str:
    return f'<figure class="nothing"><figcaption>{escape(title)}</figcaption><p>not measured</p></figure>'


def _round_step(step: float) -> float:
    """The next number of 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * (1 - 1e-9))
