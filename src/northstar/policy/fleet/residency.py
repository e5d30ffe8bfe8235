"""Which models are in an engine's memory, as far as the jobs that it ran tell.

Engines keep what they loaded until something else needs the room, and give up first what was used longest ago. So the
models of the latest jobs are there, as far as they fit together. It is an estimate, beside what engines that can tell say themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Loaded(msgspec.Struct, frozen=True):
    name: str
    size_bytes: int


class Residency(msgspec.Struct, frozen=True, kw_only=True):
    """The estimate for one engine. `vram_bytes` is what its models may take together; 0 is unknown, and then nothing is claimed."""

    vram_bytes: int
    #: The one used longest ago first.
    loaded: tuple[_Loaded, ...] = ()

    def used(self, models: Iterable[tuple[str, int]]) -> Self:
        """A job has used these (name, bytes), in the order in which it loads them. Those used longest ago make room.

        Of a size that is not known (0) nobody can say what fits beside it, so it stays alone with the models of its own job.
        """
        latest = {name: _Loaded(name, size_bytes) for name, size_bytes in models}
        if not latest:
            return self
        older = () if any(not one.size_bytes for one in latest.values()) else self.loaded
        entries = (*(one for one in older if one.name not in latest and one.size_bytes), *latest.values())
        return msgspec.structs.replace(self, loaded=self._fitting(entries))

    def restarted(self) -> Self:
        """The engine began anew, with an empty memory."""
        return msgspec.structs.replace(self, loaded=())

    def resident(self) -> tuple[str, ...]:
        """Names of the models in memory, the latest used first."""
        return tuple(one.name for one in reversed(self.loaded))

    def _fitting(self, entries: tuple[_Loaded, ...]) -> tuple[_Loaded, ...]:
        """As many of the latest as fit together. What does not fit has pushed out all before it; if larger than the memory, itself too."""
        kept: list[_Loaded] = []
        free = self.vram_bytes
        for one in reversed(entries):
            if one.size_bytes > free or not self.vram_bytes:
                break
            kept.append(one)
            free -= one.size_bytes
        return tuple(reversed(kept))
