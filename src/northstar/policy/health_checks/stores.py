"""What is kept beside the server: the history, and the files of finished jobs."""

from __future__ import annotations

import msgspec

from northstar.domain.amounts import length
from northstar.policy.health_checks.finding import Finding, Trouble, faulty, fine, met, skipped, warned


class HistoryFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the history: what it says itself, and what the cell says of it."""

    place: str
    #: It could not be read, and why.
    trouble: Trouble | None = None
    #: It is a file, and there is none.
    is_missing: bool = False
    #: The revision of its tables, that of this build, and whether this build knows the first.
    revision: str = ""
    newest: str = ""
    is_known: bool = True
    #: What it is known by, and what the cell says that its history is known by; the latter is empty where no cell was asked.
    id: str = ""
    id_of_cell: str = ""
    place_of_cell: str = ""
    #: It takes nothing: for how long, ms, and why, as the cell knows it.
    is_stuck: bool = False
    waiting_ms: int = 0
    code: str = ""
    sentence: str = ""


def judge_history(facts: HistoryFacts) -> Finding:
    """Check `history`."""
    check, known = "history", {"place": facts.place, "revision": facts.revision, "newest": facts.newest}
    if facts.trouble is not None:
        return met(check, facts.trouble, cure="northstar status")
    if facts.id_of_cell and (facts.is_missing or facts.id != facts.id_of_cell):
        return faulty(
            check,
            f"{facts.place} is not the history of this cell, which is at {facts.place_of_cell}: set history.url to that; or, with all brokers "
            "stopped, let one start with --take-history",
            cure="northstar status",
            **known,
        )
    if facts.is_missing or not facts.revision:
        return skipped(
            check, f"there is no history at {facts.place} yet; the first broker that starts makes it", **known
        )
    if not facts.is_known:
        return faulty(
            check,
            f"the history at {facts.place} was written by a later version (revision {facts.revision}; this one knows up to {facts.newest})",
            cure="pip install --upgrade northstar-broker",
            **known,
        )
    if facts.is_stuck:
        why = f"{facts.sentence} ({facts.code})" if facts.code else "no broker writes it"
        return faulty(
            check,
            f"the history has taken nothing for {length(facts.waiting_ms)}: {why}",
            cure="northstar status" if facts.code else "northstar serve",
            waiting_ms=facts.waiting_ms,
            **known,
        )
    if facts.revision != facts.newest:
        return warned(
            check,
            f"the tables of the history are of revision {facts.revision}; the next broker that starts brings them to {facts.newest}",
            cure="northstar backup .",
            **known,
        )
    return fine(check, f"{facts.place} can be read, revision {facts.revision}", **known)


def judge_assets(place: str, *, trouble: Trouble | None, is_missing: bool) -> Finding:
    """Check `assets`: the place for outputs takes a file and gives it back."""
    check = "assets"
    if trouble is not None:
        return met(check, trouble, cure=_cure_of_assets(place))
    if is_missing:
        return skipped(check, f"{place} is not there yet; the first broker that starts makes it", place=place)
    return fine(check, f"{place} takes files and gives them back", place=place)


def _cure_of_assets(place: str) -> str:
    if place.startswith("s3"):
        return f"aws s3 ls {place}"
    return f"df -h {place.removeprefix('file://')}"
