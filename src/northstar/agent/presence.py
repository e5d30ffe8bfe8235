"""What a machine says of itself whenever it registers: at first, after it was taken for lost, when its engines change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from northstar.domain.machines import MachineDescription
from northstar.policy.fleet.announcement import with_trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.models import ModelHeld


class Presence(Protocol):
    """Asked at each registration, so that what is said is what is so then."""

    def description(self) -> MachineDescription:
        """Hardware, place, price, link, and how its engines stand."""
        ...

    def models(self) -> Sequence[ModelHeld]:
        """Models in memory and on disk."""
        ...

    def announce(self, description: MachineDescription, models: Sequence[ModelHeld]) -> None:
        """The engines say something else from now on; `models` are those that they hold themselves."""
        ...

    def offers(self, *, takes_work: bool, trouble: str) -> None:
        """Whether any engine takes work from now on, and why others take none; it is a part of every description."""
        ...

    def look(self) -> None:
        """There may be orders about models; returns at once."""
        ...


class FixedPresence:
    """Of a machine whose models nobody keeps: what was said last stays so. Orders about models stay open."""

    def __init__(self, said: MachineDescription | None = None, held: Sequence[ModelHeld] = ()) -> None:
        self._said = said or MachineDescription()
        self._held = tuple(held)
        self._takes_work, self._trouble = True, ""

    def description(self) -> MachineDescription:
        """What was said last."""
        return with_trouble(self._said, self._trouble, takes_work=self._takes_work)

    def models(self) -> Sequence[ModelHeld]:
        """What was said last."""
        return self._held

    def announce(self, description: MachineDescription, models: Sequence[ModelHeld]) -> None:
        """Say this from now on."""
        self._said, self._held = description, tuple(models)

    def offers(self, *, takes_work: bool, trouble: str) -> None:
        """Say this too from now on."""
        self._takes_work, self._trouble = takes_work, trouble

    def look(self) -> None:
        """Nobody here carries out orders."""
