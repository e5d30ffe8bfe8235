"""The jobs of one's own trace, to be simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.domain.jobs import JobRequest
from northstar.domain.models import ModelNeed
from northstar.domain.requirements import Requirements
from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.workload.needed_files import needed_file
from northstar.simulation.workload.payloads import chat_payload, made_payload
from northstar.simulation.workload.service_days import begin_of_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from northstar.simulation.workload.own_trace import TracedJob, TracedModel

#: Pixels of a picture of which only the product of everything is known.
_MEGAPIXEL: Final = 1_048_576
#: What a broker takes for a number of steps or tokens at most.
_MOST: Final = 10**9


class OwnJobs:
    """Jobs of a trace, one after the other, from the beginning of the service day of the first one on.

    A job that never ran its work (`ran_s` is empty) cannot be simulated, since nobody knows how long it would have taken; it is left out and counted. Files
    whose size is not known need not be fetched: they are taken for part of every engine.
    """

    def __init__(self, traced: Iterable[TracedJob], *, region: str = "") -> None:
        """With `region` only those that ran there; they may run nowhere else then."""
        self._traced = traced
        self._region = region
        #: Jobs so far that were left out.
        self.left_out = 0

    def __iter__(self) -> Iterator[SimulatedJob]:
        """Once through the trace."""
        begins_ms: int | None = None
        for traced in self._traced:
            at_ms = round(traced.submitted_s * 1_000)
            if begins_ms is None:
                begins_ms = begin_of_day(at_ms)
            if self._region and traced.region != self._region:
                continue
            if traced.ran_s is None:
                self.left_out += 1
                continue
            yield SimulatedJob(
                at_ms=at_ms - begins_ms,
                request=_request(traced, region=self._region),
                # Another class takes the same time until somebody says more of it.
                run_s={traced.gpu_class: traced.ran_s, "": traced.ran_s},
                fails=traced.outcome == "failed",
            )


def _request(traced: TracedJob, *, region: str) -> JobRequest:
    request = JobRequest(
        service=traced.service,
        payload=_payload(traced),
        requires=Requirements(
            models=tuple(_need(model) for model in traced.files), regions=(region,) if region else ()
        ),
        tenant=traced.tenant,
        user=traced.user,
        session=traced.session,
        speciality=traced.speciality,
    )
    return request if traced.asked_pool is None else msgspec.structs.replace(request, pool=traced.asked_pool)


def _need(model: TracedModel) -> ModelNeed:
    if not model.size_bytes:
        return ModelNeed(name=model.name, kind=model.kind)
    need = needed_file(model.name, model.kind, model.size_bytes)
    return msgspec.structs.replace(need, sha256=model.sha256) if model.sha256 else need


def _payload(traced: TracedJob) -> dict[str, Any]:
    made_tokens = traced.made_tokens or (round(min(traced.work, _MOST)) if _is_text(traced) else 0)
    if _is_text(traced) and not traced.training:
        model = next((one.name for one in traced.files), traced.shape or traced.service)
        return chat_payload(model, read_tokens=traced.read_tokens, made_tokens=made_tokens)
    known = bool(traced.steps or traced.pixels or traced.frames or traced.images)
    steps, pixels = traced.steps, traced.pixels
    if not known and traced.work:
        # As so many steps of a megapixel, which takes about as long as the same product of other numbers.
        steps, pixels = max(1, round(min(traced.work / _MEGAPIXEL, _MOST))), _MEGAPIXEL
    return made_payload(
        makes=traced.makes,
        steps=steps,
        pixels=pixels,
        frames=traced.frames,
        images=traced.images,
        mark=traced.shape,
        speciality=traced.speciality,
        training=traced.training,
        experimental=traced.experimental,
    )


def _is_text(traced: TracedJob) -> bool:
    return traced.makes == ("text",)
