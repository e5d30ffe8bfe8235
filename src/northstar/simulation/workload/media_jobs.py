"""Jobs of workflows that are drawn by how often each is used: video, audio, meshes, training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.domain.jobs import JobRequest
from northstar.domain.requirements import Requirements
from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.workload.draws import Choice, Draws
from northstar.simulation.workload.in_time import in_time
from northstar.simulation.workload.needed_files import needed_file
from northstar.simulation.workload.payloads import made_payload
from northstar.simulation.workload.sittings import SittingLaw, sittings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from northstar.simulation.workload.media_law import MediaWorkflow
    from northstar.simulation.workload.sittings import Sitting

#: A person stays with a workflow within a sitting with this chance, and changes it else. Assumed.
SAME_WORKFLOW: Final = 0.8


def media_jobs(
    workflows: Sequence[MediaWorkflow],
    law: SittingLaw,
    *,
    days: int,
    seed: int,
    first_weekday: int = 0,
    stream: str = "media",
    service: str = "media",
    tenant: str = "default",
) -> Iterator[SimulatedJob]:
    """Jobs of so many service days. `stream` tells several such workloads of one simulation apart, and their users.

    Raises:
        ValueError: there is no workflow, or none that is used.
    """
    choice = Choice([(one, one.usage) for one in workflows])
    draws = Draws(seed, stream)

    def jobs(sitting: Sitting) -> Iterator[SimulatedJob]:
        workflow = choice.at(draws.share())
        for place, at_ms in enumerate(sitting.at_ms):
            if place and draws.share() >= SAME_WORKFLOW:
                workflow = choice.at(draws.share())
            run_s = round(draws.log_normal(workflow.median_s, workflow.deviation), 3)
            yield SimulatedJob(
                at_ms=at_ms,
                request=_request(workflow, service=service, tenant=tenant, user=f"{stream}-{sitting.user}"),
                run_s={"": run_s},
            )

    return in_time(sittings(law, days=days, seed=seed, first_weekday=first_weekday, stream=stream), jobs)


def _request(workflow: MediaWorkflow, *, service: str, tenant: str, user: str) -> JobRequest:
    return JobRequest(
        service=service,
        payload=made_payload(
            makes=workflow.makes,
            steps=workflow.steps,
            pixels=workflow.pixels,
            frames=workflow.frames,
            mark=workflow.name,
            training=workflow.training,
            experimental=workflow.experimental,
        ),
        requires=Requirements(
            models=tuple(needed_file(file.name, file.kind, file.size_bytes) for file in workflow.files)
        ),
        tenant=tenant,
        user=user,
    )
