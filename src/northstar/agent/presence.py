"""What a machine says of itself whenever it registers: at first, after it was taken for lost, when its engines change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from northstar.domain.machines import MachineDescription

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.domain.models import ModelHeld


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


class FixedPresence:
    """Of a machine whose models nobody keeps: what it says stays the same. `on_look` hears of orders."""

    def __init__(
        self,
        said: MachineDescription | None = None,
        held: Sequence[ModelHeld] = (),
        *,
        on_look: Callable[[], None] | None = None,
    ) -> None:
        self._said = said or MachineDescription()
        self._held = tuple(held)
        self._on_look = on_look

    def description(self) -> MachineDescription:
        """What was said at the start."""
        return self._said

    def models(self) -> Sequence[ModelHeld]:
        """What was there at the start."""
        return self._held

    def look(self) -> None:
        """Somebody may have given this machine orders."""
        if self._on_look is not None:
            self._on_look()
