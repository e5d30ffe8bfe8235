"""Whose address it is: that of the connection, unless a proxy that is trusted says for whom it asks."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final, TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Proxies in a row that are believed at most.
_MAX_PROXIES: Final = 16
#: A subscriber has a whole network of this size, and every address in it.
_IPV6_PREFIX: Final = 64
_MAX_LETTERS: Final = 64


def network(text: str) -> Network:
    """An address or a network such as 10.0.0.0/8. Raises ValueError."""
    return ipaddress.ip_network(text, strict=False)


def who_asks(peer: str, forwarded_for: str, *, trusted: Sequence[Network]) -> str:
    """The address to count for: `peer`, or what trusted proxies put into `X-Forwarded-For`; IPv6 by its /64.

    Of the header only what a trusted proxy added counts: it is read from its end, up to the first address that is no trusted
    proxy's. Whatever stands before that was written by who knows whom.
    """
    found = _address(peer)
    if found is None:
        return peer[:_MAX_LETTERS]
    hops = forwarded_for.rsplit(",", _MAX_PROXIES)[-_MAX_PROXIES:] if forwarded_for else []
    for hop in reversed(hops):
        if not _is_trusted(found, trusted):
            break
        before = _address(hop)
        if before is None:
            break
        found = before
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))
    return str(found)


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == one.version and address in one for one in trusted)


def _address(text: str) -> Address | None:
    """An address as proxies and sockets write it, perhaps with brackets, a port or a zone."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
