"""Something that is wrong with a cell."""

from __future__ import annotations

import msgspec


class Trouble(msgspec.Struct, frozen=True):
    """A sentence, and a command that can be typed; empty where there is none."""

    what: str
    command: str = ""
