"""Machines: what a registered host is and offers."""

from __future__ import annotations

from typing import Annotated

import msgspec

from northstar.domain.requirements import Pack, Pool, Word

MachineId = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]


#: Fields of a profile that came later: left out of its text where they are empty.
_LATER = frozenset({"region", "node_set", "exclusive"})


class MachineProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a machine can serve: equal machines share one profile, so whether it fits a class is decided once.

    Nothing that differs between equal machines (names, addresses, prices) belongs here.
    """

    pools: Annotated[tuple[Pool, ...], msgspec.Meta(min_length=1, max_length=16)]
    services: Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=64)]
    #: VRAM of the GPU a job may use, MB.
    vram_mb: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    node_packs: Annotated[tuple[Pack, ...], msgspec.Meta(max_length=500)] = ()
    tags: Annotated[tuple[Word, ...], msgspec.Meta(max_length=64)] = ()
    #: Set: runs only jobs that ask for this isolation.
    dedicated_to: Word | None = None
    #: Where it stands; empty is unknown, and no machine for jobs that may run in some regions only.
    region: Annotated[str, msgspec.Meta(max_length=128)] = ""
    #: Digest of the list of node classes that its ComfyUI engines know (`domain.node_sets`); empty: it tells none.
    node_set: Annotated[str, msgspec.Meta(max_length=16, pattern=r"^([0-9a-f]{16})?$")] = ""

    #: It is in a pool that is kept for its own work, so work without pools does not come to it. The broker says so, by the pools that hold.
    exclusive: bool = False

    def canonical(self) -> str:
        """Text that is equal for equal profiles. It names region and node classes only where there are some, as before they existed."""
        ordered = MachineProfile(
            pools=tuple(sorted(set(self.pools))),
            services=tuple(sorted(set(self.services))),
            vram_mb=self.vram_mb,
            node_packs=tuple(sorted(set(self.node_packs))),
            tags=tuple(sorted(set(self.tags))),
            dedicated_to=self.dedicated_to,
            region=self.region,
            node_set=self.node_set,
            exclusive=self.exclusive,
        )
        text: dict[str, object] = msgspec.to_builtins(ordered)
        return msgspec.json.encode(
            {name: value for name, value in text.items() if value or name not in _LATER}
        ).decode()

    def named_set(self) -> dict[str, str]:
        """The list of node classes that it names, as registering takes it."""
        return {"node_set": self.node_set} if self.node_set else {}

    def words(self) -> tuple[str, ...]:
        """What submissions may ask for because this machine exists."""
        return (
            *(f"pool:{pool}" for pool in self.pools),
            *(f"service:{service}" for service in self.services),
            *((f"isolation:{self.dedicated_to}",) if self.dedicated_to else ()),
            *(f"tag:{tag}" for tag in self.tags),
            *(f"pack:{word}" for pack in self.node_packs for word in dict.fromkeys((pack, pack.partition("@")[0]))),
            *((f"region:{self.region}",) if self.region else ()),
        )


class _StoredProfile(MachineProfile, frozen=True, kw_only=True, forbid_unknown_fields=False):
    def known(self) -> MachineProfile:
        """The profile without anything else."""
        return MachineProfile(**{name: getattr(self, name) for name in self.__struct_fields__})


class Gpu(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One GPU, or a slice of one that is used like one."""

    #: As the driver numbers it.
    index: Annotated[int, msgspec.Meta(ge=0, le=1_023)]
    name: Annotated[str, msgspec.Meta(max_length=64)] = ""
    #: All of its memory, MB (decimal); 0 is unknown.
    vram_mb: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    uuid: Annotated[str, msgspec.Meta(max_length=96)] = ""


class EngineDescription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An engine as a machine announces it; see `EngineFacts` for the words."""

    service: Annotated[str, msgspec.Meta(max_length=64)]
    kind: Annotated[str, msgspec.Meta(max_length=32)] = ""
    version: Annotated[str, msgspec.Meta(max_length=64)] = ""
    node_classes: Annotated[int, msgspec.Meta(ge=0)] = 0
    node_classes_digest: Annotated[str, msgspec.Meta(max_length=16)] = ""
    #: How many models it can serve; which they are is announced with the models that the machine holds.
    models: Annotated[int, msgspec.Meta(ge=0)] = 0


#: As long as a description may be when it is stored, bytes of JSON.
MAX_DESCRIPTION_BYTES = 16_384
#: As long as a profile may be when it is stored, bytes of JSON, and as many words as it may bring.
MAX_PROFILE_BYTES = 16_384
MAX_PROFILE_WORDS = 500
MAX_GPUS = 64


class MachineDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine says of itself beside its profile; read by policy and people. A newer machine may say more, an older one less."""

    #: Sustained download rate, bytes per second; 0 is unknown. Plans for all machines divide by it.
    download_bytes_per_s: Annotated[float, msgspec.Meta(ge=0, le=1e15)] = 0.0
    region: str = ""
    #: What an hour of it costs, USD; 0 is unknown, or nothing.
    price_usd_per_hour: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 0.0
    gpu: str = ""
    gpus: Annotated[tuple[Gpu, ...], msgspec.Meta(max_length=MAX_GPUS)] = ()
    driver: Annotated[str, msgspec.Meta(max_length=64)] = ""
    engines: Annotated[tuple[EngineDescription, ...], msgspec.Meta(max_length=64)] = ()
    #: Disk on which it keeps models, bytes, or what its settings let them take of it; 0: it keeps none, or does not say.
    disk_bytes: Annotated[int, msgspec.Meta(ge=0, le=10**18)] = 0
    #: What it could not find out about itself, and what to do about it.
    trouble: Annotated[str, msgspec.Meta(max_length=1_024)] = ""
    #: False: it asks for no work at present, since none of its engines does any; `trouble` says why. Older machines do not say it.
    takes_work: bool = True
    #: False: it looks after no models folder, so nothing is ever fetched to it, and what jobs name its engines must have themselves.
    #: Older machines do not say it: most of them keep models, and one that keeps none is reckoned with as before.
    keeps_models: bool = True

    def shared_vram_mb(self, profile: MachineProfile) -> int:
        """Memory that all jobs of the machine share, MB. Each of its GPUs counts like the smallest, and none less than the profile says."""
        smallest = min((gpu.vram_mb for gpu in self.gpus), default=0)
        return max(smallest, profile.vram_mb) * max(1, len(self.gpus))


def read_profile(text: str) -> MachineProfile:
    """Read a profile as `canonical` wrote it, perhaps that of a newer version: fields that this one does not know are passed over."""
    return msgspec.json.decode(text, type=_StoredProfile).known()
