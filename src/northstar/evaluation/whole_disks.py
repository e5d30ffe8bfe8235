"""Machines of the uniform approach: each holds every model that the workload ever asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.simulation.inputs import FileOnDisk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.simulation.inputs import SimulatedJob, SimulatedMachine


def with_every_model(fleet: Sequence[SimulatedMachine], jobs: Iterable[SimulatedJob]) -> tuple[SimulatedMachine, ...]:
    """The fleet with all files of the workload in its images, however large these are."""
    files = {
        need.name: FileOnDisk(name=need.name, size_bytes=need.size_bytes, kind=need.kind, baked=True)
        for job in jobs
        for need in job.request.requires.models
    }
    disk = tuple(files[name] for name in sorted(files))
    return tuple(msgspec.structs.replace(machine, disk=disk) for machine in fleet)
