"""North Star beside the job queues that a user could pick today, all on one Valkey, rounds interleaved."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.contract import Options, Outcome


def run(options: Options) -> Outcome:
    """Measure every peer that this machine can run; see `benchmarks.peers.suite`."""
    # Inside, because peers' own environments import this package and have none of the project's libraries.
    from benchmarks.peers.suite import measure_peers

    return measure_peers(options)
