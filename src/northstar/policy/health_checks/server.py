"""The server with the hot state: whether it keeps what it is given, and for how much longer it can."""

from __future__ import annotations

from typing import Final

import msgspec

from northstar.domain.amounts import length, size
from northstar.policy.health_checks.finding import Fact, Finding, Trouble, faulty, fine, met, skipped, warned

MIN_VERSION: Final = (7, 0)
#: Parts of the memory limit from which on somebody should look, and from which on work is about to be refused.
HIGH_MEMORY: Final = 0.8
TOO_HIGH_MEMORY: Final = 0.95
#: Differences of clocks that are worth a word, and that break what is dated: certificates, logs, ages of files.
SKEWED_MS: Final = 2_000
TOO_SKEWED_MS: Final = 60_000

CHECKS: Final = ("valkey_version", "valkey_eviction", "valkey_persistence", "valkey_memory", "valkey_library", "clock")


class ServerVitals(msgspec.Struct, frozen=True, kw_only=True):
    """What the server that holds the cell says of itself. Empty where it does not say."""

    address: str
    kind: str
    version: str
    eviction: str
    aof_enabled: bool
    #: `always`, `everysec`, `no`; empty where it may not be asked.
    fsync: str
    last_write_ok: bool
    used_bytes: int
    max_bytes: int
    #: Versions of the function library that are loaded, and what is wrong with ours; empty when nothing is.
    libraries: tuple[int, ...]
    library_problem: str
    #: The version of this build.
    library_wanted: int
    #: The server's clock less this host's, by the middle of the question, and how long that took, ms.
    skew_ms: int
    asked_ms: int
    #: The cell's clock less the server's, ms; None where there is no cell to ask.
    cell_ahead_ms: int | None = None


def judge_reach(vitals: ServerVitals | None, trouble: Trouble | None) -> Finding:
    """Check `valkey`: it answers, and will do. Neither vitals nor trouble: no server is known."""
    check = "valkey"
    if trouble is not None:
        return met(check, trouble, cure="northstar status")
    if vitals is None:
        return skipped(check, "no server is named, and no North Star runs on the data directory: northstar up")
    return fine(check, f"{vitals.kind} {vitals.version} answers at {vitals.address}", address=vitals.address)


def judge_version(vitals: ServerVitals) -> Finding:
    """Check `valkey_version`."""
    check, said = "valkey_version", f"{vitals.kind} {vitals.version}"
    numbers = tuple(int(part) for part in vitals.version.split(".")[:2] if part.isdecimal())
    if numbers < MIN_VERSION:
        return faulty(
            check,
            f"{said} is too old: it runs no functions; use Valkey, or Redis from 7.0 on",
            cure="northstar up",
            version=said,
        )
    return fine(check, said, version=vitals.version, kind=vitals.kind)


def judge_eviction(vitals: ServerVitals) -> Finding:
    """Check `valkey_eviction`."""
    check = "valkey_eviction"
    if vitals.eviction == "noeviction":
        return fine(check, "a full server refuses, and forgets nothing", policy=vitals.eviction)
    return faulty(
        check,
        f"maxmemory-policy is {vitals.eviction}: a full server would throw jobs away",
        cure=f"{_cli(vitals)} CONFIG SET maxmemory-policy noeviction",
        policy=vitals.eviction,
    )


def judge_persistence(vitals: ServerVitals) -> Finding:
    """Check `valkey_persistence`."""
    check, cli = "valkey_persistence", _cli(vitals)
    known: dict[str, Fact] = {"append_only": vitals.aof_enabled, "fsync": vitals.fsync}
    if not vitals.aof_enabled:
        return warned(
            check,
            "the server keeps no append-only file: when its process ends, everything since its last snapshot is gone",
            cure=f"{cli} CONFIG SET appendonly yes",
            **known,
        )
    if not vitals.last_write_ok:
        return faulty(
            check,
            "the last write to the append-only file failed, most often on a full disk; no work is taken until one succeeds",
            cure=f"{cli} INFO persistence",
            **known,
        )
    if vitals.fsync == "no":
        return warned(
            check,
            "the append-only file is synced when the system likes: a loss of power may cost half a minute of work",
            cure=f"{cli} CONFIG SET appendfsync everysec",
            **known,
        )
    return fine(check, f"append-only file, synced {vitals.fsync or 'as the server was set'}", **known)


