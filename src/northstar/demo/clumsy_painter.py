"""A painter that drops the brush the first time it is asked for a picture: `python -m northstar.demo.clumsy_painter`.

The demonstration needs work that fails once in earnest. Which prompts it has met is kept in the folder that
NORTHSTAR_DEMO_MEMORY names; without one it never fails. Exit code 75 is what programs use for "try again later".
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import msgspec

from northstar.demo.painter import PaintingRequest, paint, save

_TRY_AGAIN_LATER = 75


def main() -> int:
    """Paint what standard input asks for, unless it is asked for the first time."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=PaintingRequest)
    memory = os.environ.get("NORTHSTAR_DEMO_MEMORY")
    if memory and not has_met(Path(memory), request.prompt):
        sys.stderr.write("the brush fell into the paint; it has to be washed first\n")
        return _TRY_AGAIN_LATER
    return save(paint(request))


def has_met(memory: Path, prompt: str) -> bool:
    """Whether the painter was asked for this before; from now on it was."""
    try:
        (memory / hashlib.sha256(prompt.encode()).hexdigest()[:16]).touch(exist_ok=False)
    except FileExistsError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
