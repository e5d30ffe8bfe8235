"""Names of model files that cannot leave their folder, nor become another file on another file system."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

#: Formats whose loading runs whatever code the file contains.
PICKLES: Final = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl", ".pickle"})
#: Formats that are data and nothing else, as far as their header can prove it.
PLAIN: Final = frozenset({".safetensors", ".sft", ".gguf", ".onnx", ".engine", ".plan"})

_PART: Final = re.compile(r"\w[\w.,@ ()\[\]+=-]*")
_MAX_PART_BYTES: Final = 200
_MAX_PARTS: Final = 5


def why_refused(name: str) -> str | None:
    """Why a file of this name may not be written, as the end of a sentence; None if it may.

    >>> why_refused("styles/ink.safetensors") is None
    True
    >>> why_refused("../ink.safetensors")
    "its part '..' has characters or an end that are not allowed"
    """
    parts = name.split("/")
    if len(parts) > _MAX_PARTS:
        return f"it has more than {_MAX_PARTS} parts"
    if unicodedata.normalize("NFC", name) != name:
        return "its letters are not in their composed form (Unicode NFC)"
    for part in parts:
        if _PART.fullmatch(part) is None or part.endswith((" ", ".")):
            return f"its part {part[:80]!r} has characters or an end that are not allowed"
        if len(part.encode(errors="replace")) > _MAX_PART_BYTES:
            return f"its part {part[:80]!r} is longer than {_MAX_PART_BYTES} bytes"
    if suffix_of(name) not in PLAIN | PICKLES:
        return f"its ending is none of {', '.join(sorted(PLAIN | PICKLES))}"
    return None


def suffix_of(name: str) -> str:
    """The ending in lower case, with its dot; empty where there is none."""
    last = name.rpartition("/")[2]
    stem, dot, ending = last.rpartition(".")
    return f"{dot}{ending}".lower() if stem else ""


def folded(name: str) -> str:
    """What two names have in common that some file systems take for the same file."""
    return unicodedata.normalize("NFC", name).casefold()
