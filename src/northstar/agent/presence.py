"""What a machine says of itself whenever it registers: at first, after it was taken for lost, when its engines change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld

if TYPE_CHECKING:
    from collections.abc import Sequence


class Presence(Protocol):
    """Asked at each registration, so that what is said is what is so then."""

    def description(self) -> MachineDescription:
        """Hardware, place, price, link."""
        ...

    def models(self) -> Sequence[ModelHeld]:
        """Models in memory and on disk."""
        ...

    def look(self) -> None:
        """There may be orders about models; returns at once."""
        ...


class FixedPresence(msgspec.Struct, frozen=True):
    """Of a machine whose models nobody keeps: always the same."""

    said: MachineDescription = MachineDescription()
    held: tuple[ModelHeld, ...] = ()

    def description(self) -> MachineDescription:
        """What was said at the start."""
        return self.said

    def models(self) -> Sequence[ModelHeld]:
        """What was there at the start."""
        return self.held

    def look(self) -> None:
        """Orders about models are for machines that keep some; they stay open."""
