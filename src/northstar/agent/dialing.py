"""Where a broker is, what the machine says to be let in, and how long it waits before it tries again."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from northstar.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from pathlib import Path

    from northstar.connectors.secret import Secret


class BrokerUrlInvalid(InvalidRequest):
    """The broker's address cannot be understood."""

    code: ClassVar[str] = "NS_BROKER_URL_INVALID"

    def __init__(self, url: str, *, reason: str) -> None:
        super().__init__(f"broker address {url[:200]!r}: {reason}; it looks like https://broker.example:8443")


class Dialling(msgspec.Struct, frozen=True, kw_only=True):
    """How a broker is reached. `http_url` is its address without a slash at the end."""

    http_url: str
    token: Secret
    #: Certificates to trust beside the system's; None: the system's alone.
    ca_file: Path | None = None

    def tls(self) -> ssl.SSLContext | bool:
        """What aiohttp wants for `ssl`."""
        if not self.http_url.startswith("https:"):
            return False
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context.load_verify_locations(self.ca_file)
        return context


def broker_url(text: str) -> str:
    """A broker's address as people write it (http, https, ws or wss), as an http address.

    >>> broker_url("wss://broker.example:8443/")
    'https://broker.example:8443'

    Raises:
        BrokerUrlInvalid: it is none.
    """
    parts = urlsplit(text.strip())
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    if scheme not in {"http", "https"}:
        raise BrokerUrlInvalid(text, reason="it begins neither with http(s):// nor with ws(s)://")
    if not parts.hostname:
        raise BrokerUrlInvalid(text, reason="it names no host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BrokerUrlInvalid(text, reason="secrets, a query or a fragment have no place in it")
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Pauses that double up to a bound, in seconds.

    Each is drawn anew between nothing and itself ("full jitter": Brooker, "Exponential Backoff and Jitter", 2015), so that a
    fleet that lost its broker at one moment does not come back at one moment.
    """

    first_s: float = 0.5
    longest_s: float = 15.0

    def delay_s(self, failures: int, jitter: float) -> float:
        """The pause after so many failures in a row before this one; `jitter` in [0, 1) is random.

        >>> [Backoff().delay_s(failures, 0.5) for failures in (0, 1, 2, 9)]
        [0.25, 0.5, 1.0, 7.5]
        """
        return jitter * min(self.longest_s, self.first_s * 2.0 ** min(failures, 30))
