"""Runs one program and answers for it: limits, the end of everything it started, and an exact report.

A script of its own that imports nothing of North Star, so that it starts in a few milliseconds. It stays as the program's
parent, where a plain `exec` would not do: only a parent can see what the whole family of processes uses, end those that
left their process group, and end them all when the agent above is killed.

    argv[1]   JSON: argv, lifeline_fd, report_fd, grace_s, folder, limits
    lifeline  its end (the other side closed, or died) is the order to stop: TERM, `grace_s` seconds, KILL
    report    one JSON object at the end: exit_code, limit, cannot_start, peak_memory_bytes, cpu_s
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any, Final, NoReturn

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LOOK_EVERY_S: Final = 0.05
_DISK_EVERY_LOOKS: Final = 10
_KILL_WITHIN_S: Final = 5.0
_MOST_PROCESSES_LOOKED_AT: Final = 4_096
_MOST_FILES_LOOKED_AT: Final = 100_000
_PROC_BYTES: Final = 64 * 1024
_PAGE_BYTES: Final = resource.getpagesize()


class Family:
    """The program and everything that came of it. Linux hands orphans to this process, so none can slip away."""

    def __init__(self, main_pid: int) -> None:
        self.main_pid = main_pid
        self.exit_code: int | None = None
        self.peak_memory_bytes = 0
        self.cpu_s = 0.0
        self.main_cpu_s = 0.0

    def reap(self) -> bool:
        """Take the exit of every child that has ended; whether any child is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.cpu_s += usage.ru_utime + usage.ru_stime
            self.peak_memory_bytes = max(self.peak_memory_bytes, usage.ru_maxrss * 1024)
            if pid == self.main_pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
                self.main_cpu_s = usage.ru_utime + usage.ru_stime

    def pids(self) -> list[int]:
        """Every living descendant."""
        found: list[int] = []
        ahead = list(_children(os.getpid()))
        while ahead and len(found) < _MOST_PROCESSES_LOOKED_AT:
            pid = ahead.pop()
            found.append(pid)
            ahead.extend(_children(pid))
        return found

    def memory_bytes(self, pids: list[int]) -> int:
        """What these processes hold in memory now; pages that they share count once for each."""
        total = 0
        for pid in pids:
            statm = _words(f"/proc/{pid}/statm")
            total += int(statm[1]) * _PAGE_BYTES if len(statm) > 1 else 0
        self.peak_memory_bytes = max(self.peak_memory_bytes, total)
        return total

    def end(self, *, grace_s: float) -> None:
        """TERM, then KILL after `grace_s`; return when all are gone, or can not be killed within five seconds."""
        deadline = time.monotonic() + grace_s
        self._signal(signal.SIGTERM)
        while self.reap() and time.monotonic() < deadline:
            time.sleep(0.01)
        deadline = time.monotonic() + _KILL_WITHIN_S
        while self.reap() and time.monotonic() < deadline:
            self._signal(signal.SIGKILL)
            time.sleep(0.005)

    def _signal(self, number: int) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Limits:
    """What the program may use; None is no limit."""

    def __init__(self, given: dict[str, Any], *, folder: str) -> None:
        self._given = given
        self._folder = folder
        self._wall_deadline = time.monotonic() + given["wall_s"] if given["wall_s"] is not None else None

    def confine(self) -> None:
        """Set what the kernel itself enforces, in the process that becomes the program."""
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_AS, self._given["address_space_bytes"])
        # One byte more than allowed, so that a file of too many bytes can be told from one that just fits.
        _limit(resource.RLIMIT_FSIZE, self._given["output_bytes"] + 1)
        if self._given["cpu_s"] is not None:
            _limit(resource.RLIMIT_CPU, max(1, int(self._given["cpu_s"])), last_seconds=1)

    def broken_by(self, family: Family, *, disk_too: bool) -> str | None:
        """The limit that the living family is over, if any; looking at the disk is the slower part."""
        if self._wall_deadline is not None and time.monotonic() >= self._wall_deadline:
            return "wall time"
        pids = family.pids()
        if len(pids) > self._given["processes"]:
            return "processes"
        memory_bytes = self._given["memory_bytes"]
        if family.memory_bytes(pids) > memory_bytes > 0:
            return "memory"
        return self._broken_on_disk() if disk_too else None

    def broken_at_end(self, family: Family) -> str | None:
        """The limit that explains how the family ended, if any: also what happened between two looks."""
        if family.peak_memory_bytes > self._given["memory_bytes"] > 0:
            return "memory"
        if family.exit_code == -signal.SIGXCPU or (family.exit_code == -signal.SIGKILL and self._cpu_used_up(family)):
            return "CPU time"
        if family.exit_code == -signal.SIGXFSZ:
            return "output"
        return self._broken_on_disk()

    def _cpu_used_up(self, family: Family) -> bool:
        return self._given["cpu_s"] is not None and family.main_cpu_s >= self._given["cpu_s"]

    def _broken_on_disk(self) -> str | None:
        size_bytes = 0
        for files, entry in enumerate(_files(self._folder), start=1):
            if files > min(self._given["files"], _MOST_FILES_LOOKED_AT):
                return "files"
            with contextlib.suppress(OSError):
                size_bytes += entry.stat(follow_symlinks=False).st_size
            if size_bytes > self._given["output_bytes"]:
                return "output"
        return None


