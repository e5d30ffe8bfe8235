"""How a model store is set, and what of the world it is given."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from northstar.agent.models.files import Files
from northstar.agent.models.pace import Clock, Sleep
from northstar.agent.models.sources.choice import SourceRules
from northstar.agent.models.space import SpaceRule
from northstar.policy.models.pace import Patience


class ModelStoreOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decides."""

    #: The models folder, as ComfyUI lays it out; made if it is missing.
    root: Path
    #: Further folders of the same layout, which are only read.
    extra_roots: tuple[Path, ...] = ()
    space: SpaceRule = SpaceRule()
    patience: Patience = Patience()
    sources: SourceRules = SourceRules()
    #: No file may be larger, whatever an order says.
    largest_bytes: int = 200 * 1024**3
    allow_pickle: bool = False
    #: Whether files may be evicted that the store has found, not fetched.
    evict_found: bool = False
    #: Fetches at a time.
    parallel: int = 2
    #: Bytes a second of all fetches together while no job runs; 0 is free.
    idle_bytes_per_s: float = 0.0
    #: The same while a job runs.
    busy_bytes_per_s: float = 0.0
    #: Bytes a second read from the disk to hash what was found; 0 is free.
    hash_bytes_per_s: float = 100e6
    #: Seconds between two looks at the folders.
    survey_every_s: float = 300.0


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Time, chance and disk; tests give others."""

    files: Files = msgspec.field(default_factory=Files)
    #: The file system behind `s3://`; None: s3fs.
    bucket: Callable[[], Any] | None = None
    #: Bytes that a folder's disk has free.
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    #: Monotonic seconds.
    clock: Clock = time.monotonic
    #: Wall-clock seconds.
    now: Clock = time.time
    sleep: Sleep = asyncio.sleep
    rng: random.Random = msgspec.field(default_factory=random.Random)
