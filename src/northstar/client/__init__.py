"""The SDK: submit jobs to a North Star server, follow them, and get what they leave; for programs with and without asyncio.

>>> from northstar.client import Client
>>> with Client("https://north.example", key="nsk_…") as north:  # doctest: +SKIP
...     job = north.submit("llama", {"prompt": "Once upon a time"})
...     for event in job.events():
...         print(event.kind)
...     print(job.result().result)
"""

from northstar.client.async_client import AsyncClient, AsyncJob, FileDamaged, JobMalformed
from northstar.client.errors import (
    AnswerUnreadable,
    ClientNotConfigured,
    JobFailed,
    KeyRefused,
    NotFound,
    Problem,
    RequestInvalid,
    RequestRefused,
    ServerProblem,
    ServerUnavailable,
    WaitTooLong,
)
from northstar.client.job_events import JobEvent
from northstar.client.patience import Patience
from northstar.client.sync_client import Client, Job
from northstar.domain.job_resources import JobFile, JobFilter, JobResource, JobResult
from northstar.domain.jobs import JobRequest, JobStatus, RetryRule

__all__ = [
    "AnswerUnreadable",
    "AsyncClient",
    "AsyncJob",
    "Client",
    "ClientNotConfigured",
    "FileDamaged",
    "Job",
    "JobEvent",
    "JobFailed",
    "JobFile",
    "JobFilter",
    "JobMalformed",
    "JobRequest",
    "JobResource",
    "JobResult",
    "JobStatus",
    "KeyRefused",
    "NotFound",
    "Patience",
    "Problem",
    "RequestInvalid",
    "RequestRefused",
    "RetryRule",
    "ServerProblem",
    "ServerUnavailable",
    "WaitTooLong",
]
