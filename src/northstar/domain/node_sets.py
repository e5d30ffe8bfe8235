"""The node classes that a ComfyUI knows: thousands of names, so they are told once for each digest and kept packed.

Machines of one image know the same classes and have equal digests; a profile names the digest, and whether a class of jobs fits
is decided once for each pair, as for everything else of a profile.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from northstar.domain.amounts import exactly
from northstar.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Characters of a packed list, as much as anything may take in a cell, and bytes of the names in it.
MAX_PACKED_CHARS: Final = 65_536
MAX_NAMES_BYTES: Final = 1_048_576
_DIGEST_CHARS: Final = 16


class NodeSetInvalid(InvalidRequest):
    """A list of node classes is not what its digest says, or too long."""

    code: ClassVar[str] = "NS_NODE_SET_INVALID"

    def __init__(self, digest: str, *, detail: str) -> None:
        super().__init__(f"the list of node classes {digest} cannot be kept: {detail}")
        self.digest = digest
        self.detail = detail


class NodeSet(msgspec.Struct, frozen=True):
    """A list of node classes as it travels and lies in a cell: compressed (zlib), as text (RFC 1924's alphabet)."""

    digest: str
    packed: str


def digest_of(names: Iterable[str]) -> str:
    """The digest of a list of node classes, whatever its order.

    >>> digest_of(["KSampler", "VAEDecode"]) == digest_of(["VAEDecode", "KSampler"])
    True
    """
    return hashlib.sha256(_text(names)).hexdigest()[:_DIGEST_CHARS]


def packed_set(names: Iterable[str]) -> NodeSet:
    """The list with its digest.

    Raises:
        NodeSetInvalid: it is too long to be kept.
    """
    text = _text(names)
    packed = base64.b85encode(zlib.compress(text, 9)).decode()
    found = NodeSet(hashlib.sha256(text).hexdigest()[:_DIGEST_CHARS], packed)
    if len(text) > MAX_NAMES_BYTES or len(packed) > MAX_PACKED_CHARS:
        raise NodeSetInvalid(found.digest, detail=f"it takes {len(packed)} characters, {MAX_PACKED_CHARS} are allowed")
    return found


def read_set(found: NodeSet) -> frozenset[str]:
    """The names in a packed list; never more than a megabyte of them, whatever is in it.

    Raises:
        NodeSetInvalid: it cannot be read, is too long, or is not the list that the digest names.
    """
    if len(found.packed) > MAX_PACKED_CHARS:
        raise NodeSetInvalid(found.digest, detail=f"it takes more than {MAX_PACKED_CHARS} characters")
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(base64.b85decode(found.packed), MAX_NAMES_BYTES)
        names = text.decode().split("\n")
    except (zlib.error, ValueError) as exc:
        raise NodeSetInvalid(found.digest, detail=f"it cannot be read ({exc})") from exc
    if not unpacking.eof:
        raise NodeSetInvalid(
            found.digest, detail=f"its names take more than {exactly(MAX_NAMES_BYTES)}, or its end is missing"
        )
    if hashlib.sha256(text).hexdigest()[:_DIGEST_CHARS] != found.digest:
        raise NodeSetInvalid(found.digest, detail="its names have another digest")
    return frozenset(names)


def _text(names: Iterable[str]) -> bytes:
    return "\n".join(sorted(names)).encode()
