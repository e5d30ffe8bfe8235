"""Which addresses a machine may fetch from, and where a secret may travel."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection

_PORTS: Final = {"http": 80, "https": 443}
#: Parameters, in small letters, by which stores and hubs take a key, a token or a signature that stands for one.
_SECRET_PARAMETERS: Final = frozenset(
    {
        "token", "access_token", "auth_token", "auth", "authorization", "api_key", "api-key", "apikey", "key", "password", "passwd", "pwd",
        "secret", "client_secret", "sig", "signature", "credential", "key-pair-id", "policy", "awsaccesskeyid", "googleaccessid",
        "x-amz-signature", "x-amz-credential", "x-amz-security-token", "x-goog-signature", "x-goog-credential",
    }
)  # fmt: skip
#: Networks whose last 32 bits are an IPv4 address: NAT64 (RFC 6052), and the old "compatible" form (RFC 4291, 2.5.5.1).
_V4_INSIDE: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
#: Not global by the registry, but so to some versions of Python: local NAT64 (RFC 8215) and site-local (RFC 3879).
_LOCAL_V6: Final = (ipaddress.ip_network("64:ff9b:1::/48"), ipaddress.ip_network("fec0::/10"))
_V4_BITS: Final = 0xFFFF_FFFF
#: What stays as it is when an address is made printable.
_RESERVED: Final = "%/:=&?~#+!$,;'@()*[]"


class Origin(msgspec.Struct, frozen=True, order=True):
    """What a secret belongs to: the same scheme, host and port, or it stays here."""

    scheme: str
    host: str
    port: int


def origin_of(url: str) -> Origin:
    """The origin of an HTTP address.

    Raises:
        ValueError: it is none, or holds a login.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("it is not an http or https address with a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a login; name the variable with the token in the settings instead")
    return Origin(parts.scheme, parts.hostname.lower().rstrip("."), parts.port or _PORTS[parts.scheme])


def shown(url: str) -> str:
    """An address as it may be told: without login, query and fragment, each of which may be a secret.

    >>> shown("https://me:key@host:8443/a/b?token=x#y")
    'https://host:8443/a/b'
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "(an address without a scheme)"
    place = rest.split("?", 1)[0].split("#", 1)[0]
    host, slash, path = place.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"[:300]


def secret_in(url: str) -> str | None:
    """What in an address is, or may be, a secret, as words for a sentence; None where nothing is.

    >>> secret_in("https://host/a?download=true") is None
    True
    >>> secret_in("https://host/a?Token=x"), secret_in("https://me@host/a")
    ("the parameter 'Token'", 'a login')
    >>> secret_in("S3://key:secret@bucket/a"), secret_in("https://host/a#token=x"), secret_in("hf://org/repo@main/a")
    ('a login', "the parameter 'token'", None)
    """
    place, _, rest = url.partition("://")[2].replace("#", "?").partition("?")
    if "@" in place.partition("/")[0]:
        return "a login"
    for name, _value in parse_qsl(rest.replace("?", "&"), keep_blank_values=True):
        if name.lower() in _SECRET_PARAMETERS:
            return f"the parameter {name[:40]!r}"
    return None


def printable(url: str) -> str:
    """The address with whatever may not stand in a request's first line written as `%XX`."""
    return quote(url, safe=_RESERVED)


def is_private(address: str) -> bool:
    """Whether an IP address lies in no public network; true also for what is no IP address at all.

    >>> is_private("169.254.169.254"), is_private("::ffff:10.0.0.1"), is_private("93.184.215.14")
    (True, True, False)
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and any(found in network for network in _V4_INSIDE):
            inner = ipaddress.IPv4Address(int(found) & _V4_BITS)
        if inner is not None:
            return is_private(str(inner))
        if any(found in network for network in _LOCAL_V6):
            return True
    return not found.is_global or found.is_multicast


def may_be_private(origin: Origin, allowed: Collection[str]) -> bool:
    """Whether an operator has said that this host (`host` or `host:port`) may lie in a private network."""
    return origin.host in allowed or f"{origin.host}:{origin.port}" in allowed


def is_literal(host: str) -> bool:
    """Whether a host is written as an IP address, so that no name is looked up."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def next_hop(url: str, location: str, *, has_secret: bool) -> str:
    """Where a redirect leads.

    Raises:
        ValueError: with the reason why it is not followed.
    """
    target = printable(urljoin(url, location))
    origin = origin_of(target)
    if has_secret and origin.scheme == "http" and origin_of(url).scheme == "https":
        raise ValueError("it leads from https to http while a token is in use")
    return target
