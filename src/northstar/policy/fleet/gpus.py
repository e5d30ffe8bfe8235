"""The GPUs of a host: what `nvidia-smi` prints, which of them a process may use, and what was declared instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.machines import MAX_GPUS, Gpu

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What is asked, in this order; the name may hold commas, so it stands where both ends can be counted.
QUERY: Final = ("index", "uuid", "name", "memory.total", "driver_version")
#: And while jobs run.
MEMORY_QUERY: Final = ("index", "uuid", "memory.used")
_INDEX: Final = re.compile(r"[0-9]{1,3}")
_UUID: Final = re.compile(r"GPU-[0-9A-Za-z-]{1,64}")
_MIB: Final = re.compile(r"[0-9]{1,7}")
_MOST_MB: Final = 10_000_000
_VERSION: Final = re.compile(r"[0-9A-Za-z._ -]{1,64}")
#: In place of a value that this card or this user does not get: [N/A], [Not Supported], [Insufficient Permissions].
_NO_VALUE: Final = re.compile(r"\[[^\[\]]{1,64}\]|N/A")
_BYTES_PER_MIB: Final = 1_048_576
_SHOWN: Final = 120


class GpuLineInvalid(ValueError):
    """A line is not what was asked for."""


class FoundGpus(msgspec.Struct, frozen=True, kw_only=True):
    """The GPUs that are there, in the driver's order."""

    gpus: tuple[Gpu, ...] = ()
    driver: str = ""


def parse_gpus(text: str) -> FoundGpus:
    """Read what `nvidia-smi --query-gpu=… --format=csv,noheader,nounits` printed. Its sizes are MiB; ours are MB.

    >>> parse_gpus("0, GPU-6f0e, NVIDIA H200, 143771, 570.86.15").gpus[0].vram_mb
    150754

    Raises:
        GpuLineInvalid: a line is something else, or there are more than 64.
    """
    # Lines that begin with MIG are slices below the card of the line before; the card itself has been counted.
    lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("MIG ")]
    if len(lines) > MAX_GPUS:
        raise GpuLineInvalid(f"{len(lines)} lines, for at most {MAX_GPUS} GPUs")
    read = [_gpu(line) for line in lines]
    if len({gpu.index for gpu, _ in read}) < len(read):
        raise GpuLineInvalid("two GPUs of the same index")
    return FoundGpus(gpus=tuple(gpu for gpu, _ in read), driver=read[0][1] if read else "")


def parse_used_memory(text: str, gpu: Gpu) -> int | None:
    """How much memory of this GPU is in use, MB, of what `nvidia-smi --query-gpu=index,uuid,memory.used …` printed (MiB).

    None where the driver does not say, or not of this GPU.

    >>> parse_used_memory("0, GPU-6f0e, 10240", Gpu(index=0, uuid="GPU-6f0e"))
    10737

    Raises:
        GpuLineInvalid: a line is something else, or there are more than 64.
    """
    lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("MIG ")]
    if len(lines) > MAX_GPUS:
        raise GpuLineInvalid(f"{len(lines)} lines, for at most {MAX_GPUS} GPUs")
    for line in lines:
        index, uuid, used, *rest = [*(part.strip() for part in line.split(",")), "", ""]
        if any(rest) or not (_INDEX.fullmatch(index) and _is(_UUID, uuid) and _is(_MIB, used)):
            raise GpuLineInvalid(f"not {', '.join(MEMORY_QUERY)}: {line[:_SHOWN]!r}")
        if _value(uuid) == gpu.uuid if gpu.uuid else int(index) == gpu.index:
            mib = _value(used)
            return min(int(mib) * _BYTES_PER_MIB // 1_000_000, _MOST_MB) if mib else None
    return None


def visible_gpus(gpus: Sequence[Gpu], devices: str | None) -> tuple[Gpu, ...]:
    """Those that `CUDA_VISIBLE_DEVICES` leaves; None: it is not set. As CUDA reads it: the first word without a GPU ends the list.

    A slice of a card (MIG) counts as a GPU of unknown memory, since the card's own figures say nothing about it.

    >>> cards = [Gpu(index=0, name="A"), Gpu(index=1, name="B")]
    >>> [gpu.name for gpu in visible_gpus(cards, "1,7,0")]
    ['B']
    """
    if devices is None:
        return tuple(gpus)
    chosen: list[Gpu] = []
    for word in map(str.strip, devices.split(",")):
        gpu = _named(gpus, word, place=len(chosen))
        if gpu is None or gpu in chosen or len(chosen) == MAX_GPUS:
            break
        chosen.append(gpu)
    return tuple(chosen)


def declared_gpus(found: Sequence[Gpu], *, count: int | None, name: str, vram_mb: int) -> tuple[Gpu, ...]:
    """The GPUs that a machine announces: what is declared wins, what was found fills in the rest.

    `count` None, `name` empty and `vram_mb` 0 are not declared. A machine with a name or memory declared and nothing found
    has one GPU. Where another number is declared than was found, nobody knows which cards are meant, so none is identified.
    """
    number = count if count is not None else len(found) or int(bool(name or vram_mb))
    known = [found[place] if place < len(found) else Gpu(index=place) for place in range(number)]
    return tuple(
        Gpu(
            index=gpu.index,
            name=name[:64] or gpu.name,
            vram_mb=vram_mb or gpu.vram_mb,
            uuid=gpu.uuid if number == len(found) else "",
        )
        for gpu in known
    )


def _gpu(line: str) -> tuple[Gpu, str]:
    """The GPU of a line, and its driver."""
    parts = [part.strip() for part in line.split(",")]
    index, uuid, *name, mib, driver = parts if len(parts) >= len(QUERY) else [""] * len(QUERY)
    if not (_INDEX.fullmatch(index) and _is(_UUID, uuid) and _is(_MIB, mib) and _is(_VERSION, driver)):
        raise GpuLineInvalid(f"not {', '.join(QUERY)}: {line[:_SHOWN]!r}")
    gpu = Gpu(
        index=int(index),
        name=", ".join(name)[:64],
        vram_mb=min(int(_value(mib) or 0) * _BYTES_PER_MIB // 1_000_000, _MOST_MB),
        uuid=_value(uuid),
    )
    return gpu, _value(driver)


def _is(pattern: re.Pattern[str], text: str) -> bool:
    return bool(pattern.fullmatch(text) or _NO_VALUE.fullmatch(text))


def _value(text: str) -> str:
    return "" if _NO_VALUE.fullmatch(text) else text


def _named(gpus: Sequence[Gpu], word: str, *, place: int) -> Gpu | None:
    """The GPU that a word of `CUDA_VISIBLE_DEVICES` means: an index, the beginning of one uuid, or a slice."""
    if word.startswith("MIG-"):
        return Gpu(index=place, name="MIG slice", uuid=word[:96])
    if word.isascii() and word.isdigit():
        return next((gpu for gpu in gpus if str(gpu.index) == word), None)
    matching = [gpu for gpu in gpus if word.startswith("GPU-") and gpu.uuid.startswith(word)]
    return matching[0] if len(matching) == 1 else None
