"""A process that must not outlive the one that supervises it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with(parent_pid: int) -> None:
    """Ask the kernel to kill this process when its parent, or the parent's starting thread, ends; leave at once if it has.

    On Linux. Elsewhere there is no such request, and a supervisor that is killed leaves its machines to finish what they do.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        sys.exit(f"process {parent_pid} ended before this machine was started")
