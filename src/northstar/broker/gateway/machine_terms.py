"""What machines are told to follow from their pools and the catalogue, as these are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.pool_terms import NO_POOL_TERMS, PoolTerms, pool_terms
from northstar.policy.fleet.kept_models import kept_models

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.domain.machines import MachineDescription
    from northstar.domain.pools import Pools
    from northstar.policy.models.catalogue_index import CatalogueIndex

_MOST_KNOWN: Final = 10_000


class MachineTerms:
    """Reckoned once for machines that are alike in their pools and in their disk, until pools or catalogue change."""

    def __init__(self, pools: Callable[[], Pools], catalogue: Callable[[], CatalogueIndex]) -> None:
        """Both give what holds now, and the same object for as long as it does."""
        self._pools = pools
        self._catalogue = catalogue
        self._by = pools(), catalogue()
        self._known: dict[tuple[tuple[str, ...], int, bool], PoolTerms] = {}

    def have_changed(self) -> bool:
        """Whether they may be others since this was asked last."""
        now = self._pools(), self._catalogue()
        if now[0] is self._by[0] and now[1] is self._by[1]:
            return False
        self._by = now
        self._known.clear()
        return True

    def of(self, served: Sequence[str], said: MachineDescription) -> PoolTerms:
        """Of a machine that serves these pools and says this of itself."""
        pools, catalogue = self._pools(), self._catalogue()
        if pools is not self._by[0] or catalogue is not self._by[1]:
            return _terms(pools, served, said, catalogue)  # not for those that are here, before they are told
        alike = (tuple(served), said.disk_bytes, said.keeps_models)
        if alike not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[alike] = _terms(pools, served, said, catalogue)
        return self._known[alike]


def _terms(pools: Pools, served: Sequence[str], said: MachineDescription, catalogue: CatalogueIndex) -> PoolTerms:
    terms = pool_terms(pools, served)
    if pools.routing.mode == "uniform" or not said.keeps_models:
        return terms
    kept = kept_models(pools, served, said, catalogue).files
    return msgspec.structs.replace(terms, keeps=tuple(file.name for file in kept))


class Told:
    """What one machine was told last."""

    def __init__(self, terms: MachineTerms) -> None:
        self._terms = terms
        self._served: tuple[str, ...] = ()
        self._said: MachineDescription | None = None
        self._told = NO_POOL_TERMS

    def enters(self, served: tuple[str, ...], said: MachineDescription) -> PoolTerms:
        """The machine registers as this; gives what it is to be told."""
        self._served, self._said = served, said
        self._told = self._terms.of(served, said)
        return self._told

    def news(self) -> PoolTerms | None:
        """What it is to be told now, if that is something else."""
        if self._said is None or (now := self._terms.of(self._served, self._said)) == self._told:
            return None
        self._told = now
        return now
