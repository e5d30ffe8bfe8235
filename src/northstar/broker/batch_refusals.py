"""Which job of a batch a refusal is about: all of it is refused for one, and whoever sent five hundred wants to know which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from northstar.domain.errors import InvalidRequest, Refused
from northstar.domain.refusals import QueueRefusal

if TYPE_CHECKING:
    from northstar.domain.jobs import JobRequest


@contextmanager
def about_job(requests: Sequence[JobRequest], place: int) -> Iterator[None]:
    """What is refused inside is about this job of the batch (from 0 on), and says so; of a single job nothing need be said."""
    try:
        yield
    except (InvalidRequest, Refused) as exc:
        _name(exc, requests, place)
        raise


def about_a_job_of(error: QueueRefusal, requests: Sequence[JobRequest], ids: Sequence[str]) -> QueueRefusal:
    """The queue's refusal of a batch, with the job that it is about, as far as its facts tell; the others were refused with that one."""
    if (place := _place(error.facts, requests, ids)) is not None:
        _name(error, requests, place)
    return error


def called(request: JobRequest, place: int) -> str:
    """What a person calls a job of a batch.

    >>> from northstar.domain.jobs import JobRequest
    >>> called(JobRequest(service="s", id="mine"), 1), called(JobRequest(service="s"), 0)
    ("job 2 ('mine')", 'job 1')
    """
    return f"job {place + 1} ({request.id!r})" if request.id else f"job {place + 1}"


def _name(error: InvalidRequest | Refused | QueueRefusal, requests: Sequence[JobRequest], place: int) -> None:
    if len(requests) > 1:
        error.args = (f"{called(requests[place], place)}: {error}",)


def _place(facts: dict[str, str], requests: Sequence[JobRequest], ids: Sequence[str]) -> int | None:
    """The first job that the facts may mean: by its key, its id, or a word that it asks for."""
    if key := facts.get("key"):
        return next((at for at, one in enumerate(requests) if one.idempotency_key == key), None)
    if (job := facts.get("job")) in ids:
        return ids.index(str(job))
    kind, _, word = facts.get("word", "").partition(":")
    return next((at for at, one in enumerate(requests) if word and word in _words(one, kind)), None)


def _words(request: JobRequest, kind: str) -> tuple[str, ...]:
    """The words of a kind that a request asks for; whatever else it asks for comes from the catalogue, and is nobody's spelling."""
    asked = request.requires
    match kind:
        case "service":
            return (request.service,)
        case "pool":
            return (request.pool or "",)
        case "tag":
            return tuple(asked.tags)
        case "model":
            return tuple(need.name for need in asked.models)
        case "pack" | "node_pack":
            return tuple(asked.node_packs)
        case _:
            return ()
