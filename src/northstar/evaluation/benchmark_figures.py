"""Figures that benchmarks measured: `python -m benchmarks NAME --json FILE` writes them, and an evaluation takes them from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from northstar.evaluation.all_targets import figure_of
from northstar.evaluation.errors import ResultsUnreadable
from northstar.evaluation.results import Measured, read_kept

if TYPE_CHECKING:
    from pathlib import Path

#: What a benchmark says of targets: figure -> its values, one for each round.
_KEY = "targets"


def benchmark_figures(folder: Path) -> dict[str, Measured]:
    """The figures of all `*.json` in a folder; a benchmark that speaks of no target says nothing.

    Raises:
        ResultsUnreadable: there is no such folder, nothing in it, or a file that is none of theirs; or two files tell of one figure.
        UnknownFigure: a file tells of a figure that no target has.
    """
    if not folder.is_dir():
        raise ResultsUnreadable(str(folder), "is no folder; --benchmarks takes the one where their JSON lies")
    files = sorted(folder.glob("*.json"))
    if not files:
        raise ResultsUnreadable(str(folder), "has no *.json; `python -m benchmarks NAME --json FILE` writes one")
    found: dict[str, Measured] = {}
    for file in files:
        for benchmark, figures in read_kept(file, dict[str, dict[str, Any]]).items():
            for figure, measured in _told(file, benchmark, figures.get(_KEY, {})).items():
                if figure in found:
                    raise ResultsUnreadable(str(file), f"tells of {figure}, of which another file tells too")
                found[figure] = measured
    return found


def _told(file: Path, benchmark: str, told: Any) -> dict[str, Measured]:
    try:
        values = msgspec.convert(told, dict[str, tuple[float, ...]])
    except msgspec.ValidationError as error:
        raise ResultsUnreadable(str(file), f"{benchmark}.{_KEY}: {error}") from error
    return {
        figure_of(figure).id: Measured(values=some, note=f"by benchmarks {benchmark}, each round a value")
        for figure, some in values.items()
        if some
    }
