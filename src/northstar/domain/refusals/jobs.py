"""What is said no to about a job that the cell has, had, or never had."""

from __future__ import annotations

from northstar.domain.errors import InvalidRequest, Refused
from northstar.domain.refusals.root import QueueRefusal


class NoSuchJob(QueueRefusal, Refused):
    """The job is unknown here: never submitted, purged after its retention, or moved away."""

    code = "NS_NO_SUCH_JOB"
    sentence = "no such job in this cell: it was never submitted, its retention is over, or it moved to another cell"

    def __init__(self, facts: dict[str, str] | None = None) -> None:
        if facts and "job" in facts:
            self.sentence = type(self).sentence.replace("no such job", "no job {job}", 1)  # type: ignore[misc]
        super().__init__(facts)


class LeaseLost(QueueRefusal, Refused):
    """The job went on without this holder; its result is dropped."""

    code = "NS_LEASE_LOST"
    sentence = "the lease on this job is over; somebody else holds it or will; drop the result"


class ResultTooLarge(QueueRefusal, InvalidRequest):
    """A result does not fit in the queue."""

    code = "NS_RESULT_TOO_LARGE"
    sentence = "the result has more bytes than a cell takes (limits.max_body_bytes); store outputs as files and send their addresses"


class JobCanceled(QueueRefusal, Refused):
    """The job was cancelled; nothing revives it."""

    code = "NS_JOB_CANCELED"
    sentence = "the job was canceled; drop the result"


class JobFinished(QueueRefusal, Refused):
    """The job has its last state already."""

    code = "NS_JOB_FINISHED"
    sentence = "the job is finished already and cannot be changed"


class JobStarted(QueueRefusal, Refused):
    """Only waiting jobs can be changed so."""

    code = "NS_JOB_STARTED"
    sentence = "the job has started; only waiting jobs can be reprioritised or moved"


class LaneChanged(QueueRefusal, Refused):
    """Somebody has moved the job since it was looked at."""

    code = "NS_LANE_CHANGED"
    sentence = "the job waits in another lane by now than the one it was seen in; look at it again"


class NotDead(QueueRefusal, Refused):
    """Only dead letters are replayed."""

    code = "NS_NOT_DEAD"
    sentence = "the job did not fail for good, so there is nothing to replay"


class TransferRefused(QueueRefusal, Refused):
    """The other cell has refused this transfer before; it can only be tried again as a new one."""

    code = "NS_TRANSFER_REFUSED"
    sentence = "the other cell has refused this transfer before; move the job again to try anew"


class JobInTransfer(QueueRefusal, Refused):
    """The job is on its way to another cell."""

    code = "NS_JOB_IN_TRANSFER"
    retryable = True
    sentence = "the job is on its way to another cell; ask again when it has arrived"


class JobUnreadable(QueueRefusal, Refused):
    """A later version wrote the job, and this one cannot read what is needed of it. It goes on wherever that version runs."""

    code = "NS_JOB_UNREADABLE"
    sentence = (
        "of job {job} this version of North Star cannot read {what}, which a later one wrote; install that one here too"
    )


class NotInTransfer(QueueRefusal, Refused):
    """No such transfer is open."""

    code = "NS_NOT_IN_TRANSFER"
    sentence = "the job is not on its way under this transfer id"
