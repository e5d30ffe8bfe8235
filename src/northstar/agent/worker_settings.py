"""How a worker behaves."""

from __future__ import annotations

import msgspec


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker behaves. Durations in seconds."""

    slots: int = 1
    #: Renew leases so often; a third of the lease, so that two renewals may be lost.
    renew_every_s: float = 10.0
    #: While slots are free, look for work so often even if no bell rang: with the call itself, what a lost bell can cost
    #: stays below a second.
    reclaim_every_s: float = 0.8
    #: On stop, let running jobs finish for so long before they are handed back.
    drain_s: float = 30.0
    #: Then give their engines so long to stop before the jobs are handed back.
    cancel_s: float = 5.0
    #: Pause after a call that the broker could not answer.
    retry_s: float = 0.2
    #: Results and claims per call.
    batch: int = 500
    #: Lines about single jobs in a second; 0: none.
    job_lines_per_s: int = 0
