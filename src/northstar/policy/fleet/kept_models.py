"""Which of the models that pools want on their machines find room there: never more than the disk may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.pool_terms import pool_terms
from northstar.policy.fleet.pool_stance import models_to_keep

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from northstar.domain.catalogue import CatalogueFile
    from northstar.domain.machines import MachineDescription
    from northstar.domain.pools import Pools
    from northstar.policy.models.catalogue_index import CatalogueIndex

#: Models that are looked after on one machine.
MOST_KEPT: Final = 64
_GB: Final = 1_000_000_000


class KeptModels(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine shall have of its pools' models, in the order in which its pools name them.

    `files` find room together; `too_much` are the models that would not, and `unknown` those that the catalogue does not have.
    """

    files: tuple[CatalogueFile, ...] = ()
    too_much: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def kept_models(
    pools: Pools, served: Sequence[str], description: MachineDescription, catalogue: CatalogueIndex
) -> KeptModels:
    """For a machine that serves these pools. A model counts whole or not at all, and a file of unknown size as nothing.

    A model that does not fit is passed over, and smaller ones after it are not.
    """
    bounds = [size for size in (pool_terms(pools, served).max_disk_bytes, description.disk_bytes) if size]
    room = min(bounds, default=0)
    files: dict[str, CatalogueFile] = {}
    too_much, unknown = [], []
    taken = 0
    for name in models_to_keep(pools, served, ())[:MOST_KEPT]:
        found = catalogue.find(name)
        if found is None:
            unknown.append(name)
            continue
        new = {file.name: file for file in found.files if file.name not in files}
        size_bytes = sum(file.size_bytes for file in new.values())
        if room and taken + size_bytes > room:
            too_much.append(name)
        else:
            files |= new
            taken += size_bytes
    return KeptModels(files=tuple(files.values()), too_much=tuple(too_much), unknown=tuple(unknown))


class KeptTooMuch(msgspec.Struct, frozen=True, kw_only=True):
    """A pool whose own models do not fit on the disk that they may take: their bytes, as far as they are known, and the bound."""

    pool: str
    kept_bytes: int
    max_bytes: int
    #: The models, the largest first.
    models: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, after the name of the key."""
        named = ", ".join(self.models[:_NAMED]) + (", …" if len(self.models) > _NAMED else "")
        return (
            f"names models of {self.kept_bytes / _GB:.1f} GB together, and models may take {self.max_bytes / _GB:g} GB "
            f"(storage.max_gb); name fewer, or raise it. The largest: {named}"
        )


_NAMED: Final = 3


def kept_too_much(pools: Pools, catalogue: CatalogueIndex) -> Iterator[KeptTooMuch]:
    """Pools that want more on each of their machines than it may keep, by the sizes that the catalogue knows."""
    for name, spec in pools.pools.items():
        max_bytes = round(spec.storage.max_gb * _GB)
        sizes: dict[str, tuple[int, str]] = {}
        for model in dict.fromkeys(spec.models.keep):
            found = catalogue.find(model)
            for file in () if found is None else found.files:
                sizes.setdefault(file.name, (file.size_bytes, model))
        kept_bytes = sum(size_bytes for size_bytes, _ in sizes.values())
        if max_bytes and kept_bytes > max_bytes:
            largest = dict.fromkeys(model for _, model in sorted(sizes.values(), reverse=True))
            yield KeptTooMuch(pool=name, kept_bytes=kept_bytes, max_bytes=max_bytes, models=tuple(largest))
