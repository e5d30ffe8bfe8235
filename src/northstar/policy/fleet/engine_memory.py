"""Which models are in the memory of each engine of a machine, where engines do not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from northstar.policy.fleet.residency import Residency

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class EngineMemory(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate for each engine by its service: what one engine loads does not push out what another one holds.

    `vram_bytes` is what the models of one engine may take together; 0 is unknown, and then nothing is claimed.
    """

    vram_bytes: int
    engines: Mapping[str, Residency] = {}

    def used(self, service: str, models: Iterable[tuple[str, int]]) -> Self:
        """A job of this engine has used these (name, bytes).

        >>> memory = EngineMemory(vram_bytes=10).used("picture", [("sdxl", 7)]).used("text", [("llm", 6)])
        >>> memory.used("text", [("other", 5)]).resident()
        ('sdxl', 'other')
        """
        known = self.engines.get(service, Residency(vram_bytes=self.vram_bytes))
        return msgspec.structs.replace(self, engines={**self.engines, service: known.used(models)})

    def restarted(self, services: Iterable[str]) -> Self:
        """These engines began anew, with an empty memory; the others kept theirs."""
        gone = set(services)
        kept = {service: known for service, known in self.engines.items() if service not in gone}
        return msgspec.structs.replace(self, engines=kept)

    def resident(self) -> tuple[str, ...]:
        """Names of the models that are in memory of any engine."""
        return tuple(dict.fromkeys(name for known in self.engines.values() for name in known.resident()))
