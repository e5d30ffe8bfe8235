"""Run the named benchmarks one after the other, and print what they found.

Exit status: 0 all measured, 1 something failed or is not there (named at the end), 2 an option made no sense.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from benchmarks.contract import Benchmark, Options, Outcome

#: In the order in which they run when no name is given.
NAMES = ("claim", "peers", "memory", "plan", "routing", "durations", "gateway", "http", "templates", "soak")
#: Environment variable that names the folder of real traces.
TRACES = "NORTHSTAR_TRACES"
#: Fewest rounds whose medians may be quoted.
QUOTABLE_ROUNDS = 5
QUICK_ROUNDS = 3
#: Jobs and seconds of the soak at the rate that the specification asks for.
_HOUR = (10_000, 3_600.0)


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    options = Options(
        rounds=chosen.rounds or (QUICK_ROUNDS if chosen.quick else QUOTABLE_ROUNDS),
        quick=chosen.quick,
        peers=tuple(chosen.peer),
        jobs=_HOUR[0] if chosen.hour else chosen.jobs,
        over_s=_HOUR[1] if chosen.hour else chosen.over_s,
        traces=chosen.traces,
    )
    outcomes = {name: _measure(name, options) for name in chosen.names or _present()}
    if chosen.json is not None:
        figures = {name: _quotable(outcome, quick=chosen.quick) for name, outcome in outcomes.items()}
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    failures = [f"{name}: {failure}" for name, outcome in outcomes.items() for failure in outcome.failures]
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


def _quotable(outcome: Outcome, *, quick: bool) -> dict[str, Any]:
    """The figures; of a quick run without what `northstar evaluate --benchmarks` would judge."""
    return {name: value for name, value in outcome.figures.items() if not (quick and name == "targets")}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}; all when none is named")
    parser.add_argument("--rounds", type=_rounds, help=f"default {QUOTABLE_ROUNDS}, or {QUICK_ROUNDS} with --quick")
    parser.add_argument("--quick", action="store_true", help="fewer jobs: shows that it runs, proves nothing")
    parser.add_argument("--peer", action="append", default=[], metavar="PEER", help="only this peer; may be repeated")
    parser.add_argument("--jobs", type=_count, metavar="N", help="soak: so many jobs")
    parser.add_argument(
        "--over-s", type=_seconds, metavar="S", help="soak: jobs come in over so many seconds, not at once"
    )
    parser.add_argument("--hour", action="store_true", help="soak: 10,000 jobs over one hour")
    parser.add_argument(
        "--traces",
        type=Path,
        metavar="DIR",
        default=os.environ.get(TRACES),
        help=f"real traces; else {TRACES} names them",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure here")
    return parser


def _rounds(text: str) -> int:
    rounds = int(text)
    if not 1 <= rounds <= 50:
        raise argparse.ArgumentTypeError(f"{rounds} rounds: choose between 1 and 50")
    return rounds


def _count(text: str) -> int:
    count = int(text)
    if not 10 <= count <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{count} jobs: choose between 10 and 1,000,000")
    return count


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{seconds:g} seconds: choose between 0 and 86,400")
    return seconds


def _present() -> tuple[str, ...]:
    return tuple(name for name in NAMES if importlib.util.find_spec(f"benchmarks.{name}") is not None)


def _measure(name: str, options: Options) -> Outcome:
    if name not in NAMES:
        return _failed(f"no benchmark has this name; there are {', '.join(_present())}")
    if name not in _present():
        return _failed(f"this tree has no benchmarks/{name}; there are {', '.join(_present())}")
    benchmark = cast("Benchmark", importlib.import_module(f"benchmarks.{name}"))
    outcome = benchmark.run(options)
    print(f"\n# {name}\n\n{outcome.text}")
    return outcome


def _failed(sentence: str) -> Outcome:
    return Outcome(text="", figures={}, failures=(sentence,))


if __name__ == "__main__":
    sys.exit(main())
