"""Why a figure has no value where no agreed scenario feeds it: what would measure it, or that nothing can yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.evaluation.all_targets import FIGURES

if TYPE_CHECKING:
    from collections.abc import Collection

_NO_FORECAST: Final = "nothing foresees demand yet"
_NO_PREWARMING: Final = "no model is brought to a machine by a forecast yet"
_NO_CHAINS: Final = "nothing foresees a user's next model yet"
#: A benchmark's name in `python -m benchmarks NAME --json FILE`.
_BENCHMARK: Final = "`python -m benchmarks {}` measures it: name the folder of its JSON with --benchmarks"
_WHY: Final[dict[str, str]] = {
    "uptime": "nothing kills every process of an installation once an hour and counts its seconds yet",
    "concurrent-workflows": "nothing holds so many workflows with every guarantee on yet",
    "machines-connected": _BENCHMARK.format("gateway"),
    "dispatch-p99": _BENCHMARK.format("gateway"),
    "hour-finished": _BENCHMARK.format("soak --hour"),
    "hour-lost": _BENCHMARK.format("soak --hour"),
    "queue-ratio": _BENCHMARK.format("peers"),
    "claim-growth": _BENCHMARK.format("claim"),
    "forecasts": _NO_FORECAST,
    "inferences": "no benchmark counts inferences through a whole broker on simulated engines yet",
    "prewarmed-used": _NO_PREWARMING,
    "prewarm-cold-cut": _NO_PREWARMING,
    "prewarm-extra": _NO_PREWARMING,
    **dict.fromkeys(
        (
            "demand-total",
            "demand-mix",
            "demand-model",
            "demand-top20",
            "wanted-24h",
            "wanted-1h",
            "coverage-model-day",
            "coverage-total-hour",
        ),
        _NO_FORECAST,
    ),
    **dict.fromkeys(("chain-top1", "chain-top3", "switch-top1", "switch-top3"), _NO_CHAINS),
}


def why_unfed(known: Collection[str], *, set_name: str) -> dict[str, str]:
    """Of all figures but those that are `known`: why they have no value after this set."""
    return {
        figure: _WHY.get(figure, f"no scenario of the set {set_name} that was run feeds it")
        for figure in FIGURES
        if figure not in known
    }
