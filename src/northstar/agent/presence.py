"""What a machine says of itself whenever it registers: at first, after it was taken for lost, when its engines change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from northstar.domain.machines import MachineDescription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.models import ModelHeld


class Presence(Protocol):
    """Asked at each registration, so that what is said is what is so then."""

    def description(self) -> MachineDescription:
        """Hardware, place, price, link."""
        ...

    def models(self) -> Sequence[ModelHeld]:
        """Models in memory and on disk."""
        ...

    def announce(self, description: MachineDescription, models: Sequence[ModelHeld]) -> None:
        """The engines say something else from now on; `models` are those that they hold themselves."""
        ...

    def look(self) -> None:
        """There may be orders about models; returns at once."""
        ...


class FixedPresence:
    """Of a machine whose models nobody keeps: what was said last stays so. Orders about models stay open."""

    def __init__(self, said: MachineDescription | None = None, held: Sequence[ModelHeld] = ()) -> None:
        self._said = said or MachineDescription()
        self._held = tuple(held)

    def description(self) -> MachineDescription:
        """What was said last."""
        return self._said

    def models(self) -> Sequence[ModelHeld]:
        """What was said last."""
        return self._held

    def announce(self, description: MachineDescription, models: Sequence[ModelHeld]) -> None:
        """Say this from now on."""
        self._said, self._held = description, tuple(models)

    def look(self) -> None:
        """Nobody here carries out orders."""
