"""A machine that `northstar up` runs on its own host: `python -m northstar.surfaces.cli.supervised NAME PID WORDS`.

No command for people: settings and token come on the standard input, from the process PID, and the machine ends with it. The error of
which it ends is written to the open file WORDS too, so that its supervisor can say why the machine is not here.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final

import msgspec

from northstar.assembly.lifeline import die_with
from northstar.config import Settings
from northstar.connectors.secret import Secret
from northstar.domain.errors import NorthstarError
from northstar.surfaces.cli.exit_codes import INVALID, exit_code_of
from northstar.surfaces.cli.options import run
from northstar.surfaces.cli.up import configure_log, keep_log
from northstar.surfaces.cli.worker import be_machine

#: Bytes of inherited settings, and of the token.
_MAX_BYTES: Final = 4_000_000
#: Bytes that it says of its end: less than a pipe takes without a reader.
_MOST_WORDS: Final = 1_000


def main(arguments: list[str]) -> int:
    """Be the machine until a signal stops it; gives the exit code."""
    if len(arguments) != 3 or not (arguments[1].isdecimal() and arguments[2].isdecimal()):
        sys.stderr.write("this is for `northstar up`; to be a machine: northstar agent NAME\n")
        return INVALID
    name, supervisor, words = arguments[0], int(arguments[1]), int(arguments[2])
    os.set_inheritable(words, False)  # engines that it starts must not hold it open
    die_with(supervisor)
    settings = msgspec.json.decode(sys.stdin.buffer.readline(_MAX_BYTES), type=Settings)
    secret = Secret(sys.stdin.buffer.readline(_MAX_BYTES).decode().strip())
    configure_log(settings, machine=name)
    keep_log(settings, f"machine-{name}", by_default=True)
    try:
        run(be_machine(settings, name, token=secret), fast=True)
    except NorthstarError as error:
        said = f"{error.code}: {error}"
        sys.stderr.write(f"{said}\n")
        with contextlib.suppress(OSError):  # the supervisor is gone, and so are we soon
            os.write(words, said.encode()[:_MOST_WORDS])
        return exit_code_of(error)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
