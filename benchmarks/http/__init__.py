"""What a call by HTTP costs: `python -m benchmarks http`.

One `serve` over a Valkey of its own is asked to take jobs in and to tell of one, by one connection (latency) and by many (throughput),
beside the same framework and server doing nothing: routes that read the body, or the path, and answer with as many bytes. The client is
the same few lines for both, so the ratio tells what North Star adds, and the bare figures tell what nobody could beat here.
"""

from benchmarks.http.suite import run

__all__ = ["run"]
