"""From bytes that somebody sent to job requests, or a coded error that says where they are wrong."""

from __future__ import annotations

import codecs
import re
from typing import Any, Final

import msgspec

from northstar.broker.secret_addresses import expect_no_secret
from northstar.domain.amounts import exactly
from northstar.domain.errors import InvalidRequest
from northstar.domain.jobs import JobRequest
from northstar.domain.misfits import misfit_told

#: Jobs in one submission; as the function library bounds its batches.
MAX_BATCH = 500
#: Bytes of one submission; a job's body alone may have 64 KiB.
MAX_SUBMISSION_BYTES = 8_000_000

#: Where in a batch the library saw something wrong: the place of the job.
_OF_BATCH: Final = re.compile(r"`\$\[([0-9]+)\]")


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
            f"the body has {exactly(size_bytes)}, more than {exactly(MAX_SUBMISSION_BYTES)}; split the batch, and send media as references"
        )
        self.size_bytes = size_bytes


class BatchTooLarge(InvalidRequest):
    """Too many jobs, or none, at once."""

    code = "NS_BATCH_TOO_LARGE"

    def __init__(self, count: int, *, at_most: int = MAX_BATCH) -> None:
        found = f"this one has {count}" if count else "this one is empty"
        holds = f"a batch holds 1 to {at_most} jobs" if at_most > 1 else "this takes one job, and /v1/jobs/batch many"
        super().__init__(f"{holds}, {found}")
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
        SubmissionTooLarge, MalformedBody, InvalidJob, BatchTooLarge, DuplicateId, SecretInAddress
    """
    if len(body) > MAX_SUBMISSION_BYTES:
        raise SubmissionTooLarge(len(body))
    body = body.removeprefix(codecs.BOM_UTF8)  # editors on Windows put it before everything
    if not body.strip():
        raise MalformedBody(source, detail="is empty; a job is a JSON object, a batch an array of them")
    try:
        decoded = _decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise InvalidJob(source, detail=_told(exc, body)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise MalformedBody(source, detail=f"is not valid JSON: {exc}") from exc
    requests: list[JobRequest] = decoded if isinstance(decoded, list) else [decoded]
    check_batch(requests)
    return requests


class _Named(msgspec.Struct, frozen=True):
    id: Any = None


def _told(exc: msgspec.ValidationError, body: bytes) -> str:
    """Which job of a batch is meant, which field of it, and what to write there.

    >>> batch = b'[{"service": "a"}, {"id": "j", "service": "a", "prioritty": 1}]'
    >>> try:
    ...     _ = _decoder.decode(batch)
    ... except msgspec.ValidationError as exc:
    ...     _told(exc, batch)
    "job 2 ('j'): `prioritty` is no field; did you mean `priority`?"
    """
    text = str(exc)
    said = misfit_told(msgspec.ValidationError(_OF_BATCH.sub("`$", text)), JobRequest)
    of_batch = _OF_BATCH.search(text)
    return said if of_batch is None else f"{_called(body, int(of_batch[1]))}: {said}"


def _called(body: bytes, at: int) -> str:
    """What a person calls a job of a batch: its number, and its id if it has one."""
    try:
        job = msgspec.json.decode(body, type=list[_Named])[at]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, IndexError):
        return f"job {at + 1}"
    return f"job {at + 1} ({job.id[:64]!r})" if isinstance(job.id, str) else f"job {at + 1}"


def check_batch(requests: list[JobRequest]) -> None:
    """What holds for a batch however it came. Raises BatchTooLarge, DuplicateId, SecretInAddress."""
    if not 1 <= len(requests) <= MAX_BATCH:
        raise BatchTooLarge(len(requests))
    seen: set[str] = set()
    for request in requests:
        if request.id is not None:
            if request.id in seen:
                raise DuplicateId(request.id)
            seen.add(request.id)
        for need in request.requires.models:
            expect_no_secret(need.sources, whose=f"model {need.name!r}")
