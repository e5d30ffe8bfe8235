"""Pools as the HTTP interface shows them: what holds in the cell, and whose word it is."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from northstar.domain.pools import PoolSpec


class PoolsOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """Whose word the pools in force are: those that an operator applied, of a file that this broker was given, or that came with it."""

    source: Literal["applied", "file", "packaged"]
    #: The file's name; empty of those that came with North Star.
    file: str = ""
    #: Of applied ones: their version, who applied them, and when. 0 and empty of others.
    version: int = 0
    by: str = ""
    at_ms: int = 0


class PoolsInForceNow(msgspec.Struct, frozen=True, kw_only=True):
    """All pools that are in force. `uniform`: they are switched off, and any machine that is not kept for others takes any job."""

    mode: Literal["pools", "uniform"]
    pools: dict[str, PoolSpec]
    origin: PoolsOrigin


class PoolInForce(msgspec.Struct, frozen=True, kw_only=True):
    """One pool that is in force."""

    pool: str
    spec: PoolSpec
    origin: PoolsOrigin


class WantedPause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be paused: `cell`, or `pool:NAME`; and why, for whoever wonders."""

    scope: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    because: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = "paused by an operator"


class ScopeChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A scope that was paused or resumed; not `changed` if it was so already."""

    scope: str
    paused: bool
    changed: bool
