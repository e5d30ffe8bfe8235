"""A machine of this host: the engines that it is to offer, and its membership in a cell."""

from __future__ import annotations

import shlex
from typing import Literal

import msgspec

from northstar.policy.health_checks.finding import Finding, Trouble, faulty, fine, met, skipped


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An engine that a machine of these settings offers. `started`: the machine starts it itself, so it need not run now."""

    service: str
    kind: Literal["command", "http", "simulated", "started"]
    #: The address, or the program.
    where: str
    #: A program that was not found.
    is_missing: bool = False
    trouble: Trouble | None = None
    #: What it says it is.
    said: str = ""


class MembershipFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine of this host is to the broker that it dials."""

    machine: str
    broker: str
    #: Where its token should be.
    token_file: str
    has_token: bool
    #: Whether the broker's cell knows it by that token; None: it was not asked, or gave no answer.
    is_known: bool | None = None
    trouble: Trouble | None = None
    #: The broker said no, and will say it again.
    is_refused: bool = False


def judge_engine(facts: EngineFacts) -> Finding:
    """Check `engine:SERVICE`."""
    check = f"engine:{facts.service}"
    if facts.kind in {"simulated", "started"}:
        return skipped(check, "it needs no engine" if facts.kind == "simulated" else "the machine starts it itself")
    if facts.is_missing:
        return faulty(
            check,
            f"there is no program {facts.where}: install it, or mend [services.{facts.service}].arguments",
            cure=f"command -v {shlex.quote(facts.where)}",
            where=facts.where,
        )
    if facts.trouble is not None:
        where = shlex.quote(facts.where)
        return met(check, facts.trouble, cure=f"curl -sS {where}" if facts.kind == "http" else f"command -v {where}")
    if facts.kind == "command":
        return fine(check, f"its program is there: {facts.where}", where=facts.where)
    return fine(check, f"{facts.said or 'it'} answers at {facts.where}", where=facts.where)


def judge_membership(facts: MembershipFacts) -> Finding:
    """Check `token:MACHINE`: it has one, and the broker takes it."""
    check, join = (
        f"token:{facts.machine}",
        f"northstar agent {facts.machine} --join {facts.broker or 'URL'} --token INVITE",
    )
    known = {"broker": facts.broker, "token_file": facts.token_file}
    if not facts.has_token:
        return faulty(
            check,
            f"machine {facts.machine} has no token at {facts.token_file}: join anew, by an invite of `northstar machines invite`",
            cure=join,
            **known,
        )
    if not facts.broker:
        return skipped(check, "it has a token, and no broker is set that could be asked", **known)
    if facts.is_known is False:
        return faulty(
            check,
            f"{facts.broker} does not know machine {facts.machine} by its token: it was restored from before it joined, expired, or is "
            "another cell's; join anew by an invite",
            cure=join,
            **known,
        )
    if facts.trouble is not None:
        return met(check, facts.trouble, cure=join if facts.is_refused else f"curl -sS {facts.broker}/health/live")
    return fine(check, f"{facts.broker} knows machine {facts.machine}", **known)
