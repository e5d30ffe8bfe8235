"""What one claim costs, over the size and the difficulty of the queue: `python -m benchmarks claim`."""

from __future__ import annotations

from benchmarks.claim.suite import measure_claims
from benchmarks.contract import Options, Outcome

__all__ = ["run"]


def run(options: Options) -> Outcome:
    """Measure single claims, and batches of completing and claiming, in every shape of queue that fits into memory."""
    return measure_claims(options)
