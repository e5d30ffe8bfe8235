"""Faults by name: what may befall machines and the server of their queue, and when.

Each is said with moments (`at`) or with a mean time between two for each machine (`every`), and for which machines: all, those of a group or
of a region, or so many of them, drawn by the seed.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from northstar.simulation.fleet.lengths import Length
from northstar.simulation.fleet.plan import FleetName


class _Befalls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="fault"):
    #: Moments from the beginning of the simulation.
    at: Annotated[tuple[Length, ...], msgspec.Meta(max_length=10_000)] = ()
    #: In place of moments: the mean time between two for each machine; the moments are drawn by the seed.
    every: Length | None = None
    #: Only machines of this group.
    group: FleetName | None = None
    #: Only machines that stand in this region.
    region: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    #: Only so many of them: drawn for each moment, or once for `every`.
    machines: Annotated[int, msgspec.Meta(ge=1, le=50_000)] | None = None


class MachineLoss(_Befalls, frozen=True, kw_only=True, tag="machine_loss"):
    """The machine vanishes without a word, whatever it does, and another comes as the group says."""


class SlowLink(_Befalls, frozen=True, kw_only=True, tag="slow_link"):
    """The machine's line is slower for a while; what is being fetched goes on."""

    #: How long.
    length: Length = msgspec.field(name="for")
    #: The line is so many times as fast: 0.1 is a tenth.
    factor: Annotated[float, msgspec.Meta(gt=0, lt=1)]


class CorruptDownload(_Befalls, frozen=True, kw_only=True, tag="corrupt_download"):
    """The next file that the machine has fetched is not what it should be: it is thrown away and fetched anew."""


class EngineDeath(_Befalls, frozen=True, kw_only=True, tag="engine_death"):
    """The machine's engine dies: what runs on it fails and may be tried again, and no work is taken until the engine is up again."""

    #: How long until the engine is up again.
    length: Length = msgspec.field(name="for")


class Partition(_Befalls, frozen=True, kw_only=True, tag="partition"):
    """The machine is cut off from the broker and goes on working; what it has to say arrives when the line is back, perhaps too late."""

    #: How long.
    length: Length = msgspec.field(name="for")


class ValkeyRestart(_Befalls, frozen=True, kw_only=True, tag="valkey_restart"):
    """The server of the queue goes away and comes back with all that it had; it befalls no machine, so `group`, `region` and `machines` are not said."""

    #: How long it is away.
    length: Length = msgspec.field(name="for")


FaultPlan: TypeAlias = MachineLoss | SlowLink | CorruptDownload | EngineDeath | Partition | ValkeyRestart
