"""Short texts that go through strange hands and come back: nobody without the key can read them, or make one; pure.

The standard library has no cipher, so this is one of HMAC-SHA256 alone, in the way of SIV (RFC 5297, "synthetic initialization vector"): the
HMAC of the text, cut to 16 bytes, is both its seal and what the stream begins with that hides it; the stream is HMAC-SHA256 in counter mode (NIST
SP 800-108, 4.1). It needs no randomness: the same text has the same sealed form, which tells no more than that. Its length is told
in steps of 64 bytes.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final

KEY_BYTES: Final = 32
_SEAL_BYTES: Final = 16
_STEP: Final = 64
_END: Final = b"\x80"


def seal(text: str, *, key: bytes, about: str) -> str:
    """A text in letters that stand for themselves in an address. `about` is what it is for: it opens for nothing else.

    >>> key = bytes(KEY_BYTES)
    >>> unseal(seal("waiting job-7", key=key, about="jobs"), key=key, about="jobs")
    'waiting job-7'
    """
    plain = text.encode() + _END
    plain += bytes(-len(plain) % _STEP)
    mark = _mark(plain, key=key, about=about)
    return base64.urlsafe_b64encode(mark + _hidden(plain, mark=mark, key=key)).decode().rstrip("=")


def unseal(sealed: str, *, key: bytes, about: str) -> str:
    """Raises ValueError: it was sealed with no such key, or for something else, or is another now."""
    try:
        whole = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise ValueError("it is no sealed text") from exc
    mark, plain = whole[:_SEAL_BYTES], _hidden(whole[_SEAL_BYTES:], mark=whole[:_SEAL_BYTES], key=key)
    if not hmac.compare_digest(mark, _mark(plain, key=key, about=about)):
        raise ValueError("its seal is broken")
    return plain.rpartition(_END)[0].decode()


def _mark(plain: bytes, *, key: bytes, about: str) -> bytes:
    name = about.encode()
    return hmac.digest(_part(key, b"seal"), len(name).to_bytes(4) + name + plain, "sha256")[:_SEAL_BYTES]


def _hidden(plain: bytes, *, mark: bytes, key: bytes) -> bytes:
    """The bytes hidden, and hidden ones shown: one undoes the other."""
    hiding = _part(key, b"hide")
    blocks = range(-(-len(plain) // 32))
    stream = b"".join(hmac.digest(hiding, number.to_bytes(4) + mark, "sha256") for number in blocks)
    return bytes(one ^ other for one, other in zip(plain, stream[: len(plain)], strict=True))


def _part(key: bytes, use: bytes) -> bytes:
    """One key for each of the two uses."""
    return hmac.digest(key, use, "sha256")
