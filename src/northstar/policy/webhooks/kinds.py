"""Which events a webhook wants."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Every event of a job, as the function library names them.
JOB_KINDS: Final = frozenset(
    f"job.{word}"
    for word in (
        "submitted", "offered", "started", "returned", "retrying", "retried", "rerouted", "reprioritised", "succeeded",
        "failed", "canceled", "expired", "replayed", "leaving", "moved", "arrived",
    )
)  # fmt: skip
#: Words for several kinds.
PRESETS: Final = {
    "start": ("job.started",),
    "completed": ("job.succeeded", "job.failed", "job.canceled", "job.expired"),
    "all": ("job",),
}
#: What events are about. All but jobs are the operators' business.
FAMILIES: Final = frozenset({"job", "machine", "fetch", "order", "cell", "document"})


def check_kinds(kinds: Iterable[str]) -> None:
    """Raises ValueError: one of them never comes."""
    for kind in kinds:
        if kind in PRESETS or kind in JOB_KINDS or kind in FAMILIES:
            continue
        family, _, word = kind.partition(".")
        if family == "job" or family not in FAMILIES or not word:
            words = [*PRESETS, *sorted(FAMILIES), *sorted(JOB_KINDS)]
            alike = difflib.get_close_matches(kind, words, n=1)
            raise ValueError(f"there are no events {kind!r}" + (f"; is {alike[0]!r} meant?" if alike else ""))


def are_of_jobs(kinds: Iterable[str]) -> bool:
    """Whether only events of jobs are wanted."""
    return all(kind in PRESETS or kind.partition(".")[0] == "job" for kind in kinds)


def wants(kinds: Iterable[str], kind: str) -> bool:
    """Whether an event of this kind is among them.

    >>> wants(["completed"], "job.failed"), wants(["job"], "job.started"), wants(["job.f"], "job.failed")
    (True, True, False)
    """
    return any(kind == one or kind.startswith(f"{one}.") for wanted in kinds for one in PRESETS.get(wanted, (wanted,)))


def reaches(webhook_tenant: str | None, tenant: str | None, *, is_of_job: bool) -> bool:
    """Whether an event of a job of this tenant (None: nobody knows whose) may go to a webhook of that one (None: of all)."""
    return webhook_tenant is None or (is_of_job and tenant is not None and tenant == webhook_tenant)