def _limit(what: int, value: int | None, *, last_seconds: int = 0) -> None:
    """Set a limit of the kernel; past it, the process has `last_seconds` to answer the signal before it is killed."""
    if value is not None:
        hard = resource.getrlimit(what)[1]
        most = value + last_seconds if hard == resource.RLIM_INFINITY else min(value + last_seconds, hard)
        resource.setrlimit(what, (min(value, most), most))


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/task") as tasks:
        for task in tasks:
            yield from map(int, _words(f"{task.path}/children"))


def _words(path: str) -> list[bytes]:
    """What a file of /proc says; nothing if the process is gone."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return []
    try:
        return os.read(fd, _PROC_BYTES).split()
    except OSError:
        return []
    finally:
        os.close(fd)


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    ahead = [folder]
    while ahead:
        with contextlib.suppress(OSError), os.scandir(ahead.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    ahead.append(entry.path)
                yield entry


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _become(argv: list[str], *, limits: Limits, parent: int, report_fd: int) -> NoReturn:
    """In the forked child: turn into the program, or report why not."""
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)  # what this process ignores, the program must not inherit
        limits.confine()
        os.execvp(argv[0], argv)  # noqa: S606 - running a program without a shell is the point
    except OSError as error:
        os.write(report_fd, json.dumps({"cannot_start": f"{argv[0]}: {error.strerror}"}).encode())
    finally:
        os._exit(127)


def _watch(family: Family, limits: Limits, *, lifeline_fd: int, grace_s: float) -> str | None:
    """Until the program has ended, was told to, or went over a limit; the limit, if it was that."""
    limit = None
    ended_fd = os.pidfd_open(family.main_pid)
    looks = 0
    while family.reap() and family.exit_code is None:
        limit = limits.broken_by(family, disk_too=looks % _DISK_EVERY_LOOKS == 0)
        looks += 1
        if limit is not None or lifeline_fd in select.select([lifeline_fd, ended_fd], [], [], _LOOK_EVERY_S)[0]:
            family.end(grace_s=grace_s)
            return limit
    family.end(grace_s=0.0)  # what the program left behind
    return limits.broken_at_end(family)


def main() -> int:
    """Run the program that `argv[1]` describes."""
    order = json.loads(sys.argv[1])
    report_fd, lifeline_fd = order["report_fd"], order["lifeline_fd"]
    for fd in (report_fd, lifeline_fd):
        fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    limits = Limits(order["limits"], folder=order["folder"])
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the lifeline is the way to stop
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(order["argv"], limits=limits, parent=parent, report_fd=report_fd)
    family = Family(pid)
    limit = _watch(family, limits, lifeline_fd=lifeline_fd, grace_s=order["grace_s"])
    report = {
        "exit_code": family.exit_code,
        "limit": limit,
        "peak_memory_bytes": family.peak_memory_bytes,
        "cpu_s": round(family.cpu_s, 3),
    }
    os.write(report_fd, b"\n" + json.dumps(report).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
