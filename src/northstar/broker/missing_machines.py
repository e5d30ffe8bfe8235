"""Machines that are not here and may come: those that wait for approval, have just joined, or were started on this host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.machines import MachineProfile
from northstar.policy.routing.coming import ComingMachine
from northstar.store.admission import list_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from northstar.domain.reasons import Need
    from northstar.policy.routing.snapshot import CellSnapshot
    from northstar.store.admission import TokenEntry
    from northstar.store.cell import Cell

#: Tokens looked through.
_MOST_TOKENS: Final = 2_000
#: A machine that joined so long ago and is not here is not coming any more: its engines would have answered.
_JOINED_WITHIN_MS: Final = 900_000
#: What a machine says of itself when it registers, and its invite does not.
_UNTOLD: Final[tuple[Need, ...]] = ("service", "vram", "node_packs", "node_classes")


class MissingMachines(msgspec.Struct, frozen=True, kw_only=True):
    """Names of machines that wait for an operator, machines that are getting ready, and those that were given up."""

    not_approved: tuple[str, ...] = ()
    coming: tuple[ComingMachine, ...] = ()
    given_up: tuple[ComingMachine, ...] = ()


class MissingMachinesReader:
    """Looks for them in one cell. `of_this_host` are the machines that the `northstar up` of this host has started."""

    def __init__(self, cell: Cell, *, of_this_host: Mapping[str, ComingMachine] | None = None) -> None:
        self._cell = cell
        self.of_this_host = of_this_host or {}

    async def look(self, snapshot: CellSnapshot) -> MissingMachines:
        """Those that are not in this view. Raises Unavailable."""
        not_here = [one for name, one in self.of_this_host.items() if name not in snapshot.machines]
        coming = [one for one in not_here if not one.given_up]
        not_approved = []
        looked = 0
        async for entry in list_tokens(self._cell):
            if entry.status == "waiting":
                not_approved.append(entry.machine)
            elif _is_coming(entry, now_ms=snapshot.now_ms):
                coming.append(_as_invited(entry))
            looked += 1
            if looked >= _MOST_TOKENS:
                break
        return MissingMachines(
            not_approved=tuple(sorted(not_approved)),
            coming=tuple(coming),
            given_up=tuple(one for one in not_here if one.given_up),
        )


def _is_coming(entry: TokenEntry, *, now_ms: int) -> bool:
    """Whether it has joined lately and was never here; one that has left is gone."""
    never_here = not entry.here and entry.seen_ms <= entry.joined_ms
    return entry.status == "approved" and never_here and now_ms - entry.joined_ms <= _JOINED_WITHIN_MS


def _as_invited(entry: TokenEntry) -> ComingMachine:
    """What its invite lets it be."""
    profile = MachineProfile(
        pools=tuple(entry.pools),
        services=("untold",),
        tags=tuple(entry.tags),
        dedicated_to=entry.dedicated_to or None,
        region=entry.region,
    )
    return ComingMachine(name=entry.machine, profile=profile, untold=_UNTOLD)
