"""Machines in lists: a row for each."""

from __future__ import annotations

from typing import Literal

import msgspec


class MachineRow(msgspec.Struct, frozen=True, kw_only=True):
    """A registered machine in short. Of one whose profile this version cannot read pools, services, tags and memory are not known."""

    id: str
    status: Literal["active", "draining", "out_of_work"]
    #: Why it takes no work though nobody drains it; empty where it does.
    because: str
    slots: int
    busy: int
    waits_for_work: bool
    pools: tuple[str, ...]
    services: tuple[str, ...]
    vram_mb: int
    gpu: str
    region: str
    #: 0 is unknown, or nothing.
    price_usd_per_hour: float
    tags: tuple[str, ...]
    #: What it holds: model -> `resident` or `disk`.
    models: dict[str, str]


class MachinePage(msgspec.Struct, frozen=True, kw_only=True):
    """Machines by name."""

    machines: tuple[MachineRow, ...]
    #: Where the next page begins; empty: this is the last.
    cursor: str
