"""Requests of the GenTD26 trace as jobs of a simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.jobs import JobRequest
from northstar.domain.requirements import Requirements
from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.workload.file_sizes import base_bytes, lora_bytes
from northstar.simulation.workload.needed_files import needed_file
from northstar.simulation.workload.payloads import made_payload
from northstar.simulation.workload.service_days import begin_of_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from northstar.simulation.workload.gentd26 import PictureRequest

_ENDING: Final = ".safetensors"


class PictureTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the trace does not say."""

    #: Seed of the file sizes.
    sizes_seed: int = 1
    service: str = "pictures"
    tenant: str = "default"
    #: Class of the GPUs that the times were measured on; "": they hold for every class.
    gpu_class: str = ""


def picture_jobs(requests: Iterable[PictureRequest], terms: PictureTerms | None = None) -> Iterator[SimulatedJob]:
    """The jobs, from the beginning of the service day of the first request on.

    Left out is what has no model or had not ended when the trace did: nobody knows what it took. What FAILED fails here too, after the
    time that it took there. Execution holds some loading, so that waits come out rather too long than too short.
    """
    terms = terms or PictureTerms()
    begins_ms: int | None = None
    for request in requests:
        if begins_ms is None:
            begins_ms = begin_of_day(request.at_ms)
        if request.has_run:
            yield _job(request, terms, at_ms=request.at_ms - begins_ms)


def _job(request: PictureRequest, terms: PictureTerms, *, at_ms: int) -> SimulatedJob:
    base = f"{request.model}{_ENDING}"
    loras = [f"{lora}{_ENDING}" for lora in request.loras]
    models = (
        needed_file(base, "checkpoint", base_bytes(base, seed=terms.sizes_seed)),
        *(needed_file(lora, "lora", lora_bytes(lora, seed=terms.sizes_seed)) for lora in dict.fromkeys(loras)),
    )
    return SimulatedJob(
        at_ms=at_ms,
        request=JobRequest(
            service=terms.service,
            payload=made_payload(
                makes=("image",),
                steps=round(request.steps),
                images=round(request.images),
                # What else of the graph is known: which kind it is, and how many adapters it has.
                mark=f"{request.task} {len(loras)}",
            ),
            requires=Requirements(models=models),
            tenant=terms.tenant,
            user=request.user,
        ),
        run_s={terms.gpu_class: request.ran_s},
        fails=request.status == "FAILED",
    )
