"""Which addresses webhooks may reach: public ones by https, and networks that an operator has allowed."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

from northstar.policy.models.addresses import is_literal, is_private, origin_of, secret_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.policy.admission.addresses import Network

#: The last part of a host that programs read as a number, and so the whole of it as an IP address.
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


def may_reach(address: str, *, allowed: Sequence[Network], encrypted: bool) -> bool:
    """Whether a connection to this IP address may be made. What is not encrypted stays within allowed networks.

    >>> may_reach("10.0.0.1", allowed=[], encrypted=True), may_reach("93.184.215.14", allowed=[], encrypted=True)
    (False, True)
    """
    return is_allowed(address, allowed) or (encrypted and not is_private(address))


def is_allowed(address: str, allowed: Sequence[Network]) -> bool:
    """Whether an IP address, however it is written, lies in one of these networks."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found.version == one.version and found in one for one in allowed)


def check_url(url: str, *, allowed: Sequence[Network]) -> None:
    """What can be said of an address before any name is looked up.

    Raises:
        ValueError: with the reason why nothing can be sent there.
    """
    origin = origin_of(url)  # says so of logins, and of what is no address
    secret = secret_in(url)
    if secret is not None:
        raise ValueError(f"{secret} is, or may be, a secret, and addresses are listed; the signature proves who sends")
    if not is_literal(origin.host) and _NUMBER.fullmatch(origin.host.rpartition(".")[2]):
        raise ValueError("its host is a number, and no IP address as it is usually written")
    encrypted = origin.scheme == "https"
    if not encrypted and not allowed:
        raise ValueError("it is not https; only networks that webhooks.allow_private lists are reached without it")
    if is_literal(origin.host) and not may_reach(origin.host, allowed=allowed, encrypted=encrypted):
        raise ValueError(refusal_of(origin.host, encrypted=encrypted))


def refusal_of(address: str, *, encrypted: bool) -> str:
    """Why an address may not be reached, and by which setting it could be."""
    if is_private(address):
        return f"{address} lies in a private network, and webhooks.allow_private does not list it"
    kind = "" if encrypted else " without https"
    return f"{address} may not be reached{kind}; webhooks.allow_private does not list it"
