"""What a check found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

#: ok: nothing to do. warning: it works, and will not for ever, or not as one would think. fault: something does not work.
#: skipped: it could not be judged, or there is nothing to judge.
Verdict: TypeAlias = Literal["ok", "warning", "fault", "skipped"]
Fact: TypeAlias = str | int | float | bool | None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one check. Its name never changes; `what` is for people and may."""

    check: str
    verdict: Verdict
    what: str
    #: What mends it: a command to paste where there is one.
    cure: str = ""
    facts: dict[str, Fact] = {}


class Trouble(msgspec.Struct, frozen=True):
    """An error that was met: its code, and its sentence, which says what to do."""

    code: str
    sentence: str


def fine(check: str, what: str, **facts: Fact) -> Finding:
    """All is well."""
    return Finding(check=check, verdict="ok", what=what, facts=facts)


def warned(check: str, what: str, *, cure: str, **facts: Fact) -> Finding:
    """It works, but something should be done."""
    return Finding(check=check, verdict="warning", what=what, cure=cure, facts=facts)


def faulty(check: str, what: str, *, cure: str, **facts: Fact) -> Finding:
    """It does not work until something is done."""
    return Finding(check=check, verdict="fault", what=what, cure=cure, facts=facts)


def skipped(check: str, why: str, **facts: Fact) -> Finding:
    """It was not judged, and why."""
    return Finding(check=check, verdict="skipped", what=why, facts=facts)


def met(check: str, trouble: Trouble, *, cure: str) -> Finding:
    """The check ran into an error, which is what is wrong."""
    return faulty(check, f"{trouble.sentence} ({trouble.code})", cure=cure, code=trouble.code)


def has_fault(findings: Iterable[Finding]) -> bool:
    """Whether something does not work."""
    return any(finding.verdict == "fault" for finding in findings)
