"""Keeps fetches out of private networks: every address is looked at when a connection is made, not before."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from northstar.policy.models.addresses import Origin, is_literal, is_private, may_be_private, origin_of

if TYPE_CHECKING:
    from collections.abc import Collection


class PrivateHost(Exception):
    """A host lies in a private network and nobody has allowed it."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host


class GuardedResolver(AbstractResolver):
    """Looks names up, and refuses what lies in a private network. So a name cannot change its mind after a check."""

    def __init__(self, allowed: Collection[str], *, inner: AbstractResolver | None = None) -> None:
        self._allowed = allowed
        self._inner = inner or ThreadedResolver(asyncio.get_running_loop())

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of a name.

        Raises:
            PrivateHost: one of them is private.
            OSError: there are none.
        """
        found = await self._inner.resolve(host, port, family)
        if not may_be_private(Origin("", host.lower(), port), self._allowed) and any(
            is_private(address["host"]) for address in found
        ):
            raise PrivateHost(host)
        return found

    async def close(self) -> None:
        """Close the resolver behind it."""
        await self._inner.close()


def check_literal(url: str, allowed: Collection[str]) -> None:
    """Refuse an address whose host is written as a private IP address; those pass by every resolver.

    Raises:
        PrivateHost: it is private.
        ValueError: it is no address to fetch from.
    """
    origin = origin_of(url)
    if is_literal(origin.host) and is_private(origin.host) and not may_be_private(origin, allowed):
        raise PrivateHost(origin.host)