def judge_memory(vitals: ServerVitals) -> Finding:
    """Check `valkey_memory`."""
    check = "valkey_memory"
    known = {"used_bytes": vitals.used_bytes, "max_bytes": vitals.max_bytes}
    if not vitals.max_bytes:
        return fine(check, f"{size(vitals.used_bytes)} used, without a limit", **known)
    part = vitals.used_bytes / vitals.max_bytes
    words = f"{size(vitals.used_bytes)} of {size(vitals.max_bytes)} used"
    if part < HIGH_MEMORY:
        return fine(check, words, **known)
    found = faulty if part >= TOO_HIGH_MEMORY else warned
    return found(
        check,
        f"{words}; at the limit submissions are refused",
        cure=f"{_cli(vitals)} CONFIG SET maxmemory {2 * vitals.max_bytes}",
        **known,
    )


def judge_library(vitals: ServerVitals) -> Finding:
    """Check `valkey_library`."""
    check = "valkey_library"
    known: dict[str, Fact] = {"loaded": ", ".join(map(str, vitals.libraries)), "wanted": vitals.library_wanted}
    if vitals.library_problem:
        return faulty(check, vitals.library_problem, cure="northstar version", **known)
    if vitals.library_wanted not in vitals.libraries:
        return skipped(check, "the function library is not loaded yet; the first broker that starts does that", **known)
    older = [version for version in vitals.libraries if version != vitals.library_wanted]
    beside = f", beside {', '.join(map(str, older))}" if older else ""
    return fine(check, f"version {vitals.library_wanted} is loaded{beside}", **known)


def judge_clock(vitals: ServerVitals) -> Finding:
    """Check `clock`: this host's against the server's, and the cell's against the server's."""
    check = "clock"
    known = {"skew_s": vitals.skew_ms / 1000, "cell_ahead_s": (vitals.cell_ahead_ms or 0) / 1000}
    ahead = vitals.cell_ahead_ms or 0
    if ahead > SKEWED_MS:
        found = faulty if ahead > TOO_SKEWED_MS else warned
        return found(
            check,
            f"the clock of the server's host was set back: the cell's time stands still for {length(ahead)} more, and lost machines are "
            "noticed only then; let that clock be slewed, not stepped",
            cure="timedatectl status",
            **known,
        )
    apart = max(0, abs(vitals.skew_ms) - vitals.asked_ms // 2)
    if apart > SKEWED_MS:
        found = faulty if apart > TOO_SKEWED_MS else warned
        which = "ahead of" if vitals.skew_ms > 0 else "behind"
        return found(
            check,
            f"the server's clock is {length(abs(vitals.skew_ms))} {which} this host's",
            cure="sudo timedatectl set-ntp true",
            **known,
        )
    return fine(check, "this host, the server and the cell agree about the time", **known)


def judge_server(vitals: ServerVitals) -> list[Finding]:
    """Everything that follows from what the server says of itself."""
    return [
        judge_version(vitals),
        judge_eviction(vitals),
        judge_persistence(vitals),
        judge_memory(vitals),
        judge_library(vitals),
        judge_clock(vitals),
    ]


def _cli(vitals: ServerVitals) -> str:
    """The command line of the server, for its address."""
    if vitals.address.startswith("/"):
        return f"{vitals.kind}-cli -s {vitals.address}"
    host, _, port = vitals.address.rpartition(":")
    return f"{vitals.kind}-cli -h {host.strip('[]')} -p {port}" if host else f"{vitals.kind}-cli"
