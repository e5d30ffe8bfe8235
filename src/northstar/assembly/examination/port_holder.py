"""Who listens on a port of this host, as Linux tells it: the user always, the process where it is one of ours to look at."""

from __future__ import annotations

import contextlib
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Final

#: The state of a socket that listens, in the kernel's tables.
_LISTENS: Final = "0A"
_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
#: Rows and processes that are looked through.
_MOST_ROWS: Final = 100_000
_MOST_PROCESSES: Final = 20_000
#: Options that say which installation it is; others may hold secrets, and are not told.
_TELLING: Final = ("--config", "--data-dir", "--cell", "--host", "--port")
_MOST_WORDS_BYTES: Final = 65_536


def holder_of(port: int) -> str:
    """For example `process 4711 of user bob (northstar up --data-dir /srv/two)`; empty: nobody can tell."""
    sockets = dict(_listening(port))
    if not sockets:
        return ""
    user = _user(next(iter(sockets.values())))
    process = _process_with(set(sockets))
    if process is None:
        return f"a process of {user}"
    words = _words_of(process)
    return f"process {process} of {user}" + (f" ({words})" if words else "")


def _listening(port: int) -> Iterator[tuple[str, int]]:
    """Sockets that listen there: inode and user id."""
    for table in _TABLES:
        with contextlib.suppress(OSError, ValueError, IndexError), Path(table).open() as rows:
            for number, row in enumerate(rows):
                if number == 0 or number > _MOST_ROWS:
                    continue
                fields = row.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9], int(fields[7])


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def _process_with(inodes: set[str]) -> int | None:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    pids = sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())[:_MOST_PROCESSES]
    for pid in pids:
        with contextlib.suppress(OSError):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(entry.readlink()) in wanted:
                        return pid
    return None


def _words_of(pid: int) -> str:
    """What it was started as, as far as that says which installation it is."""
    try:
        with Path(f"/proc/{pid}/cmdline").open("rb") as file:
            words = file.read(_MOST_WORDS_BYTES).decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return ""
    at = next((place for place, word in enumerate(words) if Path(word).name == "northstar"), None)
    if at is None:
        return Path(words[0]).name
    told = ["northstar", *[word for word in words[at + 1 : at + 2] if not word.startswith("-")]]
    for option in _TELLING:
        if option in words and words.index(option) + 1 < len(words):
            told += [option, words[words.index(option) + 1]]
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(told))[:500]
