"""The comment that stands above a field in the code, as pages and documents tell what the field means."""

from __future__ import annotations

import inspect
import re
from typing import Final

_FIELD: Final = re.compile(r"^    (\w+):")


def field_comments(kind: type) -> dict[str, str]:
    """By the names of the fields that a class declares itself and that have one; empty where its code is not there to be read."""
    try:
        lines = inspect.getsource(kind).splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    comment = ""
    for line in lines:
        if line.strip().startswith("#:"):
            comment = f"{comment} {line.strip()[2:].strip()}".strip()
        elif field := _FIELD.match(line):
            if comment:
                found[field[1]] = comment
            comment = ""
    return found
