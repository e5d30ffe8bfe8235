"""The first moments of the server process: tie its life to its parent's, then become the server.

Run as a file by a bare interpreter (`python -I -S launcher.py PARENT_PID PROGRAM ARGUMENT…`), because nothing else is
safe between fork and exec in a program with threads. It imports nothing of North Star and must stay small.

On Linux the kernel sends SIGTERM to the server as soon as the *thread* that started it ends. SIGTERM and not SIGKILL:
the server then writes and syncs the end of its append-only file, which can be behind while a sync is under way.
Elsewhere there is no such signal; a server left over there keeps the lock of its data directory, so the next start
says who holds it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent_pid: int) -> None:
    """Ask the kernel for SIGTERM at the parent's end; leave at once if it has ended already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG) failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent_pid:
        sys.exit(f"process {parent_pid} ended before the server was started")


def main(arguments: list[str]) -> None:
    """Replace this process by PROGRAM; the process id stays the same."""
    parent_pid, program, *rest = arguments
    if sys.platform == "linux":
        die_with(int(parent_pid))
    try:
        os.execv(program, [program, *rest])  # noqa: S606 -- there must be no shell
    except OSError as exc:
        sys.exit(f"cannot run {program}: {exc.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
