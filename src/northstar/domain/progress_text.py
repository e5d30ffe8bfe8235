"""Progress in the words in which people are shown it, everywhere the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from northstar.domain.progress import Progress

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


def describe(news: Progress) -> str:
    """One line: the phase, and what of it is known. Text from engines is given without characters that steer terminals.

    >>> from northstar.domain.progress import Progress
    >>> describe(Progress(phase="fetching", model="sdxl.safetensors", bytes_done=1_200_000_000, bytes_total=6_500_000_000))
    'fetching sdxl.safetensors 1.2 of 6.5 GB'
    >>> describe(Progress(phase="running", node=4, nodes=7, node_name="KSampler", step=12, steps=20))
    'running (node 4 of 7: KSampler, step 12 of 20)'
    >>> describe(Progress(phase="running", fraction=0.4, message="mixing"))
    'running 40 %: mixing'
    """
    words = [news.phase or "", news.model, bytes_text(news.bytes_done, news.bytes_total)]
    where = ", ".join(_where(news))
    if (
        not where
        and news.bytes_done is None
        and news.fraction is not None
        and news.phase in {None, "loading", "running"}
    ):
        words.append(f"{news.fraction:.0%}".replace("%", " %"))
    if where:
        words.append(f"({where})")
    return printable(": ".join(part for part in (" ".join(filter(None, words)), news.message) if part))


def _where(news: Progress) -> Iterator[str]:
    if news.node is not None:
        of = f" of {news.nodes}" if news.nodes is not None else ""
        yield f"node {news.node}{of}" + (f": {news.node_name}" if news.node_name else "")
    if news.step is not None:
        yield f"step {news.step}" + (f" of {news.steps}" if news.steps is not None else "")


def bytes_text(done: int | None, total: int | None = None) -> str:
    """So many of so many bytes, in the unit of the larger number; empty if nothing is known.

    >>> bytes_text(1_200_000_000, 6_500_000_000), bytes_text(700), bytes_text(None)
    ('1.2 of 6.5 GB', '700 bytes', '')
    """
    if done is None:
        return ""
    largest, unit = max(done, total or 0), 0
    while largest >= 1_000 ** (unit + 1) and unit < len(_UNITS) - 1:
        unit += 1
    shown = [f"{count / 1_000**unit:.{1 if unit else 0}f}" for count in (done, total) if count is not None]
    return f"{' of '.join(shown)} {_UNITS[unit]}"


def printable(text: str) -> str:
    r"""Text from a machine in one line, every control character replaced, so that it can steer no terminal.

    >>> printable("red\x1b[31m alert")
    'red�[31m alert'
    """
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "�" for letter in text)
