"""How near a simulated fleet's disks came to what caching could do at best, for the jobs as they were given out, and for one disk of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.policy.baselines.caching_optimum import Assigned, assigned_optimum, shared_optimum

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.policy.baselines.caching_optimum import Files, Optimum
    from northstar.simulation.inputs import SimulatedJob, SimulatedMachine
    from northstar.simulation.outcome import Outcome


def caching_frame(
    outcome: Outcome, workload: Iterable[SimulatedJob], fleet: Sequence[SimulatedMachine]
) -> tuple[Optimum, Optimum]:
    """The frame for each machine with the jobs that began there, in their order; and for one disk as large as all together.

    Disks count as kept: what is lost with a machine makes both larger. Files that every engine has, or that lie in images, cost nothing.

    Raises:
        CacheTooSmall, SizesDiffer: a job that no disk can serve, or a file of two sizes.
    """
    baked = {machine.id: {file.name for file in machine.disk if file.baked} for machine in fleet}
    files = {number: _files(job) for number, job in enumerate(workload, start=1)}
    ran = sorted((job for job in outcome.jobs if job.began_ms is not None), key=lambda job: (job.taken_ms, job.number))
    given = [
        Assigned(job.machine, tuple(file for file in files[job.number] if file[0] not in baked[job.machine]))
        for job in ran
    ]
    capacities = {machine.id: machine.disk_bytes for machine in fleet}
    return (
        assigned_optimum(given, capacities=capacities),
        shared_optimum([one.files for one in given], capacity_bytes=sum(capacities.values())),
    )


def _files(job: SimulatedJob) -> Files:
    return tuple((need.name, need.size_bytes) for need in job.request.requires.models if need.sources)
