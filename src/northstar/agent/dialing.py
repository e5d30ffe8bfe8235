"""Where a broker is, what the machine says to be let in, and how long it waits before it tries again."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from northstar.connectors.connection_words import connection_words
from northstar.domain.errors import InvalidRequest, NorthstarError

if TYPE_CHECKING:
    from pathlib import Path

    from northstar.connectors.secret import Secret


class BrokerUrlInvalid(InvalidRequest):
    """The broker's address cannot be understood."""

    code: ClassVar[str] = "NS_BROKER_URL_INVALID"

    def __init__(self, url: str, *, reason: str) -> None:
        super().__init__(f"broker address {url[:200]!r}: {reason}; it looks like https://broker.example:8443")


class CaFileUnusable(InvalidRequest):
    """The certificates that the settings say to trust cannot be read."""

    code: ClassVar[str] = "NS_CA_FILE_UNUSABLE"

    def __init__(self, path: Path, *, reason: str) -> None:
        super().__init__(
            f"agent.ca_file {path} cannot be used ({reason}); it must hold the certificate of the broker's authority, PEM"
        )


class Dialling(msgspec.Struct, frozen=True, kw_only=True):
    """How a broker is reached. `http_url` is its address without a slash at the end."""

    http_url: str
    token: Secret
    #: Certificates to trust beside the system's; None: the system's alone.
    ca_file: Path | None = None

    def tls(self) -> ssl.SSLContext | bool:
        """What aiohttp wants for `ssl`. Raises CaFileUnusable."""
        if not self.http_url.startswith("https:"):
            return False
        context = ssl.create_default_context()
        if self.ca_file is not None:
            try:
                context.load_verify_locations(self.ca_file)
            except OSError as exc:  # an ssl.SSLError is one
                raise CaFileUnusable(self.ca_file, reason=exc.strerror or str(exc)) from exc
        return context


#: What OpenSSL finds wrong with a certificate (X509_V_ERR_…), and what to do about it.
_CERTIFICATE_FAULTS: Final = {
    9: "its certificate is not valid yet; is the clock of this machine right?",
    10: "its certificate has expired, or the clock of this machine is wrong; renew serve.tls_certificate",
    62: "its certificate is for another host; dial it by a name that the certificate has",
    64: "its certificate is for another address; dial it by a name or address that the certificate has",
}
_UNKNOWN_AUTHORITY: Final = (
    "its certificate is signed by an authority that this machine does not trust; set agent.ca_file to that authority's "
    "certificate, and nothing else if the broker is not yours"
)
#: Self-signed, alone or at the end of its chain; issuer not found; first certificate not verified.
_AUTHORITY_FAULTS: Final = frozenset({18, 19, 20, 21})


def trouble(exc: Exception) -> str:
    """Why a broker could not be dialled, and what to do, in words."""
    match exc:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as fault):
            if fault.verify_code in _AUTHORITY_FAULTS:
                return _UNKNOWN_AUTHORITY
            return _CERTIFICATE_FAULTS.get(fault.verify_code, f"its certificate is refused: {fault.verify_message}")
        case aiohttp.ClientConnectorSSLError(os_error=fault):
            return (
                f"TLS could not be agreed on ({fault.strerror}); if there is no TLS at that port, dial ws:// or http://"
            )
        case aiohttp.ServerDisconnectedError():
            return "it hung up without an answer; if there is TLS at that port, dial wss:// or https://"
        case NorthstarError():
            return str(exc)
        case _:
            return connection_words(exc)


_USUAL_PORTS: Final = {"http": ":80", "https": ":443"}


def broker_url(text: str) -> str:
    """A broker's address as people write it (http, https, ws or wss), as an http address; one place has one such text.

    >>> broker_url("wss://broker.example:8443/")
    'https://broker.example:8443'
    >>> broker_url("WS://Broker.Example:80")
    'http://broker.example'

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
    place = parts.netloc.lower().removesuffix(_USUAL_PORTS[scheme])
    return urlunsplit((scheme, place, parts.path.rstrip("/"), "", ""))


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
