"""Become another program that dies with its starter and fills no disk: `launch.py STARTER_PID LARGEST_FILE_BYTES COMMAND ...`.

A program of its own, because code between fork and exec is unsafe where the starter has threads.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    starter, largest_file_bytes, *command = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(starter):
        sys.exit("the harness ended before its process began")  # too early for the signal just asked for
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest_file_bytes), hard))
    os.execvp(command[0], command)
