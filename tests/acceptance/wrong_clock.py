"""A wall clock of a process's own, which the test moves; clocks that only count on are left as they are."""

from __future__ import annotations

import os
import shlex
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

_SHIM = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long *ahead;

__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("WRONG_CLOCK");
  int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *found = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
  if (found != MAP_FAILED) ahead = found;
  close(file);
}

int clock_gettime(clockid_t which, struct timespec *now) {
  int status = (int)syscall(SYS_clock_gettime, which, now);
  if (status == 0 && ahead && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec += *ahead;
  return status;
}

int gettimeofday(struct timeval *now, void *zone) {
  struct timespec read;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &read);
  now->tv_sec = read.tv_sec;
  now->tv_usec = read.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *kept) {
  struct timespec read;
  clock_gettime(CLOCK_REALTIME, &read);
  if (kept) *kept = read.tv_sec;
  return read.tv_sec;
}
"""


class WrongClock:
    """The clock of whoever is started with `environment`. Skips the test where no C compiler makes one."""

    def __init__(self, folder: Path, name: str) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip(
                "a process gets a wall clock of its own by a preloaded library, and there is no C compiler to make it"
            )
        source, library = folder / f"{name}.c", folder / f"{name}.so"
        source.write_text(_SHIM)
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True, timeout=60)
        self._file = folder / f"{name}.clock"
        self._file.write_bytes(struct.pack("l", 0))
        self.environment = {"LD_PRELOAD": str(library), "WRONG_CLOCK": str(self._file)}

    def started(self, program: Path) -> Path:
        """A program that is that one by this clock, for whoever hands on no environment."""
        script = self._file.with_name(f"{self._file.stem}-{program.name}")
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self.environment.items())
        script.write_text(f'#!/bin/sh\n{exports}exec {shlex.quote(str(program))} "$@"\n')
        script.chmod(0o700)
        return script

    def jump(self, *, hours: float) -> None:
        """From here on the clock is so far ahead of the right one; behind it if less than 0."""
        file = os.open(self._file, os.O_WRONLY)
        try:
            os.pwrite(file, struct.pack("l", round(hours * 3_600)), 0)
        finally:
            os.close(file)
