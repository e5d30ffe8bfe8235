"""What is said no to when jobs are submitted."""

from __future__ import annotations

from northstar.domain.errors import InvalidRequest, Refused, Unavailable
from northstar.domain.refusals.root import QueueRefusal


class JobExists(QueueRefusal, Refused):
    """Another job has this id."""

    code = "NS_JOB_EXISTS"
    sentence = "job {job} exists already with another body; leave the id out to get a new one"


class IdempotencyKeyReused(QueueRefusal, Refused):
    """The key was used for another body."""

    code = "NS_IDEMPOTENCY_REUSED"
    sentence = (
        "idempotency key {key} belongs to job {job}, which was submitted with another body; use a new key for new work"
    )


class BodyTooLarge(QueueRefusal, InvalidRequest):
    """A job's body does not fit in the queue."""

    code = "NS_BODY_TOO_LARGE"
    sentence = "the body of job {job} has {bytes:bytes}, more than the {limit:bytes} allowed; store media elsewhere and send a reference"


class UnknownWord(QueueRefusal, InvalidRequest):
    """The job asks for a tag, model or service that nobody declared."""

    code = "NS_UNKNOWN_WORD"
    sentence = "no machine here has offered {word} yet{known}; start the machine that offers it, or check the spelling"

    def __init__(self, facts: dict[str, str] | None = None) -> None:
        super().__init__({"known": ""} | (facts or {}))


class TenantFull(QueueRefusal, Refused):
    """The tenant has as many unfinished jobs as it may."""

    code = "NS_TENANT_FULL"
    retryable = True
    sentence = "tenant {tenant} has {limit:unfinished job}, as many as it may; come back in {retry_after_ms:ms}"


class CellFull(QueueRefusal, Unavailable):
    """The cell has as many unfinished jobs as it may."""

    code = "NS_CELL_FULL"
    sentence = "the cell has {limit:unfinished job}, as many as it may; come back in {retry_after_ms:ms}"


class EventsBacklog(QueueRefusal, Unavailable):
    """The history writer is too far behind; nothing is dropped, so nothing more is accepted."""

    code = "NS_EVENTS_BACKLOG"
    sentence = "{limit:event} wait for the history writer; see whether it runs (northstar status), and come back in {retry_after_ms:ms}"


class TooManyLanes(QueueRefusal, Refused):
    """Too many different combinations of needs."""

    code = "NS_TOO_MANY_LANES"
    sentence = "the cell has {limit:lane}, as many as it may; jobs should share models and tags"


class TooManyClasses(QueueRefusal, Refused):
    """Too many different requirement classes."""

    code = "NS_TOO_MANY_CLASSES"
    sentence = "the cell has {limit:different combination} of needs, as many as it may; jobs should share tags, packs and VRAM classes"
