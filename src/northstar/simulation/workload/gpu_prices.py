"""What GPUs cost by the hour: the two tables of Full Stack Deep Learning (MIT), and any others of their form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.gpu_classes import gpu_class_of
from northstar.simulation.workload.errors import TraceRowInvalid
from northstar.simulation.workload.table import numbered_rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DOLLARS: Final = re.compile(r"\$?([0-9]+(?:\.[0-9]+)?)")
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(?:GB)?")
_COUNT: Final = re.compile(r"[1-9][0-9]{0,3}")
#: `A100 (80 GB)`: the memory of one card, which is no part of the chip's name.
_IN_BRACKETS: Final = re.compile(r"\s*\([^)]*\)\s*$")
_MEMORY: Final = re.compile(r"\(([0-9]+) ?GB\)")


class GpuPrice(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine costs. Dollars are of an hour of the whole machine."""

    seller: str
    #: As the table calls it, and the class of such cards (`domain.gpu_classes`).
    gpu: str
    gpu_class: str
    gpus: int
    #: Memory of one GPU, GB.
    vram_gb: float
    usd_per_hour: float | None
    #: As a machine that may be taken away; None: it is not sold so, or nobody says.
    spot_usd_per_hour: float | None = None
    #: What the seller calls the machine.
    name: str = ""
    #: Sold by the call and not by the machine.
    serverless: bool = False


class _Cloud(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={
        "seller": "Cloud",
        "gpu": "GPU Type",
        "arch": "GPU Arch",
        "gpus": "GPUs",
        "vram": "GPU RAM",
        "vcpus": "vCPUs",
        "ram": "RAM",
        "on_demand": "On-demand",
        "per_gpu": "Per-GPU",
        "spot": "Spot",
        "name": "Name",
    },
):
    seller: str
    gpu: str
    gpus: str
    vram: str
    arch: str = ""
    vcpus: str = ""
    ram: str = ""
    on_demand: str = ""
    per_gpu: str = ""
    spot: str = ""
    name: str = ""


class _Serverless(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={
        "seller": "Vendor",
        "gpu": "GPU Type",
        "arch": "GPU Arch",
        "gpus": "GPUs",
        "vram": "GPU RAM",
        "vcpus": "vCPUs",
        "ram": "RAM",
        "per_hour": "Per-Hour",
        "per_gpu": "Per-GPU",
    },
):
    seller: str
    gpu: str
    gpus: str
    vram: str
    per_hour: str
    arch: str = ""
    vcpus: str = ""
    ram: str = ""
    per_gpu: str = ""


def cloud_prices(path: Path) -> Iterator[GpuPrice]:
    """Machines of clouds, in the order of the table. Raises what `numbered_rows_of` does."""
    for number, row in numbered_rows_of(path, _Cloud):
        read = _Reader(path, number)
        gpus = read.count("GPUs", row.gpus)
        yield GpuPrice(
            seller=row.seller,
            gpu=row.gpu,
            gpu_class=_class_of(row.gpu),
            gpus=gpus,
            vram_gb=read.vram_gb(row.gpu, row.vram, gpus),
            usd_per_hour=read.dollars("On-demand", row.on_demand),
            spot_usd_per_hour=read.dollars("Spot", row.spot),
            name=row.name,
        )


def serverless_prices(path: Path) -> Iterator[GpuPrice]:
    """What is sold by the call. Raises what `numbered_rows_of` does."""
    for number, row in numbered_rows_of(path, _Serverless):
        read = _Reader(path, number)
        gpus = read.count("GPUs", row.gpus)
        yield GpuPrice(
            seller=row.seller,
            gpu=row.gpu,
            gpu_class=_class_of(row.gpu),
            gpus=gpus,
            vram_gb=read.vram_gb(row.gpu, row.vram, gpus),
            usd_per_hour=read.dollars("Per-Hour", row.per_hour),
            serverless=True,
        )


class _Reader:
    """Reads the fields of one line, which people have filled in."""

    def __init__(self, path: Path, line: int) -> None:
        self._path = path
        self._line = line

    def dollars(self, column: str, text: str) -> float | None:
        """`3.06` or `$3.06`; None for nothing."""
        return float(self._found(_DOLLARS, column, text, "dollars an hour, such as 3.06")[1]) if text else None

    def vram_gb(self, gpu: str, text: str, gpus: int) -> float:
        """Of one card: as its name says in brackets; else its part of the column, which is that of all cards (`640`, `16GB`)."""
        all_gb = float(self._found(_SIZE, "GPU RAM", text, "GB, such as 80")[1])
        # Some sellers give the memory of one card in the column of all.
        named = _MEMORY.search(gpu)
        return float(named[1]) if named else all_gb / gpus

    def count(self, column: str, text: str) -> int:
        """1 or more."""
        return int(self._found(_COUNT, column, text, "a number of GPUs, 1 or more")[0])

    def _found(self, pattern: re.Pattern[str], column: str, text: str, expected: str) -> re.Match[str]:
        found = pattern.fullmatch(text)
        if found is None:
            raise TraceRowInvalid(self._path, line=self._line, column=column, found=repr(text), expected=expected)
        return found


def _class_of(gpu: str) -> str:
    return gpu_class_of(_IN_BRACKETS.sub("", gpu))
