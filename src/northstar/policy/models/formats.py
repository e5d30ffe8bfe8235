"""What the first bytes of a model file say about the whole."""

from __future__ import annotations

import itertools
import pickletools
from typing import Any, Final

import msgspec

#: So many bytes from the start are enough to know a pickle.
HEAD_BYTES: Final = 512
#: The longest header that the format's own library accepts.
MAX_HEADER_BYTES: Final = 100_000_000
_LENGTH_BYTES: Final = 8
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_TAR: Final = (257, b"ustar")
_COMPRESSED: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_OPCODES: Final = 3


def is_pickle(head: bytes) -> bool:
    """Whether a file that begins like this may run code when it is loaded: a pickle, or an archive that can hold one.

    >>> import pickle
    >>> is_pickle(pickle.dumps([1])), is_pickle(b"GGUF")
    (True, False)
    """
    offset, magic = _TAR
    if head.startswith((*_ZIP, *_COMPRESSED)) or head[offset : offset + len(magic)] == magic:
        return True
    if head[:1] == b"\x80" and len(head) > 1 and 0 < head[1] < 16:  # protocol 2 and later say their number
        return True
    try:
        return len(list(itertools.islice(pickletools.genops(head), _OPCODES))) == _OPCODES
    except (ValueError, UnicodeDecodeError, IndexError):
        return False


def header_length(head: bytes, *, size_bytes: int) -> int:
    """Bytes of a safetensors file's header.

    Raises:
        ValueError: with what is wrong.
    """
    if len(head) < _LENGTH_BYTES:
        raise ValueError("it is too short for a safetensors file")
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise ValueError(f"its safetensors header claims {length} bytes")
    if _LENGTH_BYTES + length > size_bytes:
        raise ValueError("its safetensors header is longer than the file")
    return length


def check_header(header: bytes, *, size_bytes: int) -> None:
    """Check that a safetensors header describes exactly the bytes behind it.

    Raises:
        ValueError: with what is wrong.
    """
    try:
        table = msgspec.json.decode(header, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ValueError("its safetensors header is not a JSON object") from error
    end = 0
    for begin, after in sorted(_offsets(name, entry) for name, entry in table.items() if name != "__metadata__"):
        if begin != end:
            raise ValueError(f"its tensors overlap or leave a hole at byte {end}")
        end = after
    expected = size_bytes - _LENGTH_BYTES - len(header)
    if end != expected:
        raise ValueError(f"its tensors need {end} bytes, but {expected} follow the header")


def _offsets(name: str, entry: Any) -> tuple[int, int]:
    match entry:
        case {"dtype": str(), "shape": list(shape), "data_offsets": [int(begin), int(after)]} if (
            0 <= begin <= after and all(isinstance(length, int) and length >= 0 for length in shape)
        ):
            return begin, after
        case _:
            raise ValueError(f"its safetensors header says nothing usable about {name[:80]!r}")
