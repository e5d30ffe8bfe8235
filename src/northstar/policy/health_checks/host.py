"""The host: its data directory, the address to listen on, the limit of open files, and a restore that was interrupted."""

from __future__ import annotations

import shlex
from typing import Final, Literal

import msgspec

from northstar.domain.amounts import size
from northstar.policy.health_checks.finding import Finding, faulty, fine, skipped, warned

#: With less free, a server that must write its file is close to refusing work.
LOW_BYTES: Final = 2 * 1024**3
#: With less free, it refuses it soon.
TOO_LOW_BYTES: Final = 256 * 1024**2
#: What anything of ours needs.
LEAST_FILES: Final = 1_024


class FolderFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The data directory, or where it will be made. `user` is who asks, `owner` whose it is; numbers as the system has them."""

    path: str
    exists: bool
    is_folder: bool
    #: Why nothing can be written there; empty when it can.
    refusal: str
    owner: int
    user: int
    free_bytes: int
    total_bytes: int


class AddressFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where a broker of these settings would listen. `reason` is why it could not; `held_by`, who has it.

    `northstar` is a broker of the cell that was asked, `another_northstar` one of another installation, and `some_northstar` one of which that
    could not be told. `holder` says more of the process, as far as this user may know.
    """

    host: str
    port: int
    reason: str = ""
    held_by: Literal["", "northstar", "some_northstar", "another_northstar", "others"] = ""
    holder: str = ""


class FileLimitFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Files that a process of this user may open, at present and at most; and those that a broker may need, with so many machines and clients."""

    soft: int
    hard: int
    needed: int
    max_machines: int
    max_clients: int


def judge_folder(facts: FolderFacts) -> Finding:
    """Check `data_dir`: there or to be made, ours, writable, and with room."""
    check, path = "data_dir", shlex.quote(facts.path)
    known: dict[str, str | int] = {"path": facts.path, "free_bytes": facts.free_bytes, "total_bytes": facts.total_bytes}
    if facts.exists and not facts.is_folder:
        return faulty(check, f"{facts.path} is no folder", cure=f"mv {path} {path}.old", **known)
    if facts.refusal:
        who = f"; it belongs to user {facts.owner}, and this is user {facts.user}" if facts.owner != facts.user else ""
        return faulty(
            check,
            f"nothing can be written to {facts.path}: {facts.refusal}{who}",
            cure=f"sudo chown -R {facts.user} {path}" if facts.owner != facts.user else f"chmod u+rwx {path}",
            owner=facts.owner,
            user=facts.user,
            **known,
        )
    if facts.free_bytes < LOW_BYTES:
        words = f"{size(facts.free_bytes)} are left on the disk of {facts.path}; when it is full, nothing is accepted any more"
        found = faulty if facts.free_bytes < TOO_LOW_BYTES else warned
        return found(check, words, cure=f"du -xh --max-depth=2 {path} | sort -h | tail", **known)
    if facts.exists and facts.owner != facts.user:
        return warned(
            check,
            f"{facts.path} belongs to user {facts.owner}, and this is user {facts.user}: what is written now may be unreadable to its owner",
            cure=f"sudo chown -R {facts.owner} {path}",
            owner=facts.owner,
            user=facts.user,
            **known,
        )
    state = "can be written" if facts.exists else "is not there yet, and can be made"
    return fine(check, f"{facts.path} {state}, {size(facts.free_bytes)} free", **known)


def judge_address(facts: AddressFacts) -> Finding:
    """Check `listen`: a broker can listen where it should, or one of ours does."""
    check, where = "listen", f"{facts.host}:{facts.port}"
    known: dict[str, str | int] = {"host": facts.host, "port": facts.port, "held_by": facts.held_by}
    whose = f": {facts.holder}" if facts.holder else ""
    if facts.holder:
        known["holder"] = facts.holder
    if not facts.reason:
        port = "any port that is free" if facts.port == 0 else f"port {facts.port}"
        return fine(check, f"a broker can listen on {facts.host}, {port}", host=facts.host, port=facts.port)
    if facts.held_by == "northstar":
        return fine(check, f"this North Star listens on {where}", **known)
    if facts.held_by == "some_northstar":
        words = f"a North Star listens on {where}{whose}; whether it is this one cannot be told until its server can be asked"
        return warned(check, words, cure="northstar doctor", **known)
    if facts.held_by in {"another_northstar", "others"}:
        who = "another program" if facts.held_by == "others" else "another North Star, of another installation,"
        return faulty(
            check,
            f"{who} listens on {where}{whose}; end it, or set serve.port to another",
            cure=f"ss -ltnp 'sport = :{facts.port}'",
            **known,
        )
    return faulty(
        check,
        f"no broker can listen on {where} ({facts.reason}): set serve.host to an address of this host, and serve.port to one from 1024 on",
        cure="ip -brief address",
        host=facts.host,
        port=facts.port,
    )


def judge_file_limit(facts: FileLimitFacts) -> Finding:
    """Check `open_files`: a broker can hold a connection to each of its machines and clients."""
    check, needed = "open_files", facts.needed
    known = {"soft": facts.soft, "hard": facts.hard, "needed": needed}
    if facts.soft >= needed:
        return fine(check, f"{facts.soft:,} files may be open", **known)
    words = (
        f"{facts.soft:,} files may be open at a time, and a broker with {facts.max_machines:,} machines (serve.max_machines) and "
        f"{facts.max_clients:,} clients (serve.max_clients) needs {needed:,}"
    )
    command = f"ulimit -n {needed}" if facts.hard >= needed else f"sudo prlimit --nofile={needed}:{needed} --pid $$"
    found = faulty if facts.soft < LEAST_FILES else warned
    return found(check, words, cure=command, **known)


def judge_restore(archive: str) -> Finding:
    """Check `restore`: none was interrupted. `archive` is the file of one that was; empty when none was."""
    if not archive:
        return skipped("restore", "no restore was interrupted")
    return faulty(
        "restore",
        f"a restore of {archive} was interrupted: what is here is not whole",
        cure=f"northstar restore {shlex.quote(archive)} --yes",
        file=archive,
    )
