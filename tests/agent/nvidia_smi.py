"""A program called `nvidia-smi` on a path of its own, which prints what the real one prints, or does what a broken one does."""

from __future__ import annotations

import sys
from pathlib import Path

#: What the real one is asked, word for word.
ASKED = ["--query-gpu=index,uuid,name,memory.total,driver_version", "--format=csv,noheader,nounits"]
#: And while jobs run.
ASKED_MEMORY = ["--query-gpu=index,uuid,memory.used", "--format=csv,noheader,nounits"]
H200 = "0, GPU-0e1b7c2a-5d7f-4b3c-9a52-1f0b6f5d9c11, NVIDIA H200, 143771, 570.86.15\n"
TWO_L4 = (
    "0, GPU-aaaa1111-0000-0000-0000-000000000000, NVIDIA L4, 23034, 550.90.07\n"
    "1, GPU-bbbb2222-0000-0000-0000-000000000000, NVIDIA L4, 23034, 550.90.07\n"
)


def fake_nvidia_smi(
    folder: Path, prints: str = "", *, code: int = 0, then: str = "", uses: str | None = None
) -> dict[str, str]:
    """An environment whose only program is the fake. `then` is what it does, in Python, after it has printed.

    `uses` is what it prints when asked for memory in use; without it, it does not know that question.
    """
    program = folder / "bin" / "nvidia-smi"
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        f"#!{sys.executable} -IS\n"
        "import sys, time\n"
        f"known = {[(ASKED, prints)] + ([] if uses is None else [(ASKED_MEMORY, uses)])!r}\n"
        "prints = [text for asked, text in known if asked == sys.argv[1:]]\n"
        "if not prints: sys.exit(2)\n"
        "sys.stdout.write(prints[0])\n"
        "sys.stdout.flush()\n"
        f"{then}\n"
        f"sys.exit({code})\n"
    )
    program.chmod(0o755)
    return {"PATH": str(program.parent)}
