"""A pool in words: as a row of the table, and as a sheet of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.domain.amounts import memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.domain.pools import PoolSpec, StorageRange

POOL_COLUMNS: Final = ("POOL", "WORK", "TAKES", "DISK GB", "GPU", "MACHINES", "TRAFFIC", "PURPOSE")


def pool_cells(name: str, spec: PoolSpec, *, is_off: bool = False) -> tuple[object, ...]:
    """A pool's row of the table: TRAFFIC is the part of its work that goes there; `is_off`: pools are switched off, and none does."""
    takes = "anything" if len(spec.models.takes) == 6 else " ".join(spec.models.takes)
    share = "off" if is_off else f"{spec.traffic_share:.0%}"
    machines = f"at most {spec.scaling.max_machines}" if spec.scaling.max_machines else "any number"
    return name, band(spec), takes, storage(spec.storage), gpu(spec), machines, share, spec.purpose


def pool_sheet(name: str, spec: PoolSpec) -> Iterator[tuple[str, str]]:
    """Everything, line by line."""
    stance, models = spec.scaling, spec.models
    yield "pool", name + (f" (a part of {spec.parent}: {spec.speciality})" if spec.parent else "")
    yield "purpose", spec.purpose
    yield "work", band(spec) + (f" on {spec.compute.reference_gpu}" if spec.compute.reference_gpu else "")
    yield "takes", f"{', '.join(models.takes)}{'' if models.takes_unknown else '; nothing that cannot be told'}"
    yield "models", f"at most {models.largest_gb:g} GB each" if models.largest_gb else "of any size"
    yield "keeps", ", ".join(models.keep) or "no model in particular"
    yield (
        "research",
        _research(spec),
    )
    disk = storage(spec.storage)
    yield "disk", disk if disk == "any" else f"{disk} GB"
    yield "gpu", gpu(spec)
    yield "machines", _machines(spec)
    yield "priority", f"+{stance.priority_boost}" if stance.priority_boost else "as asked for"
    yield (
        "reserved",
        f"{stance.reserved_share:.0%} of its slots for its own work" if stance.reserved_share else "nothing",
    )
    yield "engines", ", ".join(f"{key}={value}" for key, value in spec.engine.environment.items()) or "nothing set"
    yield "workflows", spec.workflows or "none"
    yield "fallback", " > ".join(spec.fallback) or "none: its work waits here"
    yield "in use", f"for {spec.traffic_share:.0%} of its work"
    yield "examples", "; ".join(f"{one.name} ({one.expected_s:g} s)" for one in spec.examples) or "none"


def band(spec: PoolSpec) -> str:
    """How long its work takes."""
    return (
        f"any length; planned for {spec.band}"
        if spec.band.variable and spec.band.below_s
        else ("any length" if spec.band.variable else str(spec.band))
    )


def storage(disk: StorageRange) -> str:
    """A range of GB.

    >>> from northstar.domain.pools import StorageRange
    >>> storage(StorageRange(min_gb=10, max_gb=20)), storage(StorageRange(min_gb=10)), storage(StorageRange())
    ('10-20', '10 or more', 'any')
    """
    if disk.max_gb:
        return f"{disk.min_gb:g}-{disk.max_gb:g}"
    return f"{disk.min_gb:g} or more" if disk.min_gb else "any"


def gpu(spec: PoolSpec) -> str:
    """What GPUs its machines must have."""
    compute = spec.compute
    if not compute.min_gpus:
        return "none needed"
    each = f" of {memory(compute.min_vram_mb)} or more" if compute.min_vram_mb else ""
    return f"{compute.min_gpus} or more{each}"


def shown(spec: PoolSpec) -> dict[str, Any]:
    """A pool as JSON, every key there even where its value is the usual one."""
    whole: dict[str, Any] = msgspec.to_builtins(spec)
    return whole


def word(value: Any) -> str:
    """A value of a key in a table.

    >>> word(None), word(True), word(["a", "b"]), word([]), word(0.5), word({"a": 1})
    ('-', 'true', 'a, b', 'none', '0.5', 'a 1')
    """
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return ", ".join(map(str, value)) or "none"
        case {"name": name}:
            return str(name)
        case dict():
            return ", ".join(f"{key} {word(inner)}" for key, inner in value.items()) or "the usual"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _research(spec: PoolSpec) -> str:
    said = ("training" if spec.models.training else "", "experiments" if spec.models.experimental else "")
    return ", ".join(filter(None, said)) or "none"


def _machines(spec: PoolSpec) -> str:
    stance = spec.scaling
    count = f"at most {stance.max_machines}" if stance.max_machines else "any number"
    said = (
        "may be spot" if stance.spot else "none that may be taken away",
        "at the edge first" if stance.prefers_edge else "",
    )
    return "; ".join(filter(None, (count, *said, "serving no other pool" if stance.exclusive else "")))
