"""From bytes that somebody sent to job requests, or a coded error that says where they are wrong."""

from __future__ import annotations

import codecs

import msgspec

from northstar.domain.errors import InvalidRequest
from northstar.domain.jobs import JobRequest

#: Jobs in one submission; as the function library bounds its batches.
MAX_BATCH = 500
#: Bytes of one submission; a job's body alone may have 64 KiB.
MAX_SUBMISSION_BYTES = 8_000_000


class MalformedBody(InvalidRequest):
    """What was sent is not JSON."""

    code = "NS_MALFORMED_BODY"

    def __init__(self, source: str, *, detail: str) -> None:
        super().__init__(f"{source} {detail}")
        self.source = source


class InvalidJob(InvalidRequest):
    """What was sent is JSON, but not a job."""

    code = "NS_INVALID_JOB"

    def __init__(self, source: str, *, detail: str) -> None:
        super().__init__(f"{source} does not describe a job: {detail}")
        self.source = source
        self.detail = detail


class SubmissionTooLarge(InvalidRequest):
    """Too many bytes at once."""

    code = "NS_SUBMISSION_TOO_LARGE"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(
            f"the body has {size_bytes} bytes, more than {MAX_SUBMISSION_BYTES}; split the batch, and send media as references"
        )
        self.size_bytes = size_bytes


class BatchTooLarge(InvalidRequest):
    """Too many jobs, or none, at once."""

    code = "NS_BATCH_TOO_LARGE"

    def __init__(self, count: int) -> None:
        found = f"this one has {count}" if count else "this one is empty"
        super().__init__(f"a batch holds 1 to {MAX_BATCH} jobs, {found}")
        self.count = count


class DuplicateId(InvalidRequest):
    """Two jobs of one batch carry the same id."""

    code = "NS_DUPLICATE_ID"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"two jobs of the batch have the id {job_id}; ids are unique, leave them out to get new ones")
        self.job_id = job_id


_decoder = msgspec.json.Decoder(JobRequest | list[JobRequest])


def read_requests(body: bytes, *, source: str = "the body") -> list[JobRequest]:
    """One job (an object) or a batch (an array), as JSON. `source` is what errors call it.

    Raises:
        SubmissionTooLarge, MalformedBody, InvalidJob, BatchTooLarge, DuplicateId
    """
    if len(body) > MAX_SUBMISSION_BYTES:
        raise SubmissionTooLarge(len(body))
    body = body.removeprefix(codecs.BOM_UTF8)  # editors on Windows put it before everything
    if not body.strip():
        raise MalformedBody(source, detail="is empty; a job is a JSON object, a batch an array of them")
    try:
        decoded = _decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise InvalidJob(source, detail=str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise MalformedBody(source, detail=f"is not valid JSON: {exc}") from exc
    requests: list[JobRequest] = decoded if isinstance(decoded, list) else [decoded]
    check_batch(requests)
    return requests


def check_batch(requests: list[JobRequest]) -> None:
    """What holds for a batch however it came. Raises BatchTooLarge, DuplicateId."""
    if not 1 <= len(requests) <= MAX_BATCH:
        raise BatchTooLarge(len(requests))
    seen: set[str] = set()
    for request in requests:
        if request.id is not None:
            if request.id in seen:
                raise DuplicateId(request.id)
            seen.add(request.id)
