"""Signatures by the Standard Webhooks specification, version 1.0.0 (symmetric, `v1`), and where their secrets come from."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX: Final = "whsec_"
#: Bytes of the installation's key at least.
LEAST_KEY_BYTES: Final = 24


class SigningKey:
    """The installation's key, from which the secret of every webhook follows. No repr, copy or encoder shows it."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        """Raises ValueError: it is shorter than 24 bytes."""
        if len(key) < LEAST_KEY_BYTES:
            raise ValueError(f"the key has fewer than {LEAST_KEY_BYTES} bytes")
        self._key = key

    @property
    def fingerprint(self) -> str:
        """What tells this key from another, and nothing else of it."""
        return self._derived(b"northstar webhook key fingerprint")[:8].hex()

    def secret(self, webhook_id: str, number: int) -> bytes:
        """The secret of a webhook by its number: 32 bytes."""
        return self._derived(f"northstar webhook secret\0{webhook_id}\0{number}".encode())

    def _derived(self, text: bytes) -> bytes:
        return hmac.new(self._key, text, hashlib.sha256).digest()

    def __repr__(self) -> str:
        return "SigningKey(***)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a signing key cannot be copied or pickled")


def shown_secret(secret: bytes) -> str:
    """A secret as it is handed to a receiver.

    >>> shown_secret(b"a" * 24)
    'whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh'
    """
    return _PREFIX + base64.b64encode(secret).decode()


def read_secret(text: str) -> bytes:
    """The bytes of a secret that was handed over. Raises ValueError."""
    return base64.b64decode(text.removeprefix(_PREFIX), validate=True)


def signature(secret: bytes, *, message_id: str, timestamp_s: int, body: bytes) -> str:
    """The signature of one message under one secret."""
    content = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()


def headers(secrets: Sequence[bytes], *, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt; with several secrets a receiver that knows any of them can verify it."""
    signed = (signature(one, message_id=message_id, timestamp_s=timestamp_s, body=body) for one in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signed),
    }
