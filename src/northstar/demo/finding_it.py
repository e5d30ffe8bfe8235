"""How a shell comes to find `northstar`, where it does not yet."""

from __future__ import annotations

import shlex
from pathlib import Path


def activation(found: str | None, *, prefix: Path, here: Path) -> str:
    """The command that a shell in `here` needs first; empty where it finds a `northstar` already, at `found`.

    >>> activation(None, prefix=Path("/home/ann/star/.venv"), here=Path("/home/ann/star"))
    '. .venv/bin/activate'
    >>> activation("/usr/bin/northstar", prefix=Path("/home/ann/star/.venv"), here=Path("/home/ann/star"))
    ''
    """
    if found is not None:
        return ""
    script = prefix / "bin" / "activate"
    shown = script.relative_to(here) if script.is_relative_to(here) else script
    return f". {shlex.quote(str(shown))}"
