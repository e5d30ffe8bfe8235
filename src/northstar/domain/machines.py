"""Machines: what a registered host is and offers."""

from __future__ import annotations

from typing import Annotated

import msgspec

from northstar.domain.requirements import Pool, Word

MachineId = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]


class MachineProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a machine can serve: equal machines share one profile, so whether it fits a class is decided once.

    Nothing that differs between equal machines (names, addresses, prices) belongs here.
    """

    pools: Annotated[tuple[Pool, ...], msgspec.Meta(min_length=1, max_length=16)]
    services: Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=64)]
    #: VRAM of the GPU a job may use, MB.
    vram_mb: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    node_packs: Annotated[tuple[Word, ...], msgspec.Meta(max_length=500)] = ()
    tags: Annotated[tuple[Word, ...], msgspec.Meta(max_length=64)] = ()
    #: Set: runs only jobs that ask for this isolation.
    dedicated_to: Word | None = None

    def canonical(self) -> str:
        """Text that is equal for equal profiles."""
        ordered = MachineProfile(
            pools=tuple(sorted(set(self.pools))),
            services=tuple(sorted(set(self.services))),
            vram_mb=self.vram_mb,
            node_packs=tuple(sorted(set(self.node_packs))),
            tags=tuple(sorted(set(self.tags))),
            dedicated_to=self.dedicated_to,
        )
        return msgspec.json.encode(ordered).decode()

    def words(self) -> tuple[str, ...]:
        """What submissions may ask for because this machine exists."""
        return (
            *(f"pool:{pool}" for pool in self.pools),
            *(f"service:{service}" for service in self.services),
            *((f"isolation:{self.dedicated_to}",) if self.dedicated_to else ()),
            *(f"tag:{tag}" for tag in self.tags),
            *(f"pack:{pack}" for pack in self.node_packs),
        )


class _StoredProfile(MachineProfile, frozen=True, kw_only=True, forbid_unknown_fields=False):
    def known(self) -> MachineProfile:
        """The profile without anything else."""
        return MachineProfile(**{name: getattr(self, name) for name in self.__struct_fields__})


class MachineDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine says of itself beside its profile; read by policy and people."""

    #: Sustained download rate, bytes per second; 0 is unknown.
    download_bytes_per_s: float = 0.0
    region: str = ""
    price_usd_per_hour: float = 0.0
    gpu: str = ""


def read_profile(text: str) -> MachineProfile:
    """Read a profile as `canonical` wrote it, perhaps that of a newer version: fields that this one does not know are passed over."""
    return msgspec.json.decode(text, type=_StoredProfile).known()
