"""What a benchmark is: a module of this package with `run(options: Options) -> Outcome`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asked for."""

    rounds: int
    #: Fewer jobs and shorter waits: to see that everything runs. Its figures are not for quoting.
    quick: bool = False
    #: Names of the peers to measure; empty means all of them.
    peers: tuple[str, ...] = ()
    #: Of a soak: how many jobs, and over how many seconds they come in; None leaves it to the soak.
    jobs: int | None = None
    over_s: float | None = None
    #: Folder of real traces and workflows, for what is measured on them; None: there are none here.
    traces: Path | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a benchmark found: text for people, figures for programs, and what went wrong by name."""

    text: str
    #: At `targets` what it says of targets (`northstar.evaluation.all_targets`): figure -> its values, one for each round.
    figures: dict[str, Any]
    failures: tuple[str, ...] = ()


class Benchmark(Protocol):
    """A module that can be run by name."""

    def run(self, options: Options) -> Outcome: ...
