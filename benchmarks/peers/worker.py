"""A worker process: `python -m benchmarks.peers.worker ADAPTER URL CONCURRENCY`, until SIGTERM."""

from __future__ import annotations

import sys

from benchmarks.peers.adapter import load

if __name__ == "__main__":
    name, url, concurrency = sys.argv[1:]
    load(name, url).start_worker(int(concurrency))
