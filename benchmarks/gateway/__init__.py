"""What one `serve` carries: `python -m benchmarks gateway`.

So many machines are connected to one process, each with heartbeats and with models that it holds, fetches and drops
(`residency.py`), over loopback TCP to a Valkey of its own. Measured: how
long until all are connected and wait for work; how long from just before a submit to the moment at which an idle machine has the
job; what the process takes while the fleet idles; and how long after the process was killed and started again all machines
wait for work once more, though nobody told them. Machines, submitter and stopwatch share one process and its clock.
"""

from benchmarks.gateway.suite import run

__all__ = ["run"]
