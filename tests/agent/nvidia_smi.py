"""A program called `nvidia-smi` on a path of its own, which prints what the real one prints, or does what a broken one does."""

from __future__ import annotations

import sys
from pathlib import Path

#: What the real one is asked, word for word.
ASKED = ["--query-gpu=index,uuid,name,memory.total,driver_version", "--format=csv,noheader,nounits"]
H200 = "0, GPU-0e1b7c2a-5d7f-4b3c-9a52-1f0b6f5d9c11, NVIDIA H200, 143771, 570.86.15\n"
TWO_L4 = (
    "0, GPU-aaaa1111-0000-0000-0000-000000000000, NVIDIA L4, 23034, 550.90.07\n"
    "1, GPU-bbbb2222-0000-0000-0000-000000000000, NVIDIA L4, 23034, 550.90.07\n"
)


def fake_nvidia_smi(folder: Path, prints: str = "", *, code: int = 0, then: str = "") -> dict[str, str]:
    """An environment whose only program is the fake. `then` is what it does, in Python, after it has printed."""
    program = folder / "bin" / "nvidia-smi"
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        f"#!{sys.executable} -IS\n"
        "import sys, time\n"
        f"if sys.argv[1:] != {ASKED!r}: sys.exit(2)\n"
        f"sys.stdout.write({prints!r})\n"
        "sys.stdout.flush()\n"
        f"{then}\n"
        f"sys.exit({code})\n"
    )
    program.chmod(0o755)
    return {"PATH": str(program.parent)}
