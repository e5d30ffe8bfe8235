"""How long the same work takes on cards of other classes, where a trace knows one class alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from northstar.simulation.inputs import SimulatedJob


def with_gpu_paces(jobs: Iterable[SimulatedJob], times_as_long: Mapping[str, float]) -> Iterator[SimulatedJob]:
    """Jobs whose time is known for any class (`run_s[""]`) take `times_as_long` of it on the classes that are named, and what it was on others.

    A class whose time a job knows itself keeps that. Nobody publishes such factors for all work, so they are the caller's: those that your own fleet has learned, or none.

    Raises:
        ValueError: a factor is not above 0.
    """
    for gpu_class, factor in times_as_long.items():
        if not factor > 0:
            raise ValueError(f"work on {gpu_class} cannot take {factor} times as long")
    for job in jobs:
        any_s = job.run_s.get("")
        if any_s is None:
            yield job
            continue
        told = {gpu_class: round(any_s * factor, 3) for gpu_class, factor in times_as_long.items()}
        yield msgspec.structs.replace(job, run_s=told | job.run_s)
